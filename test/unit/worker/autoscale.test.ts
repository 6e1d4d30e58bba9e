import { describe, expect, it } from 'vitest';
import type { Pool } from '../../../src/pool/pool.ts';
import { Autoscaler } from '../../../src/worker/autoscale.ts';
import { Prefetch } from '../../../src/worker/prefetch.ts';
import { WorkerState } from '../../../src/worker/state.ts';
import { LogLines } from '../../support/log-lines.ts';

/** A pool of which only the size matters, and how many slots are busy. */
function makePool(size: number): Pool & { size: number; busy: number } {
  const pool = {
    size,
    busy: 0,
    get free(): number {
      return Math.max(0, this.size - this.busy);
    },
    grow(count: number) {
      pool.size += count;
      return Promise.resolve();
    },
    shrink(count: number) {
      pool.size -= count;
      return Promise.resolve();
    },
    name: 'prefork',
  };
  return pool as unknown as Pool & { size: number; busy: number };
}

function setUp(max: number, min: number, keepAliveMs = -1) {
  const { logger } = new LogLines();
  const pool = makePool(Math.max(1, min));
  const state = new WorkerState();
  const prefetch = new Prefetch({ concurrency: max, multiplier: 4, etaLimit: null, logger });
  const pumped: number[] = [];
  const pump = (): void => void pumped.push(pool.size);
  const autoscaler = new Autoscaler({ max, min, pool, state, prefetch, logger, pump, keepAliveMs });
  const load = (tasks: number): void => {
    const reserved = state.reserved as unknown as Set<number>;
    reserved.clear();
    for (let count = 0; count < tasks; count += 1) reserved.add(count);
    pool.busy = Math.min(tasks, pool.size);
    autoscaler.scale();
  };
  return { pool, state, prefetch, autoscaler, load, pumped };
}

describe('the autoscaler', () => {
  it.each([
    { tasks: 0, size: 2 },
    { tasks: 2, size: 2 },
    { tasks: 4, size: 4 },
    { tasks: 50, size: 6 },
  ])('has $size processes for $tasks tasks between 6 and 2', ({ tasks, size }) => {
    const { pool, load, pumped } = setUp(6, 2);
    load(tasks);
    expect(pool.size).toBe(size);
    expect(pumped).toEqual(size > 2 ? [size] : []);
  });

  it('takes idle processes back, one always stays, and none before their time', () => {
    const { pool, load } = setUp(6, 0);
    load(6);
    load(3);
    expect(pool.size).toBe(3);
    load(0);
    expect(pool.size).toBe(1);
    const kept = setUp(6, 0, 60_000);
    kept.load(6);
    kept.load(0);
    expect(kept.pool.size).toBe(6);
  });

  it('takes new limits', () => {
    const { pool, prefetch, autoscaler, load } = setUp(6, 1);
    load(6);
    pool.busy = 0;
    expect(autoscaler.update({ max: 3 })).toEqual({ max: 3, min: 1 });
    expect([pool.size, prefetch.count]).toEqual([3, 12]);
    expect(autoscaler.update({ max: 8, min: 5 })).toEqual({ max: 8, min: 5 });
    expect(autoscaler.info()).toEqual({ max: 8, min: 5, current: 5, qty: 6 });
    expect(() => autoscaler.update({ max: 4 })).toThrow('max=4 is below 5');
  });
});
