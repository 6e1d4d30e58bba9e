import { expect, test } from 'vitest';
import { nullLogger } from '../../../src/core/logger.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { Blueprint } from '../../../src/worker/blueprint.ts';
import type { Bootstep } from '../../../src/worker/blueprint.ts';

const never = new AbortController().signal;

function steps(journal: string[], failing: Readonly<Record<string, 'start' | 'stop'>> = {}): Bootstep[] {
  return ['a', 'b', 'c'].map((name) => ({
    name,
    start: async () => {
      journal.push(`+${name}`);
      if (failing[name] === 'start') throw new Error(`${name} does not start`);
    },
    stop: async () => {
      journal.push(`-${name}`);
      if (failing[name] === 'stop') throw new Error(`${name} does not stop`);
    },
  }));
}

function errorsOf(journal: string[]): Logger {
  return { ...nullLogger, error: (message) => journal.push(message) };
}

test('starts in order, stops in reverse, once', async () => {
  const journal: string[] = [];
  const blueprint = new Blueprint(steps(journal), nullLogger);
  await blueprint.stop();
  await blueprint.start(never);
  await blueprint.stop();
  await blueprint.stop();
  expect(journal).toEqual(['+a', '+b', '+c', '-c', '-b', '-a']);
});

test('a part that fails to start is stopped too, those after it are not touched', async () => {
  const journal: string[] = [];
  const blueprint = new Blueprint(steps(journal, { b: 'start' }), nullLogger);
  await expect(blueprint.start(never)).rejects.toThrow('b does not start');
  await blueprint.stop();
  expect(journal).toEqual(['+a', '+b', '-b', '-a']);
});

test('a part that fails to stop is logged and does not keep the others', async () => {
  const journal: string[] = [];
  const blueprint = new Blueprint(steps(journal, { b: 'stop' }), errorsOf(journal));
  await blueprint.start(never);
  await blueprint.stop();
  expect(journal).toEqual(['+a', '+b', '+c', '-c', '-b', 'Worker: b could not be closed', '-a']);
});

test('an aborted start leaves the rest unstarted', async () => {
  const journal: string[] = [];
  const stop = new AbortController();
  const parts = steps(journal);
  const blueprint = new Blueprint(
    [
      {
        name: 'first',
        start: async () => {
          stop.abort(new Error('enough'));
        },
        stop: async () => undefined,
      },
      ...parts,
    ],
    nullLogger,
  );
  await expect(blueprint.start(stop.signal)).rejects.toThrow('enough');
  expect(journal).toEqual([]);
});
