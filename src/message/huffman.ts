/**
 * Lengths of prefix codes for symbols that occur this often, none longer than `longest`. A symbol that does not occur has a
 * code as well.
 */
export function codeLengths(counts: Uint32Array, longest: number): number[] {
  for (let shift = 0; ; shift += 1) {
    const weights = Array.from(counts, (count) => Math.max(1, count >>> shift));
    const lengths = lengthsOf(weights);
    // Flatter counts make a flatter tree.
    if (Math.max(...lengths) <= longest) return lengths;
  }
}

interface Node {
  readonly weight: number;
  /** Symbols beneath it. */
  readonly symbols: readonly number[];
}

function lengthsOf(weights: readonly number[]): number[] {
  const lengths = weights.map(() => 0);
  // Two queues, both in order of weight: symbols, and the pairs made of them.
  const leaves: Node[] = weights
    .map((weight, symbol) => ({ weight, symbols: [symbol] }))
    .sort((a, b) => a.weight - b.weight);
  const pairs: Node[] = [];
  let leaf = 0;
  let pair = 0;
  const lightest = (): Node => {
    const [first, second] = [leaves[leaf], pairs[pair]];
    if (first !== undefined && (second === undefined || first.weight <= second.weight)) {
      leaf += 1;
      return first;
    }
    pair += 1;
    return second ?? { weight: 0, symbols: [] };
  };
  for (let joined = 1; joined < weights.length; joined += 1) {
    const [a, b] = [lightest(), lightest()];
    const symbols = [...a.symbols, ...b.symbols];
    for (const symbol of symbols) lengths[symbol] = (lengths[symbol] ?? 0) + 1;
    pairs.push({ weight: a.weight + b.weight, symbols });
  }
  return lengths;
}
