/**
 * The candidate that `name` most likely was meant to be, if one is near enough to be a slip of the fingers.
 *
 * Case, `camelCase` against `snake_case`, and swapped neighbours count little or nothing.
 * @param slips letters that may be wrong. Default: a third of them, in short names two
 */
export function nearest(name: string, candidates: Iterable<string>, slips?: number): string | undefined {
  const wanted = normalise(name);
  let best: string | undefined;
  let bestDistance = (slips ?? Math.max(2, Math.floor(wanted.length / 3))) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalise(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` Did you mean x?`, or nothing when no candidate is near. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates);
  return found === undefined ? '' : ` Did you mean ${found}?`;
}

function normalise(name: string): string {
  return name.replace(/([a-z\d])([A-Z])/g, '$1_$2').toLowerCase();
}

/** Insertions, deletions, replacements and swaps of neighbours between the two; `limit` when it is no less. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, column - 2) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = current;
  }
  return Math.min(limit, at(last, b.length));
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
