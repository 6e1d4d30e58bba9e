import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRate, TokenBucket } from '../../../src/core/token-bucket.ts';

interface RateCase {
  readonly rate: string | number | null | boolean;
  readonly result?: number | { $float: string };
  readonly raises?: { type: string; message: string };
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../fixtures/wire/rate-limits.json', import.meta.url), 'utf8'),
) as { cases: RateCase[] };

describe('parseRate', () => {
  it.each(cases.filter(({ rate }) => typeof rate !== 'boolean'))(
    '$rate as Celery reads it',
    ({ rate, result, raises }) => {
      const parse = (): number => parseRate(rate as string | number | null);
      if (raises === undefined) {
        expect(parse()).toBe(typeof result === 'object' ? Infinity : result);
        return;
      }
      // Python shows a KeyError's key as its repr.
      const message = raises.type === 'KeyError' ? raises.message.slice(1, -1) : raises.message;
      expect(parse).toThrow(expect.objectContaining({ name: raises.type, message }) as Error);
    },
  );

  it.each([
    ['1_000/m', 1000 / 60],
    ['.5', 0.5],
    ['5.', 5],
    [undefined, 0],
  ])('%s', (rate, perSecond) => {
    expect(parseRate(rate)).toBe(perSecond);
  });

  it.each(['0x10', '1__0', '1e', '--1', '_1', "it's", 'e5'])('refuses %s', (rate) => {
    expect(() => parseRate(rate)).toThrow(/^could not convert string to float: /);
  });
});

describe('TokenBucket', () => {
  function bucketAt(rate: number, capacity?: number): { bucket: TokenBucket; pass: (ms: number) => void } {
    let now = 1000;
    return { bucket: new TokenBucket(rate, capacity, () => now), pass: (ms) => (now += ms) };
  }

  it('lets one through at once, then one for each token that has come', () => {
    const { bucket, pass } = bucketAt(2);
    expect([bucket.canConsume(), bucket.canConsume()]).toEqual([true, false]);
    expect(bucket.expectedMs()).toBe(500);
    pass(499);
    expect(bucket.canConsume()).toBe(false);
    expect(bucket.expectedMs()).toBeCloseTo(1);
    pass(2);
    expect([bucket.expectedMs(), bucket.canConsume()]).toEqual([0, true]);
  });

  it('saves no more than its capacity', () => {
    const { bucket, pass } = bucketAt(10, 3);
    pass(60_000);
    expect([bucket.canConsume(2), bucket.canConsume(), bucket.canConsume()]).toEqual([true, true, false]);
    expect(bucket.expectedMs(2)).toBe(200);
  });

  it('keeps a rate over time', () => {
    const { bucket, pass } = bucketAt(10 / 60);
    let passed = 0;
    for (let ms = 0; ms < 600_000; ms += 50) {
      if (bucket.canConsume()) passed += 1;
      pass(50);
    }
    expect(passed).toBeGreaterThanOrEqual(99);
    expect(passed).toBeLessThanOrEqual(101);
  });
});
