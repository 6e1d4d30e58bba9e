import { describe, expect, it } from 'vitest';
import { Audit, entriesOf, taskLine } from '../../../src/cli/logtool/audit.ts';
import type { LogEntry } from '../../../src/cli/logtool/audit.ts';

const AT = '[2026-11-22 15:09:43,508: INFO/MainProcess]';
const A = 'tasks.add[e1]';

describe('lines about tasks', () => {
  it.each([
    [`${AT} Task ${A} received`, 'received', undefined],
    [`${AT} Received task: ${A} eta:[2026-11-22]`, 'received', undefined],
    [`${AT} Task ${A} succeeded in 0.008s: 5`, 'ended', 'succeeded'],
    [`${AT} Task ${A} retry: Retry in 1s`, 'retry', undefined],
    [`${AT} Task ${A} raised unexpected: ValueError('x')`, 'ended', 'failed'],
    [`${AT} Task ${A} raised expected: KeyError('k')`, 'ended', 'failed'],
    [`${AT} Task ${A} INTERNAL ERROR: x`, 'ended', 'failed'],
    [`${AT} Hard time limit (1.5s) exceeded for ${A}`, 'ended', 'failed'],
    [`${AT} Task ${A} ignored`, 'ended', 'other'],
    [`${AT} Task ${A} reject requeue=False: no`, 'ended', 'other'],
    [`${AT} Discarding revoked task: ${A}`, 'ended', 'other'],
  ])('%s', (line, kind, end) => {
    expect(taskLine(line)).toEqual({ kind, name: 'tasks.add', id: 'e1', ...(end !== undefined && { end }) });
  });

  it.each([`${AT} w@h ready.`, `Task ${A} received`, `${AT} Soft time limit (1s) exceeded for ${A}`, ''])(
    'not: %s',
    (line) => {
      expect(taskLine(line)).toBeUndefined();
    },
  );
});

async function read(lines: readonly string[]): Promise<LogEntry[]> {
  const found: LogEntry[] = [];
  async function* each(): AsyncGenerator<string> {
    await Promise.resolve();
    yield* lines;
  }
  for await (const entry of entriesOf(each())) found.push(entry);
  return found;
}

describe('a log', () => {
  const lines = [
    'banner',
    `${AT} Task ${A} received`,
    `${AT} Task ${A} raised unexpected: Error`,
    'Traceback',
    '  more',
    `${AT} Task tasks.add[e2] received`,
    `${AT} Task tasks.sub[e3] received`,
    `${AT} Task tasks.sub[e3] succeeded in 1s: 1`,
  ];

  it('is put together to entries', async () => {
    const entries = await read(lines);
    expect(entries.map(({ line, more }) => [line, more.length])).toEqual(
      lines
        .filter((line) => !['Traceback', '  more'].includes(line))
        .map((line) => [line, /raised/.test(line) ? 2 : 0]),
    );
  });

  it('is counted; a task that is received again has not ended', async () => {
    const audit = new Audit();
    for (const entry of await read(lines)) audit.add(entry);
    expect(audit.byFrequency).toEqual([
      ['tasks.add', 2],
      ['tasks.sub', 1],
    ]);
    expect([audit.received.size, audit.count('failed'), audit.count('succeeded')]).toEqual([3, 1, 1]);
    expect(audit.incomplete).toEqual(['e2']);
    for (const entry of await read([`${AT} Task tasks.sub[e3] received`])) audit.add(entry);
    expect(audit.incomplete).toEqual(['e2', 'e3']);
  });
});
