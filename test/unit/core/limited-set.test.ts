import { expect, it } from 'vitest';
import { LimitedSet } from '../../../src/core/limited-set.ts';

it('forgets the oldest when there are too many; adding again makes young', () => {
  const set = new LimitedSet({ max: 3, expiresMs: 1000 });
  for (const id of ['a', 'b', 'c', 'a', 'd']) set.add(id);
  expect([...set]).toEqual(['c', 'a', 'd']);
  expect([set.has('b'), set.has('a'), set.size]).toEqual([false, true, 3]);
  expect([set.delete('a'), set.delete('a'), set.has('a')]).toEqual([true, false, false]);
});

it('forgets by age', () => {
  let now = 0;
  const set = new LimitedSet({ max: 10, expiresMs: 100, now: () => now });
  set.add('a');
  now = 50;
  set.add('b');
  now = 99;
  expect([set.has('a'), set.size]).toEqual([true, 2]);
  now = 100;
  expect([set.has('a'), set.has('b')]).toEqual([false, true]);
  expect([...set.values()]).toEqual(['b']);
  now = 150;
  expect(set.size).toBe(0);
});

it('keeps its order through any adding, adding again and deleting', () => {
  const reference: string[] = [];
  const set = new LimitedSet({ max: 5, expiresMs: 1000 });
  // Every order of adding, adding again and deleting: compared with a plain list.
  for (let step = 0; step < 5_000; step += 1) {
    const id = String((step * 7919) % 13);
    const at = reference.indexOf(id);
    if (at !== -1) reference.splice(at, 1);
    if (step % 4 === 3) set.delete(id);
    else {
      set.add(id);
      reference.push(id);
      if (reference.length > 5) reference.shift();
    }
    expect([...set]).toEqual(reference);
  }
});
