import { expect, it } from 'vitest';
import { LamportClock } from '../../../src/core/clock.ts';
import { newTaskId } from '../../../src/core/task-id.ts';

it('the Lamport clock moves forward and past what it hears', () => {
  const clock = new LamportClock();
  expect([clock.value, clock.forward(), clock.forward()]).toEqual([0, 1, 2]);
  expect(clock.adjust(10)).toBe(11);
  expect(clock.adjust(3)).toBe(12);
  expect(clock.value).toBe(12);
});

it('task ids are random UUIDs', () => {
  const ids = new Set(Array.from({ length: 100 }, newTaskId));
  expect(ids.size).toBe(100);
  for (const id of ids)
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});
