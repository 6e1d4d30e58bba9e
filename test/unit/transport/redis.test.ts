import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { connectTransport, type TransportOptions } from '../../../src/transport/connect.ts';
import { Keys } from '../../../src/transport/redis/keys.ts';
import { redisOptions } from '../../../src/transport/redis/options.ts';
import { QueueOrder } from '../../../src/transport/redis/queue-order.ts';
import { markRedelivered, priorityOf, readRecord } from '../../../src/transport/redis/records.ts';
import { fanoutChannels } from '../../../src/transport/redis/subscriptions.ts';

describe('options of the Redis broker', () => {
  it("has kombu's defaults", () => {
    expect(redisOptions({}, 7)).toMatchObject({
      sep: '\x06\x16',
      prioritySteps: [0, 3, 6, 9],
      queueOrder: 'round_robin',
      unackedKey: 'unacked',
      unackedIndexKey: 'unacked_index',
      visibilityTimeoutMs: 3_600_000,
      leaseMs: 300_000,
      fanoutPrefix: '/7.',
      fanoutPatterns: true,
    });
  });

  it.each([
    [{ visibility_timeout: 20 }, { visibilityTimeoutMs: 20_000, leaseMs: 20_000 }],
    [
      { visibility_timeout: 9000, lease_timeout: 30 },
      { visibilityTimeoutMs: 9_000_000, leaseMs: 30_000 },
    ],
    // Redis takes whole milliseconds only.
    [{ lease_timeout: 1.0005 }, { leaseMs: 1001 }],
    [{ fanout_prefix: false }, { fanoutPrefix: '' }],
    [{ fanout_prefix: '/x{db}.' }, { fanoutPrefix: '/x7.' }],
    [{ priority_steps: [5, 0] }, { prioritySteps: [0, 5] }],
    [
      { health_check_interval: 3, socket_timeout: 2 },
      { healthCheckMs: 3000, answerWithinMs: 2000 },
    ],
    [{ max_connections: 20, retry_on_timeout: true, unacked_mutex_key: 'm' }, {}],
  ])('reads %j', (given, expected) => {
    expect(redisOptions(given, 7)).toMatchObject(expected);
  });

  it.each([
    [{ visibility_timeout: 'long' }, /visibility_timeout takes a number above 0, not "long"/],
    [{ lease_timeout: 0 }, /lease_timeout/],
    [{ priority_steps: [] }, /priority_steps/],
    [{ queue_order_strategy: 'random' }, /round_robin, priority, sorted, not "random"/],
    [{ fanout_prefix: 1 }, /fanout_prefix/],
    [{ sep: 1 }, /sep/],
    [{ ack_emulation: false }, /ack_emulation/],
  ])('refuses %j', (given, message) => {
    expect(() => redisOptions(given, 0)).toThrow(ImproperlyConfigured);
    expect(() => redisOptions(given, 0)).toThrow(message);
  });
});

describe('keys of the Redis broker', () => {
  // Recorded from the real kombu.
  it.each([
    [undefined, 'q'],
    [-1, 'q'],
    [0, 'q'],
    [2.9, 'q'],
    [3, 'q\x06\x163'],
    [5, 'q\x06\x163'],
    [8, 'q\x06\x166'],
    [9, 'q\x06\x169'],
    [255, 'q\x06\x169'],
  ])('priority %s is list %j', (priority, list) => {
    expect(new Keys(redisOptions({}, 0)).listFor('q', priority)).toBe(list);
  });

  it('puts the global prefix before all keys and channels', () => {
    const options = redisOptions({ global_keyprefix: 'p:' }, 2);
    const keys = new Keys(options);
    expect(keys.lists('q')).toEqual(['p:q', 'p:q\x06\x163', 'p:q\x06\x166', 'p:q\x06\x169']);
    expect(keys.held).toEqual(['p:unacked', 'p:unacked_index', 'p:unacked_index.leases']);
    expect(keys.bindings('x')).toBe('p:_kombu.binding.x');
    expect(fanoutChannels(options, 'x', '')).toEqual(['p:/2.x']);
    expect(fanoutChannels(options, 'x', 'a.*')).toEqual(['p:/2.x/a.*']);
    expect(fanoutChannels(redisOptions({ fanout_patterns: false }, 2), 'x', 'a.*')).toEqual(['/2.x']);
  });
});

describe('the second fanout channel of kombu before 5.4', () => {
  it.each([
    [{ sentinel_fanout_compat: true }, 'sentinel', ['/2.x', '/{db}.x']],
    [{ sentinel_fanout_compat: true, global_keyprefix: 'p:' }, 'sentinel', ['p:/2.x', 'p:/{db}.x']],
    [{}, 'sentinel', ['/2.x']],
    // Nobody listens to another one there.
    [{ sentinel_fanout_compat: true }, 'server', ['/2.x']],
    [{ sentinel_fanout_compat: true, fanout_prefix: false }, 'sentinel', ['x']],
    [{ sentinel_fanout_compat: true, fanout_prefix: '/mine.' }, 'sentinel', ['/mine.x']],
  ] as const)('%j by %s', (given, place, channels) => {
    expect(fanoutChannels(redisOptions(given, 2, place), 'x', '')).toEqual(channels);
  });

  it('takes true or false', () => {
    expect(() => redisOptions({ sentinel_fanout_compat: 1 }, 2, 'sentinel')).toThrow(
      'sentinel_fanout_compat takes a boolean, not 1',
    );
  });
});

