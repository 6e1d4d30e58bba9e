import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { nullLogger } from '../../../src/core/logger.ts';
import { Prefetch, type PrefetchWindow } from '../../../src/worker/prefetch.ts';

function prefetch(
  options: { multiplier?: number; etaLimit?: number | null; lines?: string[] } = {},
): Prefetch {
  const { multiplier = 4, etaLimit = null, lines = [] } = options;
  const logger = { ...nullLogger, info: (line: string) => lines.push(line) };
  return new Prefetch({ concurrency: 2, multiplier, etaLimit, logger });
}

async function attached(window: Prefetch): Promise<PrefetchWindow[]> {
  const counts: PrefetchWindow[] = [];
  await window.attach(async (count) => {
    counts.push(count);
  });
  return counts;
}

describe('the window', () => {
  test.each([
    { name: 'is slots times multiplier', eta: 0, token: 0, count: 8 },
    { name: 'grows by one for each message that waits for its time', eta: 3, token: 0, count: 11 },
    { name: 'and for each that waits for a token', eta: 0, token: 5, count: 13 },
    { name: 'of these for a thousand at most', eta: 2, token: 5000, count: 1010 },
    { name: 'stays within worker_eta_task_limit', eta: 30, etaLimit: 20, token: 0, count: 20 },
    { name: 'but never falls below its usual size', eta: 30, etaLimit: 5, token: 0, count: 8 },
    { name: 'has no limit with multiplier 0', multiplier: 0, eta: 3, token: 3, count: 0 },
  ])('$name', ({ eta, token, count, ...options }) => {
    const window = prefetch(options);
    for (let held = 0; held < eta; held += 1) window.holdForTime(1);
    for (let held = 0; held < token; held += 1) window.holdForToken(1);
    expect(window.count).toBe(count);
  });

  test('is set at once on a new channel, and anew when nothing is held any more', async () => {
    const window = prefetch();
    window.holdForTime(1);
    expect(await attached(window)).toEqual([9]);
    window.detach();
    expect(await attached(window)).toEqual([8]);
  });
});

describe('a window beyond what the broker keeps to', () => {
  test('is told of when it is reached, and once', async () => {
    const lines: string[] = [];
    const logger = { ...nullLogger, warning: (line: string) => lines.push(line) };
    const window = new Prefetch({ concurrency: 2, multiplier: 4, etaLimit: null, largest: 9, logger });
    const counts = await attached(window);
    const steps: [held: number, told: number][] = [];
    for (const change of [1, 1, 1, -1, -1, 1] as const) {
      window.holdForTime(change);
      await turn();
      steps.push([counts.at(-1) as number, lines.length]);
    }
    expect(steps).toEqual([
      [9, 0],
      [10, 1],
      [11, 1],
      [10, 1],
      [9, 1],
      [10, 2],
    ]);
    expect(lines[0]).toBe('QoS: Disabled: prefetch_count exceeds 9');
    window.detach();
    window.holdForTime(1);
    window.holdForTime(1);
    await attached(window);
    expect(lines).toHaveLength(3);
  });
});

describe('changes', () => {
  test('of one turn leave as one', async () => {
    const window = prefetch();
    const counts = await attached(window);
    for (let held = 0; held < 100; held += 1) window.holdForTime(1);
    window.holdForTime(-1);
    await turn();
    expect(counts).toEqual([8, 107]);
  });

  test('that cancel each other out do not leave at all', async () => {
    const window = prefetch();
    const counts = await attached(window);
    window.holdForTime(1);
    window.holdForTime(-1);
    await turn();
    expect(counts).toEqual([8]);
  });

  test('wait for the one that is under way, and only the last of them counts', async () => {
    const window = prefetch();
    const counts: PrefetchWindow[] = [];
    let answer: () => void = () => undefined;
    await window.attach((count) => {
      counts.push(count);
      return counts.length === 1 ? Promise.resolve() : new Promise((resolve) => (answer = resolve));
    });
    window.holdForTime(1);
    await turn();
    window.holdForTime(1);
    await turn();
    window.holdForTime(1);
    await turn();
    expect(counts).toEqual([8, 9]);
    answer();
    await turn();
    await turn();
    expect(counts).toEqual([8, 9, 11]);
  });

  test('are lost with the channel, and no error escapes', async () => {
    const window = prefetch();
    let calls = 0;
    await window.attach(async () => {
      calls += 1;
      if (calls > 1) throw new Error('channel closed');
    });
    window.holdForTime(1);
    await turn();
    expect(calls).toBe(2);
    window.detach();
    window.holdForTime(1);
    await turn();
    expect(calls).toBe(2);
  });
});

test('after a lost connection less is taken ahead until the running tasks have ended', async () => {
  const lines: string[] = [];
  const window = prefetch({ lines });
  window.reduce(0);
  expect(window.count).toBe(8);
  window.reduce(1);
  const counts = await attached(window);
  window.restore();
  await turn();
  window.restore();
  expect(counts).toEqual([4, 8]);
  expect(lines).toEqual([
    'Temporarily reducing the prefetch count to 4 to avoid over-fetching since 1 tasks are currently being processed.\n' +
      'The prefetch count will be gradually restored to 8 as the tasks complete processing.',
    'Resuming normal operations following a restart.\nPrefetch count has been restored to the maximum of 8',
  ]);
});

test('however many tasks run, one multiplier is left', () => {
  const window = prefetch();
  window.reduce(10);
  expect(window.count).toBe(4);
});

describe('with slots only', () => {
  test('tasks that run on without their message take its place, and the last of them closes the window', async () => {
    const window = new Prefetch({
      concurrency: 2,
      multiplier: 4,
      etaLimit: null,
      slotsOnly: true,
      logger: nullLogger,
    });
    const counts = await attached(window);
    const [first, second] = [{}, {}];
    await window.occupy(first);
    await window.occupy(second);
    expect([counts, window.count]).toEqual([[2, 1, 'closed'], 0]);
    window.vacate(first);
    await turn();
    window.vacate(first);
    window.holdForTime(1);
    await turn();
    expect(counts).toEqual([2, 1, 'closed', 1, 2]);
    // Slots stay taken over a lost connection.
    window.detach();
    expect(await attached(window)).toEqual([1]);
  });

  test('nobody waits for a broker that is gone', async () => {
    const window = new Prefetch({
      concurrency: 1,
      multiplier: 4,
      etaLimit: null,
      slotsOnly: true,
      logger: nullLogger,
    });
    await window.attach((count) => (count === 1 ? Promise.resolve() : new Promise(() => undefined)));
    const heeded = window.occupy({});
    window.detach();
    await heeded;
    expect(window.occupy({})).toBe(undefined);
  });
});
