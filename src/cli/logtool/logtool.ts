import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CliFailure, EXIT } from '../failure.ts';
import { print } from '../output.ts';
import { pythonJson } from '../replies.ts';
import { Audit, entriesOf } from './audit.ts';
import type { LogEntry } from './audit.ts';

/** The commands below `celery-ts logtool`. */
export type LogtoolCommand = 'stats' | 'traces' | 'errors' | 'incomplete' | 'debug';

/** `celery-ts logtool`: reads logs of our and of Celery's workers, from files or from its standard input. */
export async function runLogtool(
  command: LogtoolCommand,
  files: readonly string[],
  { json = false }: { readonly json?: boolean },
): Promise<number> {
  const audit = new Audit();
  const show = SHOWS[command];
  const found: unknown[] = [];
  for await (const entry of entriesOf(linesOf(files))) {
    audit.add(entry);
    const text = show?.(entry);
    if (text === undefined) continue;
    if (json) found.push(entry.task === undefined ? { line: text } : { id: entry.task.id, line: text });
    else print(text);
  }
  if (command === 'stats') print(json ? pythonJson(numbers(audit)) : report(audit));
  else if (command === 'incomplete' && json) print(pythonJson(audit.incomplete));
  else if (command === 'incomplete') for (const id of audit.incomplete) print(`Did not complete: ${id}`);
  else if (json) print(pythonJson(found));
  return EXIT.ok;
}

const SHOWS: Partial<Record<LogtoolCommand, (entry: LogEntry) => string | undefined>> = {
  traces: ({ line, more }) => {
    const trace = more.filter((each) => each !== '');
    return trace.length === 0 ? undefined : [line, ...trace].join('\n');
  },
  errors: ({ line, task }) => (task?.kind === 'ended' && task.end === 'failed' ? line : undefined),
  debug: ({ line, task }) => (task === undefined && line !== '' ? line : undefined),
};

function numbers(audit: Audit): Record<string, unknown> {
  return {
    total: audit.received.size,
    errors: audit.count('failed'),
    succeeded: audit.count('succeeded'),
    completed: audit.ended.size,
    types: Object.fromEntries(audit.byFrequency),
  };
}

function report(audit: Audit): string {
  const types = audit.byFrequency.map(([name, count]) => `${name}: ${String(count)}`);
  return [
    '',
    'Report',
    '======',
    `Task total: ${String(audit.received.size)}`,
    `Task errors: ${String(audit.count('failed'))}`,
    `Task success: ${String(audit.count('succeeded'))}`,
    `Task completed: ${String(audit.ended.size)}`,
    'Tasks',
    '=====',
    ...types,
    ...(types.length === 0 ? [''] : []),
    '',
  ].join('\n');
}

async function* linesOf(files: readonly string[]): AsyncGenerator<string> {
  const inputs = files.length === 0 ? ['-'] : files;
  for (const file of inputs) {
    const stream = file === '-' ? process.stdin : createReadStream(file);
    try {
      yield* createInterface({ input: stream, crlfDelay: Infinity });
    } catch (error) {
      throw new CliFailure(`Error: Cannot read ${file}: ${(error as Error).message}`, undefined, {
        cause: error,
      });
    }
  }
}
