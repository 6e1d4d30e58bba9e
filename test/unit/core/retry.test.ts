import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RetryPolicy } from '../../../src/core/retry.ts';
import { backoff, delayMs, retry } from '../../../src/core/retry.ts';

const policy: RetryPolicy = { maxRetries: 3, intervalStartMs: 1, intervalStepMs: 2, intervalMaxMs: 4 };

describe('retry', () => {
  it('pauses longer each time up to the longest', () => {
    expect([1, 2, 3, 4, 50].map((attempt) => delayMs(policy, attempt))).toEqual([1, 3, 4, 4, 4]);
    expect(delayMs({ ...policy, intervalStartMs: -5 }, 1)).toBe(0);
  });

  it.each([
    ['succeeds at the first attempt', 0, 3, [0], 'done'],
    ['succeeds after failures', 2, 3, [0, 1, 2], 'done'],
    ['succeeds at the last attempt allowed', 3, 3, [0, 1, 2, 3], 'done'],
    ['gives up with the last error', 9, 3, [0, 1, 2, 3], 'error 3'],
    ['does not retry with maxRetries 0', 9, 0, [0], 'error 0'],
    ['goes on for ever with null', 9, null, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'done'],
  ])('%s', async (_, failures, maxRetries, attempts, end) => {
    const seen: number[] = [];
    const told: unknown[] = [];
    const result = retry(
      (attempt) => {
        seen.push(attempt);
        return attempt < failures ? Promise.reject(new Error(`error ${attempt}`)) : Promise.resolve('done');
      },
      { ...policy, maxRetries, intervalMaxMs: 1 },
      { retryIf: () => true, onRetry: (error, attempt, ms) => told.push([String(error), attempt, ms]) },
    );
    expect(await result.catch((error: unknown) => (error as Error).message)).toBe(end);
    expect(seen).toEqual(attempts);
    expect(told).toEqual(attempts.slice(1).map((attempt) => [`Error: error ${attempt - 1}`, attempt, 1]));
  });

  it('throws at once what is not worth another attempt', async () => {
    let attempts = 0;
    const failing = retry(
      () => {
        attempts += 1;
        return Promise.reject(new TypeError('mine'));
      },
      policy,
      { retryIf: (error) => !(error instanceof TypeError) },
    );
    await expect(failing).rejects.toThrow('mine');
    expect(attempts).toBe(1);
  });

  it('ends its pause with the reason of the signal', async () => {
    const controller = new AbortController();
    const reason = new Error('shutdown');
    const failing = retry(
      () => Promise.reject(new Error('down')),
      { ...policy, intervalStartMs: 60_000, intervalMaxMs: 60_000 },
      {
        signal: controller.signal,
        retryIf: () => true,
        onRetry: () => setImmediate(() => controller.abort(reason)),
      },
    );
    await expect(failing).rejects.toBe(reason);
    await expect(
      retry(() => Promise.resolve(1), policy, { signal: controller.signal, retryIf: () => true }),
    ).rejects.toBe(reason);
  });
});

interface BackoffFixture {
  readonly cases: {
    factor: number;
    retries: number;
    maximum: number;
    result?: number;
    full_jitter?: boolean;
  }[];
}

describe('backoff', () => {
  const { cases } = JSON.parse(
    readFileSync(new URL('../../fixtures/wire/backoff.json', import.meta.url), 'utf8'),
  ) as BackoffFixture;

  it('doubles up to the maximum as Celery does, case by case', () => {
    const plain = cases.filter((each) => each.result !== undefined && each.full_jitter !== true);
    expect(plain.length).toBeGreaterThan(50);
    for (const { factor, retries, maximum, result } of plain) {
      expect(backoff({ factorS: factor, retries, maxS: maximum, jitter: false })).toBe(result);
    }
  });

  it('spreads over 0 to the wait in whole seconds with jitter', () => {
    const seen = new Set(
      Array.from({ length: 2000 }, () => backoff({ factorS: 1, retries: 2, maxS: 600, jitter: true })),
    );
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
