import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AccessRefused, OperationalError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { redisAddress, type RedisAddressOptions } from '../../src/redis/address.ts';
import { openRedis, type OpenRedisOptions, type RedisLink } from '../../src/redis/open.ts';
import { freePorts } from '../support/ports.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const own = new Releasers();
afterEach(() => own.release());

const addressOf = (url: string, more: Partial<RedisAddressOptions> = {}): ReturnType<typeof redisAddress> =>
  redisAddress(url, {
    useSsl: false,
    transportOptions: {},
    settings: { useSsl: 'broker_use_ssl', transportOptions: 'broker_transport_options' },
    ...more,
  });

async function open(
  url: string,
  options: Partial<OpenRedisOptions> = {},
  more: Partial<RedisAddressOptions> = {},
): Promise<RedisLink> {
  const signal = new AbortController().signal;
  return own.own(await openRedis(addressOf(url, more), { connectTimeoutMs: 4_000, ...options }, signal));
}

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('nothing failed'),
    (error: unknown) => error as Error,
  );

describe.runIf(hasRedis)('openRedis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start({ password: 's:cr@t', tls: true });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('logs in, chooses the database and tells the version', async () => {
    const link = await open(server.url(3), { clientName: 'me' });
    expect(link.version[0]).toBeGreaterThanOrEqual(5);
    await link.client.set('k', 'of 3');
    const [zero, three] = [await open(server.url(0)), await open(server.socketUrl(3))];
    expect(await zero.client.get('k')).toBeNull();
    expect(await three.client.get('k')).toBe('of 3');
    expect(await link.client.client('GETNAME')).toBe('me');
    await link[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
    expect(await link.closed).toBeUndefined();
    await expect(link.client.get('k')).rejects.toThrow();
  });

  it.runIf(existsSync('/proc/net/tcp'))('sends keep-alive probes unless told not to', async () => {
    /** Of the kernel: whether a timer that is not for what was sent runs on this end of the connection. */
    const hasProbes = (link: RedisLink): boolean => {
      const port = link.client.stream.localPort ?? 0;
      const end = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
      const line = readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .map((each) => each.trim().split(/\s+/))
        .find(([, local]) => local === end);
      return line?.[5]?.startsWith('02:') === true;
    };
    expect(hasProbes(await open(server.url()))).toBe(true);
    expect(hasProbes(await open(server.url(), { keepAlive: false }))).toBe(false);
  });

  it('speaks TLS and verifies the certificate', async () => {
    const ssl = (parameters: Record<string, string>): string =>
      `${server.tlsUrl()}?${new URLSearchParams(parameters).toString()}`;
    const link = await open(ssl({ ssl_ca_certs: server.caFile }));
    expect(await link.client.ping()).toBe('PONG');
    const useSsl = {
      ssl_ca_certs: server.caFile,
      ssl_certfile: join(server.folder, 'client.crt'),
      ssl_keyfile: join(server.folder, 'client.key'),
    };
    expect(await (await open(server.tlsUrl(), {}, { useSsl })).client.ping()).toBe('PONG');
    expect(await (await open(ssl({ ssl_cert_reqs: 'none' }))).client.ping()).toBe('PONG');
    const error = await failure(open(server.tlsUrl()));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error.message).toMatch(/certificate/);
  });

  it.each([
    ['a wrong password', (url: string) => url.replace('s%3Acr%40t', 'hidden'), AccessRefused, /WRONGPASS/],
    ['no password', (url: string) => url.replace(':s%3Acr%40t@', ''), AccessRefused, /NOAUTH/],
    ['an unknown user', (url: string) => url.replace('//:', '//nobody:'), AccessRefused, /WRONGPASS/],
    ['a database too many', (url: string) => url.replace('/0', '/9999'), OperationalError, /out of range/],
    ['nobody there', () => 'redis://:hidden@127.0.0.1:1/0', OperationalError, /ECONNREFUSED/],
    ['no such host', () => 'redis://:hidden@no-such-host.invalid', OperationalError, /ENOTFOUND|EAI_AGAIN/],
    ['no such socket', () => 'redis+socket:///no/such.sock', OperationalError, /ENOENT/],
  ])('tells of %s', async (_, urlOf, type, message) => {
    const url = urlOf(server.url());
    const error = await failure(open(url));
    expect(error.constructor).toBe(type);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`Cannot connect to ${addressOf(url).url}: `);
    // As `console.log` and an error that nobody catches show it, causes and all.
    expect(inspect(error, { depth: Infinity })).not.toMatch(/hidden|s:cr@t/);
  });

  it('gives up in time, and when told to', async () => {
    const silent = await listen(() => undefined);
    const url = `redis://127.0.0.1:${String(silent.port)}`;
    const error = await failure(open(url, { connectTimeoutMs: 150 }));
    expect(error.message).toMatch(/timed out after 0.15 seconds/);
    const abort = new AbortController();
    const opening = failure(openRedis(addressOf(url), { connectTimeoutMs: 0 }, abort.signal));
    setTimeout(() => abort.abort(new Error('enough')), 20);
    expect((await opening).message).toBe('enough');
  });

  it('rejects what is under way when the connection is lost, and never opens another one', async () => {
    const other = await RedisServer.start();
    own.own(other);
    const link = await open(other.url());
    const waiting = failure(link.client.blpop('nothing', 0));
    await other.kill();
    await other.up();
    const reason = await link.closed;
    expect(reason).toBeInstanceOf(OperationalError);
    expect(reason?.message).toMatch(/^Connection to redis:.* was lost: /);
    expect(await waiting).toBeInstanceOf(Error);
    expect(await failure(link.client.get('k'))).not.toMatchObject({ message: 'nothing failed' });
  });

  it('notices a server that does not answer any more', async () => {
    const other = own.own(await RedisServer.start());
    const link = await open(other.url(), { healthCheckMs: 30, answerWithinMs: 100 });
    const busy = await open(other.url(), { healthCheckMs: 30, answerWithinMs: 2_000 });
    const subscribed = await open(other.url(), { healthCheckMs: 30, answerWithinMs: 2_000 });
    await subscribed.client.psubscribe('x*');
    // A healthy client that blocks, or that is subscribed, passes many checks.
    await busy.client.blpop('nothing', 0.4);
    expect([busy.client.status, subscribed.client.status]).toEqual(['ready', 'ready']);
    other.freeze();
    expect((await link.closed)?.message).toMatch(/no answer within 0.1 seconds/);
  });

  it('notices that the other end vanished without a word', async () => {
    const sockets: Socket[] = [];
    const { port } = await listen((socket) => {
      sockets.push(socket);
      socket.on('data', (data) => {
        if (/info/i.test(data.toString())) socket.write('$19\r\nredis_version:7.0.1\r\n');
      });
    });
    const link = await open(`redis://127.0.0.1:${String(port)}`, { healthCheckMs: 20, answerWithinMs: 50 });
    const under = failure(link.client.get('k'));
    expect((await link.closed)?.message).toMatch(/no answer/);
    expect(link.error('read', await under).message).toMatch(/^Cannot read: Connection to .* no answer/);
  });

  it('leaves a server that became a replica', async () => {
    const other = own.own(await RedisServer.start());
    const link = await open(other.url());
    await (await open(other.url())).client.replicaof('127.0.0.1', 1);
    await expect(link.client.set('k', 'v')).rejects.toThrow(/READONLY|closed/);
    expect(await link.closed).toBeInstanceOf(OperationalError);
  });
});

describe.runIf(hasRedis)('openRedis through Sentinels', () => {
  it('finds the master, passing those that are away', async () => {
    const master = own.own(await RedisServer.start());
    const [away = 0] = await freePorts(1);
    const watch = `sentinel monitor mymaster 127.0.0.1 ${String(master.port)} 1`;
    const sentinel = own.own(await RedisServer.start({ sentinel: watch }));
    const url = `sentinel://127.0.0.1:${String(away)}/2;sentinel://127.0.0.1:${String(sentinel.port)}/2`;
    const link = await open(url, {}, { transportOptions: { master_name: 'mymaster' } });
    await link.client.set('k', 'v');
    expect(await (await open(master.url(2))).client.get('k')).toBe('v');
    const unknown = await failure(open(url, {}, { transportOptions: { master_name: 'other' } }));
    expect(unknown).toBeInstanceOf(OperationalError);
  });
});

async function listen(onSocket: (socket: Socket) => void): Promise<{ port: number }> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  own.push(() => server.close());
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0 };
}
