/**
 * Where the rotations of the bytes begin, in their order.
 *
 * Sorts by the first byte, then by twice as many each time: n log n whatever the bytes are.
 */
export function sortRotations(bytes: Uint8Array): Uint32Array {
  const { length } = bytes;
  const starts = new Uint32Array(length).map((_, index) => index);
  const values = Uint32Array.from(bytes);
  let order = byRank(starts, values, 256);
  let { ranks, count } = rank(order, values, 0);
  for (let known = 1; known < length && count < length; known *= 2) {
    // In order of their second halves; a stable sort by the first halves then is by both.
    const shifted = order.map((start) => (start >= known ? start - known : start - known + length));
    order = byRank(shifted, ranks, count);
    ({ ranks, count } = rank(order, ranks, known));
  }
  return order;
}

/** A stable sort by rank, by counting. */
function byRank(starts: Uint32Array, ranks: Uint32Array, count: number): Uint32Array {
  const places = new Uint32Array(count + 1);
  for (const each of ranks) places[each + 1] = (places[each + 1] ?? 0) + 1;
  for (let each = 1; each <= count; each += 1) places[each] = (places[each] ?? 0) + (places[each - 1] ?? 0);
  const sorted = new Uint32Array(starts.length);
  for (const start of starts) {
    const own = ranks[start] ?? 0;
    const place = places[own] ?? 0;
    sorted[place] = start;
    places[own] = place + 1;
  }
  return sorted;
}

/** New ranks by two halves: the old rank, and that of what begins `known` further on. */
function rank(order: Uint32Array, old: Uint32Array, known: number): { ranks: Uint32Array; count: number } {
  const { length } = order;
  const ranks = new Uint32Array(length);
  let count = 0;
  let previous = -1;
  for (const start of order) {
    const isNew =
      previous === -1 ||
      old[start] !== old[previous] ||
      old[(start + known) % length] !== old[(previous + known) % length];
    if (isNew) count += 1;
    ranks[start] = count - 1;
    previous = start;
  }
  return { ranks, count };
}
