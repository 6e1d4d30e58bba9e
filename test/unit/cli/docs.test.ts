import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { buildProgram } from '../../../src/cli/commands.ts';

const program = buildProgram('0.0.0', {}, () => undefined);
const docs = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
const table = docs.slice(docs.indexOf('## Every option'));

/** `worker --concurrency`, for every option of every command. */
function options(command: Command, path: readonly string[] = []): string[] {
  const own = command.options.flatMap(({ long, hidden }) => (hidden ? [] : [[...path, long].join(' ')]));
  return [...own, ...command.commands.flatMap((each) => options(each, [...path, each.name()]))];
}

/** The options in the rows of a command: those of Celery and ours. */
function rows(): string[] {
  return [...table.matchAll(/^\| `([^`]*)` +\| (.*?) +\| (yes|ours)/gm)].flatMap(([, path = '', cell = '']) =>
    [...cell.matchAll(/(--[\w-]+)/g)].map(([flag]) => (path === 'celery-ts' ? flag : `${path} ${flag}`)),
  );
}

it('has a row for every option there is, and none for one that is not', () => {
  const ours = options(program).filter((option) => !option.endsWith('--help'));
  expect(new Set(rows())).toEqual(new Set(ours));
});
