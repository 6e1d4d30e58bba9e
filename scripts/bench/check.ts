import type { Figure, Metric, Row, Table } from './model.ts';
import { median } from './stats.ts';

/** What celery-ts is compared with: the peer, by its names in different figures, and the limit. */
export const PEER: readonly string[] = ['celery', 'celery threads'];
export const LIMIT: readonly string[] = ['raw', 'ideal js'];

export interface Finding {
  readonly figure: string;
  readonly case: string;
  readonly contender: string;
  readonly metric: string;
  readonly peer: string;
  /** celery-ts to the peer. */
  readonly then: number;
  readonly now: number;
  /** Percent; above zero: worse than recorded. */
  readonly worse: number;
  readonly margin: number;
  readonly regressed: boolean;
}

/** The median of a contender to that of another; undefined when one of them has none, or the other's is zero. */
export function ratio(row: Row | undefined, peer: Row | undefined, key: string): number | undefined {
  const [own, other] = [median(row?.values[key] ?? []), median(peer?.values[key] ?? [])];
  return Number.isNaN(own) || Number.isNaN(other) || other === 0 ? undefined : own / other;
}

/**
 * Compares how celery-ts stands to its peers now with how it stood when the table was recorded: a slower machine slows both.
 * What is only in one of the two is not compared.
 *
 * @param margin percent, in place of each metric's own
 */
export function compare(
  figures: readonly Figure[],
  recorded: readonly Table[],
  measured: readonly Table[],
  margin?: number,
): Finding[] {
  return measured.flatMap((table) => {
    const before = recorded.find((each) => each.figure === table.figure && each.case === table.case);
    const metrics = figures.find(({ name }) => name === table.figure)?.metrics ?? [];
    if (before === undefined) return [];
    return metrics
      .filter((metric) => metric.margin !== undefined)
      .flatMap((metric) => compareMetric(metric, before, table, margin ?? metric.margin ?? 0));
  });
}

function compareMetric(metric: Metric, before: Table, after: Table, margin: number): Finding[] {
  const of = ({ rows }: Table, name: string): Row | undefined => rows.find((row) => row.contender === name);
  const own = after.rows.map((row) => row.contender).filter((name) => name.startsWith('celery-ts'));
  return own.flatMap((contender) =>
    [...PEER, ...LIMIT].flatMap((peer): Finding[] => {
      const then = ratio(of(before, contender), of(before, peer), metric.key);
      const now = ratio(of(after, contender), of(after, peer), metric.key);
      if (then === undefined || now === undefined || then === 0 || now === 0) return [];
      const worse = metric.better === 'more' ? (1 - now / then) * 100 : (now / then - 1) * 100;
      return [
        {
          ...{ figure: after.figure, case: after.case, contender, metric: metric.title, peer },
          ...{ then, now, worse, margin, regressed: worse > margin },
        },
      ];
    }),
  );
}
