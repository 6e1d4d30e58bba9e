/**
 * How jobs were spread over the children, as `inspect stats` shows it under `pool.writes`.
 *
 * @param raw jobs given to the child of each slot
 * @param active children that have a job now
 */
export function writeStats(raw: readonly number[], active: number): Readonly<Record<string, unknown>> {
  const total = raw.reduce((sum, count) => sum + count, 0);
  const shares = raw.map((count) => (total === 0 ? 0 : count / total));
  const average = shares.length === 0 ? 0 : shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return {
    total,
    avg: average.toFixed(2),
    all: shares.map((share) => share.toFixed(2)).join(', '),
    raw: raw.join(', '),
    strategy: 'fair',
    inqueues: { total: raw.length, active },
  };
}
