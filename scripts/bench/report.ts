import { LIMIT, PEER, ratio } from './check.ts';
import type { Figure, Metric, Row, Table } from './model.ts';
import { summarize } from './stats.ts';

/** Three digits that count, thousands apart. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** Header and rows of a table, as texts. */
export function cellsOf(figure: Figure, table: Table): string[][] {
  const [main, ...others] = figure.metrics;
  if (main === undefined) return [];
  // A contender that is not there has no column; neither has a metric that nobody has.
  const shown = others.filter(({ key }) => table.rows.some((row) => row.values[key] !== undefined));
  const header = [
    'contender',
    main.title,
    'min–max',
    '× celery',
    '× raw',
    ...shown.map(({ title }) => title),
  ];
  return [header, ...table.rows.map((row) => cellsOfRow(row, table, main, shown))];
}

function cellsOfRow(row: Row, table: Table, main: Metric, others: readonly Metric[]): string[] {
  const values = row.values[main.key] ?? [];
  const notes = row.notes.join('; ');
  if (values.length === 0) return [row.contender, `– ${notes}`, '', '', '', ...others.map(() => '')];
  const { median, min, max } = summarize(values);
  const find = (names: readonly string[]): Row | undefined =>
    table.rows.find(({ contender }) => names.includes(contender));
  const times = (peer: Row | undefined): string => {
    const found = ratio(row, peer, main.key);
    return found === undefined || peer === row ? '' : digits(found);
  };
  return [
    notes === '' ? row.contender : `${row.contender} (${notes})`,
    digits(median),
    values.length === 1 ? '' : `${digits(min)}–${digits(max)}`,
    times(find(PEER)),
    times(find(LIMIT)),
    ...others.map(({ key }) =>
      row.values[key] === undefined ? '' : digits(summarize(row.values[key]).median),
    ),
  ];
}

/** For the terminal. */
export function plainTable(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) =>
    // A note in place of a value may be long; it needs no column for itself.
    Math.max(...cells.map((row) => (row[column]?.startsWith('–') === true ? 0 : (row[column] ?? '').length))),
  );
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return cells.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

export function markdownTable(cells: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [header = [], ...rows] = cells;
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

/** All tables, by figure, as the page has them. */
export function markdownPage(figures: readonly Figure[], tables: readonly Table[]): string {
  return figures
    .map((figure) => {
      const own = tables.filter((table) => table.figure === figure.name);
      if (own.length === 0) return '';
      const parts = own.map((table) => {
        const { tasks, rounds, date } = table;
        const counts = `${digits(tasks)} a round, ${rounds} rounds, ${date}`;
        return `#### ${table.case}\n\n${counts}\n\n${markdownTable(cellsOf(figure, table))}\n`;
      });
      return `### ${figure.title}\n\n${parts.join('\n')}\n`;
    })
    .join('');
}
