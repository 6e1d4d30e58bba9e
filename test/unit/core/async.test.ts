import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { deferred, sleep, withTimeout } from '../../../src/core/async.ts';
import { TimeoutError } from '../../../src/core/errors.ts';

describe('deferred', () => {
  it('is settled by its holder, once', async () => {
    const good = deferred<number>();
    good.resolve(1);
    good.reject(new Error('too late'));
    await expect(good.promise).resolves.toBe(1);
    const bad = deferred<number>();
    bad.reject('reason');
    await expect(bad.promise).rejects.toBe('reason');
  });
});

describe('sleep', () => {
  it('waits and leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    const start = performance.now();
    await sleep(20, signal);
    expect(performance.now() - start).toBeGreaterThanOrEqual(18);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it.each([
    ['before', 0],
    ['during', 10],
  ])('throws the reason when aborted %s', async (_, afterMs) => {
    const controller = new AbortController();
    const reason = new Error('stop');
    if (afterMs === 0) controller.abort(reason);
    else setTimeout(() => controller.abort(reason), afterMs);
    await expect(sleep(60_000, controller.signal)).rejects.toBe(reason);
  });
});

describe('withTimeout', () => {
  it('passes on what the promise gives, in time', async () => {
    await expect(withTimeout(Promise.resolve(1), 1000, 'late')).resolves.toBe(1);
    await expect(withTimeout(Promise.reject(new RangeError('own')), 1000, 'late')).rejects.toThrow(
      RangeError,
    );
  });

  it('throws TimeoutError with the message when it is late', async () => {
    const error: unknown = await withTimeout(new Promise(() => undefined), 5, 'no reply in 5 ms').catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toHaveProperty('message', 'no reply in 5 ms');
  });
});
