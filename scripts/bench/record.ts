import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as prettier from 'prettier';
import type { Figure, Table } from './model.ts';
import { ROOT } from './peers.ts';
import { markdownPage } from './report.ts';

const JSON_FILE = join(ROOT, 'docs/performance.json');
const PAGE = join(ROOT, 'docs/performance.md');
const BEGIN = '<!-- bench: begin -->';
const END = '<!-- bench: end -->';

export function readTables(file = JSON_FILE): readonly Table[] {
  return JSON.parse(readFileSync(file, 'utf8')) as readonly Table[];
}

export function writeTables(file: string, tables: readonly Table[]): void {
  writeFileSync(file, `${JSON.stringify(tables, undefined, 1)}\n`);
}

/** The recorded tables with the new ones in place of the old ones of the same case. */
export function merge(recorded: readonly Table[], measured: readonly Table[]): Table[] {
  const isNew = (old: Table): boolean =>
    measured.some(({ figure, case: label }) => figure === old.figure && label === old.case);
  return [...recorded.filter((table) => !isNew(table)), ...measured];
}

/** Text of the page with its tables replaced; what is around the marks stays. */
export function filled(page: string, tables: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/performance.md lacks ${BEGIN} and ${END}`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${tables}\n${page.slice(end)}`;
}

/** Keeps the tables in docs/performance.json and docs/performance.md. */
export async function record(figures: readonly Figure[], measured: readonly Table[]): Promise<void> {
  const tables = merge(readTables(), measured);
  writeTables(JSON_FILE, tables);
  const machines = [...new Set(tables.map(({ machine }) => machine))];
  const text = `Measured on ${machines.join('; and on ')}.\n\n${markdownPage(figures, tables)}`;
  const config = await prettier.resolveConfig(PAGE);
  const page = filled(readFileSync(PAGE, 'utf8'), text);
  writeFileSync(PAGE, await prettier.format(page, { ...config, parser: 'markdown' }));
}
