import { expect, it } from 'vitest';
import { Fifo } from '../../../src/pool/fifo.ts';

it('gives back what it got, in order, whatever the rhythm', () => {
  const fifo = new Fifo<number>();
  const expected: number[] = [];
  const [taken, given]: [number[], number[]] = [[], []];
  let next = 0;
  for (let round = 1; round < 60; round += 1) {
    for (let count = 0; count < (round * 7) % 11; count += 1) {
      fifo.push(next);
      expected.push(next);
      given.push(next);
      next += 1;
    }
    for (let count = 0; count < (round * 5) % 9; count += 1) {
      const item = fifo.shift();
      expect(item).toBe(expected.shift());
      if (item !== undefined) taken.push(item);
    }
    expect(fifo.size).toBe(expected.length);
  }
  expect([...taken, ...fifo.takeAll()]).toEqual(given);
  expect([fifo.size, fifo.shift()]).toEqual([0, undefined]);
});
