import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseOptions, UsageError, type Options } from './arguments.ts';
import { compare } from './check.ts';
import { CONTENDERS } from './contenders.ts';
import { FIGURES } from './figures/index.ts';
import { describeMachine, loadWarning } from './machine.ts';
import { Skipped, type Bench, type Case, type Figure, type Row, type Table } from './model.ts';
import { installPeers } from './peers.ts';
import { readTables, record, writeTables } from './record.ts';
import { cellsOf, digits, plainTable } from './report.ts';
import { Servers } from './servers.ts';

const USAGE = `npm run bench -- [FIGURE]... [OPTIONS]

Measures celery-ts, its peers and the limit in one run, in turn. Without a figure: all of them.

  --broker rabbitmq,redis   these brokers only
  --results off,rpc,redis   these kinds of results only
  --concurrency 1,2,4       in place of the figure's own
  --tasks N                 tasks, messages or round trips a round, in place of the figure's own
  --rounds N                default 3
  --contenders a,b          these only; see --list
  --quick                   small counts, one round: shows that it works
  --json FILE               write what was measured
  --record                  keep it in docs/performance.json and docs/performance.md
  --check                   compare the ratios with the recorded ones; exit code 1 on a regression
  --margin PERCENT          what --check allows, in place of each metric's own
  --from FILE               record or check this file of --json instead of measuring
  --cpu-prof FOLDER         profiles of the workers of celery-ts
  --list                    figures and contenders
`;

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Runs the bench; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const names = FIGURES.map(({ name }) => name);
    return await run(parseOptions(args, names, Object.keys(CONTENDERS)));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

async function run(options: Options): Promise<number> {
  if (options.help || options.list) {
    print(options.help ? USAGE : listing());
    return 0;
  }
  const tables = options.from === undefined ? await measureAll(options) : readTables(options.from);
  if (options.json !== undefined) writeTables(options.json, tables);
  const code = options.check ? check(tables, options.margin) : 0;
  if (options.record) await record(FIGURES, tables);
  return code;
}

function listing(): string {
  const figures = FIGURES.map(({ name, title }) => [name, title] as const);
  const lines = (rows: readonly (readonly [string, string])[]): string =>
    rows.map(([name, text]) => `  ${name.padEnd(20)}${text}`).join('\n');
  return `Figures:\n${lines(figures)}\n\nContenders:\n${lines(Object.entries(CONTENDERS))}`;
}

async function measureAll(options: Options): Promise<Table[]> {
  const warning = loadWarning();
  if (warning !== undefined) print(warning);
  await installPeers(print);
  const machine = await describeMachine();
  print(machine);
  if (options.cpuProf !== undefined) mkdirSync(options.cpuProf, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'celery-ts-bench-'));
  const bench: Bench = {
    servers: new Servers(),
    folder,
    running: new Set(),
    profiles: options.cpuProf === undefined ? undefined : resolve(options.cpuProf),
    idleSeconds: options.quick ? 3 : 20,
  };
  const end = async (): Promise<void> => {
    for (const each of bench.running) await each[Symbol.asyncDispose]();
    await bench.servers[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void end().finally(() => process.exit(1)));
  }
  try {
    return await measureFigures(bench, options, machine);
  } finally {
    await end();
  }
}

async function measureFigures(bench: Bench, options: Options, machine: string): Promise<Table[]> {
  const tables: Table[] = [];
  const chosen = FIGURES.filter(({ name }) => options.figures.length === 0 || options.figures.includes(name));
  for (const figure of chosen) {
    for (const of of figure.cases(options)) {
      const table = await measureCase(bench, figure, of, options, machine);
      tables.push(table);
      print(`\n${figure.title}: ${of.label} (${digits(of.tasks)} a round, ${options.rounds} rounds)`);
      print(plainTable(cellsOf(figure, table)));
      // What was measured so far survives whatever comes.
      if (options.json !== undefined) writeTables(options.json, tables);
    }
  }
  return tables;
}

async function measureCase(
  bench: Bench,
  figure: Figure,
  of: Case,
  { rounds, contenders }: Options,
  machine: string,
): Promise<Table> {
  await bench.servers.need(of);
  const names = contenders ?? of.contenders;
  const measured = new Map(names.map((name) => [name, new Collected()]));
  for (let round = 0; round < rounds; round += 1) {
    // In turn, so that what disturbs the machine for a while does not hit one contender only.
    for (const [name, collected] of measured) await collected.add(() => figure.measure(bench, of, name));
  }
  return {
    ...{ figure: figure.name, case: of.label, tasks: of.tasks, rounds, machine },
    date: new Date().toISOString().slice(0, 10),
    rows: [...measured].map(([contender, collected]) => collected.row(contender)),
  };
}

/** The rounds of one contender. */
class Collected {
  readonly #values: Record<string, number[]> = {};
  readonly #notes = new Set<string>();

  async add(measure: () => Promise<Readonly<Record<string, number>>>): Promise<void> {
    try {
      for (const [key, value] of Object.entries(await measure())) (this.#values[key] ??= []).push(value);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof Skipped)) process.stderr.write(`${message}\n`);
      this.#notes.add(error instanceof Skipped ? `skipped: ${message}` : (message.split('\n')[0] ?? ''));
    }
  }

  row(contender: string): Row {
    return { contender, values: this.#values, notes: [...this.#notes] };
  }
}

/** Prints how the ratios have changed; 1 when one of them has regressed. */
function check(tables: readonly Table[], margin: number | undefined): number {
  const findings = compare(FIGURES, readTables(), tables, margin);
  if (findings.length === 0) {
    print('\nNothing that was measured is recorded: there is nothing to compare with.');
    return 1;
  }
  const header = ['figure', 'case', 'contender', 'metric', 'to', 'then', 'now', 'worse by', 'allowed', ''];
  const rows = findings.map((found) => [
    ...[found.figure, found.case, found.contender, found.metric, found.peer],
    ...[digits(found.then), digits(found.now), `${digits(found.worse)} %`, `${digits(found.margin)} %`],
    found.regressed ? 'REGRESSED' : '',
  ]);
  print(`\n${plainTable([header, ...rows])}`);
  const regressed = findings.filter((found) => found.regressed).length;
  print(`\n${findings.length} ratios compared, ${regressed} regressed.`);
  return regressed > 0 ? 1 : 0;
}
