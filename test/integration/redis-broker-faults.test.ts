import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OperationalError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { encodeEnvelope } from '../../src/message/envelope-json.ts';
import { redisTransport } from '../../src/transport/redis/transport.ts';
import type { Channel, Connection, Transport } from '../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../support/messages.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const never = (): AbortSignal => new AbortController().signal;
const peerPath = fileURLToPath(new URL('../support/redis-peer.js', import.meta.url));
const queue = directQueue('celery');
const envelopeText = (body: string): string =>
  encodeEnvelope(envelope(body), { exchange: '', routingKey: 'celery', deliveryTag: `tag-${body}` });

describe.runIf(hasRedis)('Redis broker, when things go wrong', { timeout: 30_000 }, () => {
  let own: Releasers;
  let server: RedisServer;
  let admin: Redis;

  beforeEach(async () => {
    own = new Releasers();
    server = own.own(await RedisServer.start({ persistent: true }));
    admin = administer();
  });
  afterEach(() => own.release());

  function administer(): Redis {
    const client = new Redis(server.url(), { retryStrategy: null });
    client.on('error', () => undefined);
    own.push(() => client.disconnect());
    return client;
  }

  function transportWith(transportOptions: Record<string, unknown> = {}, url = server.url()): Transport {
    return redisTransport(url, { connectionTimeoutS: 4, useSsl: false, transportOptions });
  }

  async function open(
    options: Record<string, unknown> | Transport = {},
  ): Promise<{ connection: Connection; channel: Channel }> {
    const transport = 'connect' in options ? (options as Transport) : transportWith(options);
    const connection = own.own(await transport.connect(never()));
    const channel = await connection.openChannel();
    await channel.declareQueue(queue);
    return { connection, channel };
  }

  async function consume(channel: Channel): Promise<Inbox> {
    const inbox = new Inbox();
    await channel.consume(queue, inbox.take);
    return inbox;
  }

  const held = async (): Promise<number[]> => [
    await admin.hlen('unacked'),
    await admin.zcard('unacked_index'),
    await admin.zcard('unacked_index.leases'),
  ];

  const heldTag = async (): Promise<string> => (await admin.hkeys('unacked'))[0] ?? '';

  it.each(['killed', 'frozen'] as const)('%s: says so, and resumes what it held at once', async (how) => {
    const transport = transportWith({ health_check_interval: 0.1, socket_timeout: 0.2 });
    const { connection, channel } = await open(transport);
    const inbox = await consume(channel);
    for (const body of ['1', '2', '3']) await channel.publish(envelope(body), '', 'celery');
    const [first] = await inbox.arrived(3);
    await first?.ack();
    if (how === 'killed') await server.kill();
    else server.freeze();
    expect(await connection.closed).toBeInstanceOf(OperationalError);
    expect(await channel.closed).toBeInstanceOf(OperationalError);
    await expect(channel.publish(envelope('x'), '', 'celery')).rejects.toBeInstanceOf(OperationalError);
    await expect(inbox.deliveries[1]?.ack()).rejects.toBeInstanceOf(Error);
    if (how === 'killed') await server.up();
    else server.thaw();
    // Long before the hold ends.
    const again = await consume((await open(transport)).channel);
    await again.arrived(2);
    expect(again.bodies).toEqual(['2', '3']);
    expect(again.deliveries.map(({ redelivered }) => redelivered)).toEqual([true, true]);
    await Promise.all(again.deliveries.map((delivery) => delivery.ack()));
    admin = administer();
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('an ack that the server never heard of is sent again', async () => {
    const transport = transportWith({ health_check_interval: 0.1, socket_timeout: 0.2 });
    const { channel, connection } = await open(transport);
    const inbox = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    const [delivery] = await inbox.arrived(1);
    server.freeze();
    await expect(delivery?.ack()).rejects.toThrow(/Cannot acknowledge: Connection to .* no answer/);
    await connection.closed;
    await server.kill();
    await server.up();
    admin = administer();
    expect(await held()).toEqual([1, 1, 1]);
    const { channel: next } = await open(transport);
    expect(await held()).toEqual([0, 0, 0]);
    expect(await next.size('celery')).toBe(0);
  });

  it('a connection that is lost while it takes up what the last one held is only lost', async () => {
    const transport = transportWith();
    const { connection, channel } = await open(transport);
    const inbox = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    await inbox.arrived(1);
    const cut = (): Promise<unknown> => admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await cut();
    await connection.closed;
    // Holds up what may write, so that it is cut in the middle.
    await admin.call('CLIENT', 'PAUSE', '20000', 'WRITE');
    const opened = transport.connect(never());
    const error = opened.catch((cause: unknown) => cause);
    await expect
      .poll(() => admin.call('CLIENT', 'LIST', 'TYPE', 'normal'), { timeout: 8_000 })
      .toMatch(/cmd=evalsha/);
    await cut();
    expect(await error).toBeInstanceOf(OperationalError);
    await admin.call('CLIENT', 'UNPAUSE');
    const again = await consume((await open(transport)).channel);
    await again.arrived(1);
  });

  it('what was taken without our hearing of it comes back at once', async () => {
    const transport = transportWith({ health_check_interval: 0.1, socket_timeout: 0.2 });
    const { channel } = await open(transport);
    // The server knows the script from here on.
    expect(await channel.get('celery')).toBeUndefined();
    await channel.publish(envelope('1'), '', 'celery');
    server.freeze();
    await expect(channel.get('celery')).rejects.toBeInstanceOf(OperationalError);
    server.thaw();
    await expect.poll(held, { timeout: 8_000 }).toEqual([1, 1, 1]);
    // Long before the hold ends.
    const again = await consume((await open(transport)).channel);
    const [delivery] = await again.arrived(1);
    expect(delivery?.redelivered).toBe(true);
    await delivery?.ack();
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('what was renewed without our hearing of it comes back at once', async () => {
    const transport = transportWith({
      health_check_interval: 0.4,
      socket_timeout: 0.8,
      lease_timeout: 2,
    });
    const { connection, channel } = await open(transport);
    const inbox = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    await inbox.arrived(1);
    const score = async (): Promise<string | null> => admin.zscore('unacked_index', await heldTag());
    const first = await score();
    await expect.poll(score, { timeout: 8_000 }).not.toBe(first);
    const before = await score();
    server.freeze();
    await connection.closed;
    server.thaw();
    await expect.poll(score, { timeout: 8_000 }).not.toBe(before);
    const { channel: next } = await open(transport);
    expect(await next.size('celery')).toBe(1);
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('either of its two connections killed ends both', async () => {
    const { connection, channel } = await open();
    await consume(channel);
    await expect.poll(() => admin.call('CLIENT', 'LIST'), { timeout: 8_000 }).toMatch(/cmd=subscribe/);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    expect(await connection.closed).toBeInstanceOf(OperationalError);
  });

  it('a message is held as long as its holder lives, whatever the visibility timeout', async () => {
    const short = { visibility_timeout: 0.6 };
    const { channel } = await open(short);
    const inbox = await consume(channel);
    for (const body of ['long', 'waiting']) await channel.publish(envelope(body), '', 'celery');
    await inbox.arrived(2);
    const other = await consume((await open(short)).channel);
    await pause(3_000);
    expect([inbox.bodies, other.bodies]).toEqual([['long', 'waiting'], []]);
    await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
    await pause(1_000);
    // What was acknowledged did not come back by a renewal.
    expect(await held()).toEqual([0, 0, 0]);
    expect(other.bodies).toEqual([]);
  });

  it('what a killed holder held comes back when its hold has ended, not before', async () => {
    const child = fork(peerPath, [server.url(), JSON.stringify({ lease_timeout: 2 })]);
    own.push(() => child.kill('SIGKILL'));
    const { channel } = await open({ lease_timeout: 2 });
    for (const body of ['1', '2']) {
      await channel.publish(envelope(body), '', 'celery');
      await once(child, 'message');
    }
    const renewed = Date.now();
    child.kill('SIGKILL');
    const inbox = await consume(channel);
    await inbox.arrived(2);
    expect(Date.now() - renewed).toBeGreaterThan(1_000);
    expect(inbox.bodies.sort()).toEqual(['1', '2']);
    expect(inbox.deliveries.every(({ redelivered }) => redelivered)).toBe(true);
    await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('who was thought dead does not take the message away from its new holder', async () => {
    const { channel } = await open({ lease_timeout: 0.5 });
    const inbox = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    const [mine] = await inbox.arrived(1);
    await channel.prefetch(1);
    const options = { lease_timeout: 60, visibility_timeout: 0.5 };
    const child = fork(peerPath, [server.url(), JSON.stringify(options)]);
    own.push(() => child.kill('SIGKILL'));
    await expect
      .poll(() => admin.call('CLIENT', 'LIST'), { timeout: 8_000 })
      .toMatch(/cmd=subscribe[^]*cmd=subscribe/);
    const arrived = once(child, 'message');
    // Our event loop stands still for longer than the hold.
    for (const until = Date.now() + 2_000; Date.now() < until;);
    await arrived;
    await pause(300);
    await mine?.ack();
    expect((await held())[0]).toBe(1);
  });

  it('a hold that has ended is looked at twice: its holder may only have been slow', async () => {
    const { channel } = await open({ lease_timeout: 60 });
    const mine = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    await mine.arrived(1);
    const tag = await heldTag();
    const ended = String(Math.floor(Date.now() / 1000) - 10);
    for (const key of ['unacked_index', 'unacked_index.leases']) await admin.zadd(key, ended, tag);
    const { channel: other } = await open({ lease_timeout: 60 });
    const inbox = await consume(other);
    // Enough turns for the look and what would follow it, all on the same connection.
    for (let turn = 0; turn < 10; turn += 1) await other.size('celery');
    expect([inbox.bodies, await admin.zscore('unacked_index', tag)]).toEqual([[], ended]);
  });

  it('a server that is slow for a while takes no message away from its holder', async () => {
    const { channel } = await open({ lease_timeout: 4 });
    const inbox = await consume(channel);
    for (const body of ['1', '2']) await channel.publish(envelope(body), '', 'celery');
    const [first] = await inbox.arrived(2);
    // Longer than the time between two renewals, which then reach it together.
    server.freeze();
    await pause(2_500);
    server.thaw();
    await first?.ack();
    expect(await held()).toEqual([1, 1, 1]);
    await channel[Symbol.asyncDispose]();
    expect(await held()).toEqual([0, 0, 0]);
    expect(await admin.llen('celery')).toBe(1);
  });

  it('what is given back while it is being renewed comes back at once', async () => {
    const { channel } = await open({ lease_timeout: 4 });
    const inbox = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    await inbox.arrived(1);
    server.freeze();
    await pause(1_500);
    const closed = channel[Symbol.asyncDispose]();
    server.thaw();
    await closed;
    expect(await held()).toEqual([0, 0, 0]);
    expect(await admin.llen('celery')).toBe(1);
  });

  it('what was taken arrives although another queue is of another kind', async () => {
    const { channel } = await open();
    for (const body of ['1', '2']) await channel.publish(envelope(body), '', 'celery');
    await admin.set('other', 'not a list');
    const both = await open();
    const inbox = new Inbox();
    await Promise.all([queue, directQueue('other')].map((each) => both.channel.consume(each, inbox.take)));
    await inbox.arrived(2);
    expect(await both.channel.closed).toMatchObject({
      message: expect.stringMatching(/Cannot take messages: WRONGTYPE/) as string,
    });
    // The channel is gone, the connection is not: what it held goes back, as on RabbitMQ.
    await expect.poll(held).toEqual([0, 0, 0]);
    expect(await admin.llen('celery')).toBe(2);
    expect(await (await both.connection.openChannel()).size('celery')).toBe(2);
  });

  it('records that nobody can read are passed over', async () => {
    await admin.zadd('unacked_index', ...Array.from({ length: 120 }, (_, at) => [at, `junk${at}`]).flat());
    await admin.hset('unacked', ...Array.from({ length: 120 }, (_, at) => [`junk${at}`, 'junk']).flat());
    await admin.zadd('unacked_index', 1000, 'good', 1001, 'gone');
    await admin.hset('unacked', 'good', `[${envelopeText('1')}, null, "celery"]`);
    const inbox = await consume((await open()).channel);
    const [delivery] = await inbox.arrived(1);
    await delivery?.ack();
    expect(await held()).toEqual([120, 120, 0]);
  });

  it('a connection that is lost while its second one opens says so', async () => {
    const transportOptions = { health_check_interval: 0.1, socket_timeout: 0.2 };
    const { connection, channel } = await open(
      redisTransport(server.url(), { connectionTimeoutS: 0, useSsl: false, transportOptions }),
    );
    server.freeze();
    await consume(channel);
    expect(await connection.closed).toBeInstanceOf(OperationalError);
  });

  it('a frozen server does not hold up closing with an ack on its way', async () => {
    const { connection, channel } = await open();
    const inbox = await consume(channel);
    await channel.publish(envelope('1'), '', 'celery');
    const [delivery] = await inbox.arrived(1);
    server.freeze();
    const acked = delivery?.ack();
    const startMs = performance.now();
    await connection[Symbol.asyncDispose]();
    expect(performance.now() - startMs).toBeLessThan(15_000);
    await expect(acked).rejects.toBeInstanceOf(OperationalError);
  });

  it('malformed messages are handed on, and go back as they were', async () => {
    const { channel } = await open({ lease_timeout: 1 });
    const broken = ['no json', '{"no":"envelope"}', '[]', '', '"\u00e9'];
    for (const text of broken) await admin.lpush('celery', text);
    const inbox = await consume(channel);
    await inbox.arrived(broken.length);
    expect(inbox.bodies).toEqual(broken);
    expect(await held()).toEqual([5, 5, 5]);
    await channel[Symbol.asyncDispose]();
    expect((await admin.lrange('celery', 0, -1)).reverse()).toEqual(broken);
    expect(await held()).toEqual([0, 0, 0]);
  });

  it('a key of another kind in its place loses nothing', async () => {
    const { channel } = await open();
    await channel.publish(envelope('1'), '', 'celery');
    await admin.set('unacked_index.leases', 'not a sorted set');
    await expect(channel.get('celery')).rejects.toThrow(/WRONGTYPE/);
    expect(await admin.llen('celery')).toBe(1);
  });

  it.each([
    ['ask to be told of changes', ['-client|tracking']],
    ['do what is dangerous', ['-@dangerous']],
    ['ask what the server is', ['-info', '-hello']],
  ])('works for a user who may not %s', async (_, rules) => {
    await admin.call('ACL', 'SETUSER', 'plain', 'on', '>pw', '~*', '&*', '+@all', ...rules);
    const url = server.url().replace('//', '//plain:pw@');
    const { channel } = await open(transportWith({}, url));
    const inbox = await consume(channel);
    await pause(150);
    await channel.publish(envelope('1'), '', 'celery');
    await inbox.arrived(1);
  });

  it('waits without taking: who dies while he waits loses nothing, and an idle one asks little', async () => {
    const { channel } = await open();
    const inbox = await consume(channel);
    await expect.poll(() => admin.call('CLIENT', 'LIST'), { timeout: 8_000 }).toMatch(/cmd=subscribe/);
    await pause(300);
    const commands = async (): Promise<number> =>
      Number(/total_commands_processed:(\d+)/.exec(await admin.info('stats'))?.[1]);
    const before = await commands();
    await pause(2_000);
    expect((await commands()) - before).toBeLessThan(40);
    const sentMs = performance.now();
    await admin.lpush('celery', 'text');
    await inbox.arrived(1);
    expect(performance.now() - sentMs).toBeLessThan(500);
    expect(await admin.info('clients')).toContain('blocked_clients:0');
  });

  it('is full: what is there can be consumed', async () => {
    const { channel } = await open({ lease_timeout: 2 });
    const body = Buffer.alloc(100_000, 'x');
    for (let count = 0; count < 20; count += 1) await channel.publish(envelope(body), '', 'celery');
    await admin.config('SET', 'maxmemory', '1mb');
    await expect(channel.publish(envelope(body), '', 'celery')).rejects.toThrow(/OOM/);
    const inbox = await consume(channel);
    await inbox.arrived(20);
    // And is held as long as it takes.
    const score = async (tag: string): Promise<string | null> => admin.zscore('unacked_index', tag);
    const [tag, before] = [await heldTag(), await score(await heldTag())];
    await expect.poll(() => score(tag), { timeout: 8_000 }).not.toBe(before);
    // Renewed, not taken again after its end.
    expect(Number(await score(tag)) - Number(before)).toBeLessThan(2);
    await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
    expect(await held()).toEqual([0, 0, 0]);
  });
});