describe('records of held messages', () => {
  const kombu =
    '{"body": "eyJhIjogMX0=", "content-encoding": "utf-8", "content-type": "application/json", ' +
    '"headers": {"id": "\\"headers\\": {", "f": 1.0, "n": 12345678901234567890}, "properties": ' +
    '{"delivery_info": {"exchange": "a\\"b", "routing_key": "c, d]"}, "priority": 4, "delivery_tag": "t"}}';

  it('is read without touching the envelope', () => {
    const record = readRecord(`[${kombu}, "a\\"b", "c, d]"]`);
    expect(record).toEqual({ envelope: kombu, exchange: 'a"b', routingKey: 'c, d]', malformed: false });
    expect(readRecord('["no json", "", "the list"]')).toEqual({
      envelope: 'no json',
      exchange: '',
      routingKey: 'the list',
      malformed: true,
    });
    for (const text of ['', '[]', '{}', '[1, 2, 3]']) expect(readRecord(text)).toBeUndefined();
  });

  it('marks an envelope as kombu does, and leaves every other character as it was', () => {
    const marked = markRedelivered(kombu);
    expect(marked.replaceAll('"redelivered": true, ', '')).toBe(kombu);
    const parsed = JSON.parse(marked) as {
      headers: Record<string, unknown>;
      properties: { delivery_info: Record<string, unknown> };
    };
    expect([parsed.headers['redelivered'], parsed.properties.delivery_info['redelivered']]).toEqual([
      true,
      true,
    ]);
    expect(markRedelivered(marked)).toBe(marked);
    expect(priorityOf(marked)).toBe(4);
  });

  it.each([
    ['{"headers": {}, "properties": {"delivery_info": {}}}'],
    ['{"headers": {"redelivered": false}, "properties": {"delivery_info": {"redelivered": null}}}'],
  ])('marks %s', (text) => {
    expect(JSON.parse(markRedelivered(text))).toEqual({
      headers: { redelivered: true },
      properties: { delivery_info: { redelivered: true } },
    });
  });

  it('reads what Python wrote', () => {
    const fixture = readFileSync(new URL('../../fixtures/wire/unacked-record.json', import.meta.url), 'utf8');
    const { value } = JSON.parse(fixture) as { value: string };
    const record = readRecord(value);
    const [envelope, exchange, routingKey] = JSON.parse(value) as [unknown, string, string];
    expect(record).toMatchObject({ exchange, routingKey, malformed: false });
    expect(JSON.parse(record?.envelope ?? '')).toEqual(envelope);
  });
});

describe('queue_order_strategy', () => {
  const served = (strategy: 'round_robin' | 'priority' | 'sorted'): string[][] => {
    const order = new QueueOrder(strategy);
    for (const queue of ['b', 'c', 'a', 'b']) order.add(queue);
    const before = order.of(['a', 'b', 'c', 'other']);
    order.served('b');
    const after = order.of(['a', 'b', 'c']);
    order.remove('c');
    return [before, after, order.of(['a', 'b'])];
  };

  it.each([
    [
      'round_robin' as const,
      [
        ['b', 'c', 'a', 'other'],
        ['c', 'a', 'b'],
        ['a', 'b'],
      ],
    ],
    [
      'priority' as const,
      [
        ['b', 'c', 'a', 'other'],
        ['b', 'c', 'a'],
        ['b', 'a'],
      ],
    ],
    [
      'sorted' as const,
      [
        ['a', 'b', 'c', 'other'],
        ['a', 'b', 'c'],
        ['a', 'b'],
      ],
    ],
  ])('%s', (strategy, expected) => {
    expect(served(strategy)).toEqual(expected);
  });
});

describe('connectTransport for Redis', () => {
  const options: TransportOptions = {
    heartbeatS: 0,
    connectionTimeoutS: 1,
    failoverStrategy: 'round-robin',
    transportOptions: {},
    useSsl: false,
  };
  it('takes several Sentinels for one broker, and several servers for a list to fail over', async () => {
    const sentinels = connectTransport('sentinel://:pw@a:1;sentinel://b:2', options);
    expect(sentinels.url).not.toContain('pw');
    expect(sentinels.can).toMatchObject({ fanout: true, expiration: false, shared: true });
    await expect(sentinels.connect(new AbortController().signal)).rejects.toThrow(/master_name/);
    const servers = connectTransport(['redis://127.0.0.1:1/0', 'redis://127.0.0.1:2/0'], options);
    expect(servers.url).toBe('redis://127.0.0.1:1/0');
    await expect(servers.connect(new AbortController().signal)).rejects.toThrow(
      /127\.0\.0\.1:1\/0: .*REFUSED/,
    );
  });
});
