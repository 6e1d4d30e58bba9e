import { describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { MemoryQueue } from '../../../src/transport/memory/queue.ts';
import { checkExchangeType, route, topicMatches } from '../../../src/transport/virtual/routing.ts';
import { expiresAtOf, fairShares } from '../../../src/transport/virtual/taking.ts';
import { envelope } from '../../support/messages.ts';

describe('topic patterns', () => {
  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.b', 'a.b.c', false],
    ['*', 'a', true],
    ['*', '', true],
    ['*', 'a.b', false],
    ['a.*', 'a', false],
    ['a.*.c', 'a.b.c', true],
    ['#', '', true],
    ['#', 'a.b.c', true],
    ['a.#', 'a', true],
    ['a.#', 'ab', false],
    ['#.c', 'c', true],
    ['#.c', 'a.b.c', true],
    ['a.#.c', 'a.c', true],
    ['a.#.c', 'a.b.b.c', true],
    ['a.#.c', 'a.b.b', false],
    ['#.#', 'a', true],
    ['*.#', '', true],
    ['#.b.#.d', 'a.b.c.b.d', true],
    ['task.+', 'task.x', false],
  ])('%s, key %j: %s', (pattern, key, matches) => {
    expect(topicMatches(pattern, key)).toBe(matches);
  });

  it('stay fast with many #', () => {
    const pattern = `${'#.a.'.repeat(30)}b`;
    expect(topicMatches(pattern, 'a.'.repeat(200) + 'c')).toBe(false);
  });
});

describe('exchanges', () => {
  const bindings = [
    { routingKey: 'a', queue: 'q1' },
    { routingKey: 'a', queue: 'q2' },
    { routingKey: '#', queue: 'q2' },
  ];

  it.each([
    ['direct', 'a', ['q1', 'q2']],
    ['direct', 'b', []],
    ['topic', 'a', ['q1', 'q2']],
    ['topic', 'b', ['q2']],
    ['fanout', 'b', ['q1', 'q2']],
  ])('%s, key %s: %j', (type, key, queues) => {
    expect([...route(type, bindings, key)]).toEqual(queues);
  });

  it('of other types are refused', () => {
    expect(() => checkExchangeType('x', 'headers')).toThrow(ImproperlyConfigured);
    expect(() => checkExchangeType('x', 'constructor')).toThrow(
      /'x'.*'constructor', only direct, topic, fanout/,
    );
  });
});

describe('sharing the window', () => {
  it.each([
    ['one queue', { a: 9 }, 4, { a: 4 }],
    ['equal parts', { a: 9, b: 9 }, 4, { a: 2, b: 2 }],
    ['what one does not use', { a: 1, b: 9, c: 0 }, 6, { a: 1, b: 5, c: 0 }],
    ['the first before the others', { a: 9, b: 9 }, 1, { a: 1, b: 0 }],
    ['no limit but the batch', { a: 500 }, Infinity, { a: 200 }],
    ['nothing', { a: 5 }, 0, { a: 0 }],
  ])('%s', (_, waiting: Record<string, number>, room, taken) => {
    const left = { ...waiting };
    const got: Record<string, number> = Object.fromEntries(Object.keys(waiting).map((name) => [name, 0]));
    const from = Object.keys(waiting).map((queue) => ({ queue, noAck: false }));
    fairShares(from, { room, limit: 200 }, ({ queue }, atMost) => {
      const count = Math.min(left[queue] ?? 0, atMost);
      left[queue] = (left[queue] ?? 0) - count;
      got[queue] = (got[queue] ?? 0) + count;
      return count;
    });
    expect(got).toEqual(taken);
  });

  it('does not count what is not settled', () => {
    const asked: [string, number][] = [];
    const from = [
      { queue: 'a', noAck: false },
      { queue: 'b', noAck: true },
    ];
    fairShares(from, { room: 0, limit: 10 }, ({ queue }, atMost) => asked.push([queue, atMost]) * 0);
    expect(asked).toEqual([['b', 10]]);
  });
});

describe('expiry', () => {
  it.each([
    ['1000', true],
    ['', false],
    ['soon', false],
    ['-5', false],
  ])('of %j is one: %s', (expiration, expires) => {
    const at = expiresAtOf(envelope('', { properties: { expiration } }));
    if (expires) expect(at).toBeCloseTo(Date.now() + 1000, -2);
    else expect(at).toBeUndefined();
  });
});

describe('the queue in memory', () => {
  const message = (order: number, priority = 0, expiresAt = Infinity) => ({
    order,
    priority,
    expiresAt,
    text: String(order),
    redelivered: false,
  });
  const drain = (queue: MemoryQueue): number[] => {
    const orders: number[] = [];
    for (let next = queue.take(); next; next = queue.take()) orders.push(next.order);
    return orders;
  };

  it('gives the urgent first, then the oldest, and what came back in its old place', () => {
    const queue = new MemoryQueue();
    for (const item of [message(1), message(2, 5), message(3), message(4, 9), message(5, 5)]) queue.add(item);
    const [first, second] = [queue.take(), queue.take()];
    expect([first?.order, second?.order]).toEqual([4, 2]);
    queue.add(message(2, 5));
    expect(queue.size).toBe(4);
    expect(drain(queue)).toEqual([2, 5, 1, 3]);
    expect(queue.size).toBe(0);
  });

  it('puts many back in any order', () => {
    const queue = new MemoryQueue();
    for (let order = 0; order < 3_000; order += 1) queue.add(message(order));
    for (let count = 0; count < 2_500; count += 1) queue.take();
    for (const order of [2_400, 7, 2_499, 1_024, 0]) queue.add(message(order));
    expect(queue.size).toBe(505);
    expect(drain(queue).slice(0, 7)).toEqual([0, 7, 1_024, 2_400, 2_499, 2_500, 2_501]);
  });

  it('drops what has expired', () => {
    const queue = new MemoryQueue();
    queue.add(message(1, 0, Date.now() - 1));
    queue.add(message(2, 3, Date.now() - 1));
    queue.add(message(3));
    expect(queue.size).toBe(1);
    queue.add(message(4, 0, Date.now() - 1));
    expect(drain(queue)).toEqual([3]);
    queue.add(message(5));
    queue.clear();
    expect(queue.size).toBe(0);
  });
});
