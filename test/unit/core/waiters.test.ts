import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Waiters } from '../../../src/core/waiters.ts';
import { WeakList } from '../../../src/core/weak-list.ts';

test('all who wait are woken, those who come later at the next time', async () => {
  const waiters = new Waiters();
  const woken: string[] = [];
  waiters.wake();
  for (const name of ['a', 'b']) void waiters.wait().then(() => woken.push(name));
  waiters.wake();
  void waiters.wait().then(() => woken.push('c'));
  await setImmediate();
  expect(woken).toEqual(['a', 'b']);
  waiters.wake();
  await setImmediate();
  expect(woken).toEqual(['a', 'b', 'c']);
});

test('a weak list keeps its order, and nothing of what was collected', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const list = new WeakList<{ name: string }>();
  const kept = ['a', 'b'].map((name) => ({ name }));
  for (const item of kept) list.add(item);
  for (let count = 0; count < 1000; count += 1) list.add({ name: `${count}` });
  for (let rounds = 0; rounds < 100 && list.size > 2; rounds += 1) {
    collect();
    await setImmediate();
  }
  expect(list.size).toBe(2);
  expect([...list]).toEqual(kept);
});
