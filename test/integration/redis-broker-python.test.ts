import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Releasers } from '../../src/core/lifecycle.ts';
import { redisTransport } from '../../src/transport/redis/transport.ts';
import type { Exchange, Queue } from '../../src/transport/topology.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../support/messages.ts';
import { python } from '../support/python.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const peerPath = fileURLToPath(new URL('../support/redis-peer.js', import.meta.url));
const never = (): AbortSignal => new AbortController().signal;

/** kombu, told line by line what to do; it answers each line with one of JSON. */
const KOMBU = String.raw`
import json, sys, socket
from kombu import Connection, Exchange, Queue, Producer, Consumer
url, options = sys.argv[1], json.loads(sys.argv[2])
connection = Connection(url, transport_options=options)
channel = connection.channel()
held, box = [], []
def queue_of(spec):
    exchange = Exchange(spec['exchange'], type=spec['type'], durable=spec['type'] != 'fanout')
    return Queue(spec['name'], exchange, routing_key=spec['key'], no_ack=spec.get('no_ack', False))
def got(body, message):
    held.append(message)
    box.append([message.payload, message.delivery_info, message.properties.get('priority'), message.headers])
for line in sys.stdin:
    order = json.loads(line)
    do, answer = order['do'], None
    if do == 'declare':
        queue_of(order['queue']).bind(channel).declare()
    elif do == 'publish':
        exchange = Exchange(order['exchange'], type=order.get('type', 'direct'), durable=order.get('type') != 'fanout') if order['exchange'] else ''
        Producer(channel, serializer='json').publish(order['body'], exchange=exchange, routing_key=order['key'], priority=order.get('priority'))
    elif do == 'consume':
        consumer = Consumer(channel, [queue_of(order['queue'])], callbacks=[got], accept=['json'])
        channel.basic_qos(0, order.get('prefetch', 0), False)
        consumer.consume()
        try:
            connection.drain_events(timeout=0.2)
        except socket.timeout:
            pass
    elif do == 'drain':
        try:
            while len(box) < order['count']:
                connection.drain_events(timeout=order.get('timeout', 8))
        except socket.timeout:
            pass
        answer = box
        box = []
    elif do == 'ack':
        for message in held: message.ack()
        held = []
    elif do == 'requeue':
        for message in held: message.requeue()
        held = []
    elif do == 'restore':
        channel.qos._vrestore_count = 0
        channel.qos.restore_visible(num=None)
    elif do == 'close':
        connection.close()
    print(json.dumps(answer), flush=True)
`;

type Got = [body: unknown, info: Record<string, unknown>, priority: number, headers: Record<string, unknown>];

