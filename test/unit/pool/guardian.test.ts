import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { deferred } from '../../../src/core/async.ts';
import { nullLogger } from '../../../src/core/logger.ts';
import { Guardian } from '../../../src/pool/guardian.ts';

const started: ChildProcess[] = [];

function sleeper(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  started.push(child);
  if (child.pid === undefined) throw new Error('sleep did not start');
  return child as ChildProcess & { pid: number };
}

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

it('kills at its end those that are still in its list, and no other', async () => {
  const guardian = new Guardian(nullLogger);
  const children = Array.from({ length: 5 }, sleeper);
  for (const child of children) guardian.add(child.pid);
  const [first, second, third, fourth, fifth] = children;
  for (const child of [first, third, fifth]) guardian.remove(child?.pid ?? 0);
  const ends = [second, fourth].map((child) => once(child as ChildProcess, 'exit'));
  const pid = guardian.pid;
  await guardian.close();
  expect(await Promise.all(ends)).toEqual([
    [null, 'SIGKILL'],
    [null, 'SIGKILL'],
  ]);
  expect([first, third, fifth].map((child) => child?.signalCode)).toEqual([null, null, null]);
  expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
});

it('ends at once when nobody is left', async () => {
  const child = sleeper();
  const took: number[] = [];
  // One that waits before it kills never takes less; one that does not may be held up by a busy machine.
  for (let round = 0; round < 5; round += 1) {
    const guardian = new Guardian(nullLogger);
    guardian.add(child.pid);
    guardian.remove(child.pid);
    const start = performance.now();
    await guardian.close();
    took.push(performance.now() - start);
  }
  expect(Math.min(...took)).toBeLessThan(180);
  expect(child.signalCode).toBeNull();
});

it('is started again with the whole list after it was killed, and says so once', async () => {
  const warnings: string[] = [];
  const warned = deferred<undefined>();
  const guardian = new Guardian({
    ...nullLogger,
    warning: (message) => {
      warnings.push(message);
      warned.resolve(undefined);
    },
  });
  const [first, second] = [sleeper(), sleeper()];
  guardian.add(first.pid);
  process.kill(guardian.pid ?? 0, 'SIGKILL');
  await warned.promise;
  guardian.add(second.pid);
  const ends = [first, second].map((child) => once(child, 'exit'));
  await guardian.close();
  await Promise.all(ends);
  expect(warnings).toHaveLength(1);
});

it('may be closed without having been used, and twice', async () => {
  const guardian = new Guardian(nullLogger);
  await guardian.close();
  await guardian.close();
});
