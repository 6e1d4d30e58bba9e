import { expect, it } from 'vitest';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { ALL_STATES, precedence, READY_STATES } from '../../../src/core/states.ts';

it('Releasers close last in first out, all of them, and throw the first failure', async () => {
  const closed: string[] = [];
  const own = new Releasers();
  own.push(() => closed.push('first'));
  own.own({
    [Symbol.asyncDispose]: () => {
      closed.push('second');
      return Promise.reject(new Error('second failed'));
    },
  });
  own.push(() => {
    closed.push('third');
    throw new Error('third failed');
  });
  await expect(own.release()).rejects.toThrow('third failed');
  expect(closed).toEqual(['third', 'second', 'first']);
  await own[Symbol.asyncDispose]();
  expect(closed).toHaveLength(3);
});

it('states rank as in Celery', () => {
  const ranked = [...ALL_STATES, 'PROGRESS'].sort((a, b) => precedence(a) - precedence(b));
  expect(ranked).toEqual([
    'SUCCESS',
    'FAILURE',
    'PROGRESS',
    'REVOKED',
    'STARTED',
    'RECEIVED',
    'REJECTED',
    'RETRY',
    'PENDING',
  ]);
  expect([...READY_STATES].every((state) => ALL_STATES.has(state))).toBe(true);
});