class Kombu {
  readonly child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(url: string, options: Record<string, unknown> = {}) {
    const child = spawn(python ?? '', ['-c', KOMBU, url, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child = child;
    this.#answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  async tell(order: Record<string, unknown>): Promise<unknown> {
    this.child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value } = (await this.#answers.next()) as { value: string };
    return JSON.parse(value);
  }

  async drain(count: number, timeout = 8): Promise<Got[]> {
    return (await this.tell({ do: 'drain', count, timeout })) as Got[];
  }
}

const direct = { name: 'celery', exchange: 'celery', type: 'direct', key: 'celery' };

describe.runIf(hasRedis && python !== undefined)('Redis shared with kombu', { timeout: 40_000 }, () => {
  let own: Releasers;
  let server: RedisServer;
  let admin: Redis;
  const queue = directQueue('celery');

  beforeAll(async () => {
    server = await RedisServer.start();
    admin = new Redis(server.url());
  });
  afterAll(async () => {
    admin.disconnect();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    own = new Releasers();
    await admin.flushall();
  });
  afterEach(() => own.release());

  function kombu(options: Record<string, unknown> = {}, url = server.url()): Kombu {
    const other = new Kombu(url, options);
    own.push(() => other.child.kill('SIGKILL'));
    return other;
  }

  async function open(transportOptions: Record<string, unknown> = {}, url = server.url()): Promise<Channel> {
    const transport = redisTransport(url, {
      connectionTimeoutS: 4,
      useSsl: false,
      transportOptions,
    });
    const channel = await own.own(await transport.connect(never())).openChannel();
    await channel.declareQueue(queue);
    return channel;
  }

  async function consume(channel: Channel, from: Queue = queue): Promise<Inbox> {
    const inbox = new Inbox();
    await channel.consume(from, inbox.take);
    return inbox;
  }

  const held = async (): Promise<number[]> => [
    await admin.hlen('unacked'),
    await admin.zcard('unacked_index'),
    await admin.zcard('unacked_index.leases'),
  ];

  const send = (channel: Channel, body: string, priority?: number): Promise<void> => {
    const properties = { deliveryMode: 2 as const, ...(priority === undefined ? {} : { priority }) };
    return channel.publish(
      envelope(body, { properties, headers: { float: 1.0, big: 2 ** 53 } }),
      '',
      'celery',
    );
  };

  it('what Python sends arrives here, by priority, and is acknowledged', async () => {
    const other = kombu();
    await other.tell({ do: 'declare', queue: direct });
    for (const priority of [9, 0, 4, 255]) {
      await other.tell({ do: 'publish', exchange: '', key: 'celery', body: priority, priority });
    }
    const channel = await open();
    expect(await admin.smembers('_kombu.binding.celery')).toEqual(['celery\x06\x16\x06\x16celery']);
    expect(await channel.size('celery')).toBe(4);
    const inbox = await consume(channel);
    await inbox.arrived(4);
    expect(inbox.bodies).toEqual(['0', '4', '9', '255']);
    expect(inbox.deliveries[0]).toMatchObject({ exchange: '', routingKey: 'celery', redelivered: false });
    expect(await held()).toEqual([4, 4, 4]);
    await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('what we send arrives in Python, by priority, and is acknowledged', async () => {
    const channel = await open();
    for (const priority of [9, 0, 4]) await send(channel, String(priority), priority);
    const other = kombu();
    await other.tell({ do: 'consume', queue: direct });
    const got = await other.drain(3);
    expect(got.map(([body, , priority]) => [body, priority])).toEqual([
      [0, 0],
      [4, 4],
      [9, 9],
    ]);
    expect(await held()).toEqual([3, 3, 0]);
    await other.tell({ do: 'ack' });
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('what Python rejects comes here marked as redelivered, and the other way round', async () => {
    const channel = await open();
    await send(channel, '"ours"');
    const other = kombu();
    await other.tell({ do: 'consume', queue: direct, prefetch: 1 });
    expect(await other.drain(1)).toHaveLength(1);
    await other.tell({ do: 'requeue' });
    await other.tell({ do: 'close' });
    const delivery = await channel.get('celery');
    expect(delivery).toMatchObject({ redelivered: true });
    await delivery?.reject({ requeue: true });
    const third = kombu();
    await third.tell({ do: 'consume', queue: direct });
    const [got] = await third.drain(1);
    expect(got).toMatchObject([
      'ours',
      { exchange: '', routing_key: 'celery', redelivered: true },
      0,
      { redelivered: true },
    ]);
  });

  it('what a killed Python worker held stays its for the whole visibility timeout', async () => {
    const other = kombu();
    await other.tell({ do: 'declare', queue: direct });
    await other.tell({ do: 'publish', exchange: '', key: 'celery', body: 'lost', priority: 9 });
    await other.tell({ do: 'consume', queue: direct });
    expect(await other.drain(1)).toHaveLength(1);
    other.child.kill('SIGKILL');
    const takenMs = Date.now();
    // Our own holds are short, Python's are not.
    const impatient = await consume(await open({ lease_timeout: 0.4 }));
    await pause(1_500);
    expect(impatient.bodies).toEqual([]);
    const inbox = await consume(await open({ visibility_timeout: 3 }));
    await Promise.race([inbox.arrived(1), impatient.arrived(1)]);
    expect(Date.now() - takenMs).toBeGreaterThan(2_900);
    const [delivery] = [...inbox.deliveries, ...impatient.deliveries];
    expect(delivery).toMatchObject({ redelivered: true, routingKey: 'celery' });
    expect(delivery?.envelope.properties.priority).toBe(9);
    await delivery?.ack();
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('Python gives back what our killed worker held, and nothing that a live one holds', async () => {
    const channel = await open({ lease_timeout: 1 });
    const child = fork(peerPath, [server.url(), JSON.stringify({ lease_timeout: 1 })]);
    own.push(() => child.kill('SIGKILL'));
    await send(channel, '"theirs"');
    await once(child, 'message');
    const other = kombu({ visibility_timeout: 1 });
    await pause(2_500);
    await other.tell({ do: 'restore' });
    expect(await channel.size('celery')).toBe(0);
    child.kill('SIGKILL');
    await expect
      .poll(() => other.tell({ do: 'restore' }).then(() => channel.size('celery')), { timeout: 10_000 })
      .toBe(1);
    // Python has it now, and the lease of the dead says nothing about it any more.
    await other.tell({ do: 'consume', queue: direct });
    const [got] = await other.drain(1);
    expect(got?.slice(0, 2)).toMatchObject(['theirs', { redelivered: true }]);
    expect(await held()).toEqual([1, 1, 1]);
    const watcher = await consume(channel);
    await pause(1_200);
    expect(watcher.bodies).toEqual([]);
    expect(await held()).toEqual([1, 1, 0]);
    await other.tell({ do: 'ack' });
    expect(await held()).toEqual([0, 0, 0]);
  });

  /** A queue for each side, and what comes into ours. */
  async function listenToNews(channel: Channel, other: Kombu): Promise<Inbox> {
    const exchange: Exchange = { name: 'news', type: 'fanout', durable: false, autoDelete: false };
    const ours = directQueue('ours', {
      exchange,
      routingKey: '',
      durable: false,
      autoDelete: true,
      noAck: true,
    });
    await channel.declareQueue(ours);
    const inbox = await consume(channel, ours);
    const theirs = { name: 'theirs', exchange: 'news', type: 'fanout', key: '', no_ack: true };
    await other.tell({ do: 'consume', queue: theirs });
    return inbox;
  }

  it('fanout reaches both sides, from both sides', async () => {
    const [channel, other] = [await open(), kombu()];
    const inbox = await listenToNews(channel, other);
    await channel.publish(envelope('"from us"'), 'news', '');
    const [got] = await other.drain(1);
    expect(got?.slice(0, 2)).toMatchObject(['from us', { exchange: 'news' }]);
    await other.tell({ do: 'publish', exchange: 'news', type: 'fanout', key: '', body: 'from Python' });
    await inbox.arrived(2);
    expect(inbox.bodies).toEqual(['"from us"', '"from Python"']);
    expect(inbox.deliveries[1]).toMatchObject({ exchange: 'news', queue: 'ours' });
  });

  it('fanout crosses Sentinels once, also where kombu is older than 5.4', async () => {
    const watch = `sentinel monitor mymaster 127.0.0.1 ${String(server.port)} 1`;
    const sentinel = own.own(await RedisServer.start({ sentinel: watch }));
    const url = `sentinel://127.0.0.1:${String(sentinel.port)}/3`;
    const options = { master_name: 'mymaster', sentinel_fanout_compat: true };
    const [channel, other] = [await open(options, url), kombu(options, url)];
    const inbox = await listenToNews(channel, other);
    for (const body of ['"a"', '"b"']) await channel.publish(envelope(body), 'news', '');
    const got = await other.drain(2);
    expect(got.map(([body]) => body)).toEqual(['a', 'b']);
    for (const body of ['c', 'd']) {
      await other.tell({ do: 'publish', exchange: 'news', type: 'fanout', key: '', body });
    }
    await inbox.arrived(4);
    expect(inbox.bodies).toEqual(['"a"', '"b"', '"c"', '"d"']);
  });

  it('topic bindings of both sides are read by both sides', async () => {
    const exchange: Exchange = { name: 'topics', type: 'topic', durable: true, autoDelete: false };
    const channel = await open();
    await channel.declareQueue(directQueue('ours', { exchange, routingKey: 'video-1.*.#' }));
    const other = kombu();
    const theirs = { name: 'theirs', exchange: 'topics', type: 'topic', key: 'video-1.*.#' };
    await other.tell({ do: 'declare', queue: theirs });
    const members = await admin.smembers('_kombu.binding.topics');
    expect(members.map((member) => member.split('\x06\x16').slice(0, 2))).toEqual(
      Array.from({ length: 2 }, () => ['video-1.*.#', String.raw`^video\-1\..*?[^\.]\..*?$`]),
    );
    await channel.publish(envelope('1'), 'topics', 'video-1.a.b');
    await other.tell({ do: 'publish', exchange: 'topics', type: 'topic', key: 'video-1.a.b', body: 2 });
    await channel.publish(envelope('3'), 'topics', 'audio');
    expect([await channel.size('ours'), await channel.size('theirs')]).toEqual([2, 2]);
  });
});
