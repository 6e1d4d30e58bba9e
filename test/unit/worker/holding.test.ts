import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { nullLogger } from '../../../src/core/logger.ts';
import { buildTaskMessage, parseTaskHeaders } from '../../../src/message/protocol2.ts';
import { Holding } from '../../../src/worker/holding.ts';
import { Prefetch } from '../../../src/worker/prefetch.ts';
import type { Request } from '../../../src/worker/request.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function request(id: string, task = 'tasks.add'): Request {
  const message = buildTaskMessage({ task, id, args: [], kwargs: {}, serializer: 'json', origin: 'test' });
  // Holding reads nothing but the headers.
  return { id, ...parseTaskHeaders(message.headers) } as unknown as Request;
}

function scene() {
  const prefetch = new Prefetch({ concurrency: 1, multiplier: 1, etaLimit: null, logger: nullLogger });
  const passed: string[] = [];
  const holding = new Holding({
    prefetch,
    onDue: ({ id }) => passed.push(`due ${id}`),
    onToken: ({ id }) => passed.push(`token ${id}`),
  });
  return { prefetch, holding, passed };
}

describe('time', () => {
  test('requests come out when they are due, not in the order of arrival', () => {
    const { prefetch, holding, passed } = scene();
    const now = Date.now();
    for (const [id, seconds] of [
      ['c', 3],
      ['a', 1],
      ['b', 2],
    ] as const) {
      holding.holdUntil(request(id), now + seconds * 1000);
    }
    expect(prefetch.count).toBe(4);
    expect([...holding.scheduled].map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    vi.advanceTimersByTime(2000);
    expect(passed).toEqual(['due a', 'due b']);
    expect(prefetch.count).toBe(2);
    vi.advanceTimersByTime(1000);
    expect(passed).toEqual(['due a', 'due b', 'due c']);
    expect(prefetch.count).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('one timer is armed for a hundred thousand', () => {
    const { holding, passed } = scene();
    const at = Date.now() + 7_200_000;
    const one = request('one');
    for (let n = 0; n < 100_000; n += 1) holding.holdUntil(Object.create(one) as Request, at);
    expect(vi.getTimerCount()).toBe(1);
    expect(holding.takeAll()).toHaveLength(100_000);
    expect(vi.getTimerCount()).toBe(0);
    expect(passed).toEqual([]);
  });
});

describe('rate limits', () => {
  test('without one everything passes', () => {
    const { holding } = scene();
    expect([1, 2, 3].map((n) => holding.admit(request(String(n))))).toEqual([true, true, true]);
  });

  test('spread requests over time, in order, and leave other types alone', () => {
    const { prefetch, holding, passed } = scene();
    holding.limit('tasks.add', '60/m');
    expect(['a', 'b', 'c'].map((id) => holding.admit(request(id)))).toEqual([true, false, false]);
    expect(holding.admit(request('x', 'tasks.other'))).toBe(true);
    expect(prefetch.count).toBe(3);
    vi.advanceTimersByTime(1001);
    expect(passed).toEqual(['token b']);
    // A token is there again, but somebody is in line.
    vi.advanceTimersByTime(500);
    expect(holding.admit(request('d'))).toBe(false);
    vi.advanceTimersByTime(2000);
    expect(passed).toEqual(['token b', 'token c', 'token d']);
    expect(prefetch.count).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([null, '', 0, '0/m'])('%j lifts the limit and lets go of all that wait', (rate) => {
    const { holding, passed } = scene();
    holding.limit('tasks.add', '1/h');
    for (const id of ['a', 'b', 'c']) holding.admit(request(id));
    holding.limit('tasks.add', rate);
    expect(passed).toEqual(['token b', 'token c']);
    expect(holding.admit(request('d'))).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a new limit takes the place of the old one, and the line stays', () => {
    const { holding, passed } = scene();
    holding.limit('tasks.add', '1/h');
    for (const id of ['a', 'b', 'c']) holding.admit(request(id));
    holding.limit('tasks.add', '10/s');
    vi.advanceTimersByTime(300);
    expect(passed).toEqual(['token b', 'token c']);
  });

  test('what is no rate leaves the old limit as it was', () => {
    const { holding } = scene();
    holding.limit('tasks.add', '1/h');
    expect(() => {
      holding.limit('tasks.add', 'bogus');
    }).toThrow("could not convert string to float: 'bogus'");
    expect(['a', 'b'].map((id) => holding.admit(request(id)))).toEqual([true, false]);
  });

  test('the limit outlives a lost connection, the line does not', async () => {
    const { prefetch, holding, passed } = scene();
    holding.limit('tasks.add', '1/s');
    for (const id of ['a', 'b']) holding.admit(request(id));
    holding.holdUntil(request('c'), Date.now() + 1000);
    expect(holding.size).toBe(2);
    expect(holding.takeAll().map(({ id }) => id)).toEqual(['c', 'b']);
    prefetch.detach();
    expect(holding.size).toBe(0);
    expect(prefetch.count).toBe(1);
    vi.advanceTimersByTime(100);
    expect(['d', 'e'].map((id) => holding.admit(request(id)))).toEqual([false, false]);
    vi.advanceTimersByTime(3000);
    expect(passed).toEqual(['token d', 'token e']);
    vi.useRealTimers();
    await turn();
  });
});
