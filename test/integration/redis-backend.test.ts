import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResultBackend } from '../../src/backend/backend.ts';
import { connectBackend, type BackendOptions } from '../../src/backend/connect.ts';
import { BackendGetMetaError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { backendContract, errorMeta, resultMeta } from '../contract/backend-suite.ts';
import { backendOptions, groupOf } from '../support/backend.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

describe.skipIf(!hasRedis)('results in Redis', () => {
  let server: RedisServer;
  let raw: Redis;
  beforeAll(async () => {
    server = await RedisServer.start({ persistent: true });
    raw = new Redis(server.port, { retryStrategy: () => 50 });
    raw.on('error', () => undefined);
  });
  afterAll(async () => {
    raw.disconnect();
    await server[Symbol.asyncDispose]();
  });

  backendContract('redis', ({ resultExpiresS = null }) =>
    Promise.resolve({
      client: connectBackend(server.url(1), backendOptions({ resultExpiresS })),
      worker: connectBackend(server.url(1), backendOptions({ resultExpiresS })),
      dispose: () => Promise.resolve(),
    }),
  );

  let own: Releasers;
  let backend: ResultBackend;
  let id: string;
  let key: string;

  const open = (
    settings: Settings = {},
    options: Partial<BackendOptions> = {},
    url = server.url(),
  ): ResultBackend => own.own(connectBackend(url, backendOptions(options, settings)));
  /** States until a ready one. */
  const states = async (of = backend, taskId = id): Promise<string[]> => {
    const seen: string[] = [];
    for await (const { status } of of.watch(taskId, AbortSignal.timeout(20_000))) seen.push(status);
    return seen;
  };
  /** Resolves when the server has so many subscribers to a task's channel. */
  const subscribers = (count: number, channel = key): Promise<void> =>
    expect.poll(async () => (await raw.pubsub('NUMSUB', channel))[1], { timeout: 10_000 }).toBe(count);
  /** Every command that the server runs from now on, without the connections' own. */
  const monitor = async (): Promise<string[][]> => {
    const watching = await raw.duplicate({ db: 0 }).monitor();
    own.push(() => watching.disconnect());
    const commands: string[][] = [];
    watching.on('monitor', (_time: string, args: string[], source: string) => {
      if (source !== 'lua') commands.push([args[0]?.toUpperCase() ?? '', ...args.slice(1)]);
    });
    return commands;
  };

  beforeEach(() => {
    own = new Releasers();
    backend = open();
    id = randomUUID();
    key = `celery-task-meta-${id}`;
  });
  afterEach(() => own.release());

  it('keeps to redis_max_connections: with one connection it stores and reads, and does not wait', async () => {
    const narrow = open({ redis_max_connections: 1, redis_client_name: `narrow-${id}` });
    await narrow.store(resultMeta(id, 'SUCCESS', 1));
    expect(await narrow.fetch(id)).toMatchObject({ status: 'SUCCESS' });
    await expect(states(narrow)).rejects.toThrow(/redis_max_connections is 1, and waiting takes a second/);
    const clients = String(await raw.call('CLIENT', 'LIST'));
    expect(clients.split('\n').filter((line) => line.includes(`narrow-${id}`))).toHaveLength(1);
    expect(await states(open({ redis_max_connections: 2 }))).toEqual(['SUCCESS']);
  });

  describe('as Celery keeps them', () => {
    it('keeps and publishes the same document, for result_expires', async () => {
      const published: string[] = [];
      const listener = raw.duplicate();
      own.push(() => listener.disconnect());
      listener.on('message', (channel, document) => published.push(channel, document));
      await listener.subscribe(key);
      const done = new Date('2026-11-22T15:24:18.128Z');
      await backend.store(
        resultMeta(id, 'SUCCESS', { a: 1 }, { dateDone: done, groupId: 'G', parentId: 'P' }),
      );
      const stored = await raw.get(key);
      expect(JSON.parse(stored ?? '')).toEqual({
        status: 'SUCCESS',
        result: { a: 1 },
        traceback: null,
        children: [],
        date_done: '2026-11-22T15:24:18.128000+00:00',
        group_id: 'G',
        parent_id: 'P',
        task_id: id,
      });
      await expect.poll(() => published).toEqual([key, stored]);
      expect(await raw.ttl(key)).toBeGreaterThan(86_390);
    });

    it.each([null, 0])('keeps for ever with result_expires %s', async (resultExpiresS) => {
      await open({}, { resultExpiresS }).store(resultMeta(id, 'SUCCESS', 1));
      expect(await raw.ttl(key)).toBe(-1);
    });

    it.each([
      ['{"status": "SUCCESS", "result": 1, "task_id": "x"}', 'SUCCESS'],
      ['{"status":"SUCCESS","result":1,"task_id":"x"}', 'SUCCESS'],
      [' { "task_id": "x", "result": 1, "status": "SUCCESS" }', 'SUCCESS'],
      ['{"status": "FAILURE", "result": {"status": "SUCCESS"}, "task_id": "x"}', 'REVOKED'],
      ['{"status": "SUCCESSFUL", "task_id": "x"}', 'REVOKED'],
      [`{"status": "${'LONG'.repeat(30)}", "task_id": "x"}`, 'REVOKED'],
      ['nonsense', 'REVOKED'],
    ])('over %s there is %s', async (before, status) => {
      await raw.set(key, before);
      await Promise.all([
        backend.store(errorMeta(id, 'REVOKED')),
        backend.store(resultMeta(`other-${id}`, 'SUCCESS', 1)),
      ]);
      expect((await backend.fetch(id))?.status).toBe(status);
      expect((await backend.fetch(`other-${id}`))?.status).toBe('SUCCESS');
      if (status === 'REVOKED') expect(await raw.ttl(key)).toBeGreaterThan(0);
    });

    it('keeps groups by the name and in the form of GroupResult.save', async () => {
      await backend.saveGroup(groupOf(id, 'a', 'b'));
      const stored = await raw.get(`celery-taskset-meta-${id}`);
      expect(JSON.parse(stored ?? '')).toEqual({
        result: [
          [id, null],
          [
            [['a', null], null],
            [['b', null], null],
          ],
        ],
      });
      expect(await raw.ttl(`celery-taskset-meta-${id}`)).toBeGreaterThan(86_390);
      await backend.saveGroup(groupOf(id, 'c'));
      expect(await backend.loadGroup(id)).toEqual(groupOf(id, 'c'));
      await raw.set(`celery-taskset-meta-${id}`, '{"result": 1}');
      await expect(backend.loadGroup(id)).rejects.toBeInstanceOf(BackendGetMetaError);
    });

    it.each([
      ['app', 'app_celery-task-meta-'],
      ['app:', 'app:celery-task-meta-'],
      ['app.', 'app.celery-task-meta-'],
    ])('prefixes keys and channels: global_keyprefix %s', async (prefix, start) => {
      const prefixed = open({ result_backend_transport_options: { global_keyprefix: prefix } });
      const watching = states(prefixed);
      await subscribers(1, start + id);
      await prefixed.store(resultMeta(id, 'SUCCESS', 1));
      expect(await raw.exists(start + id)).toBe(1);
      expect(await watching).toEqual(['SUCCESS']);
      await prefixed.forget(id);
      expect(await raw.exists(start + id)).toBe(0);
    });
  });

  it('stores, reads and subscribes once in each turn, over two connections', async () => {
    backend = open({ redis_client_name: 'counted' });
    await backend.store(resultMeta(id, 'SUCCESS', 1));
    await states();
    const commands = await monitor();
    const ids = Array.from({ length: 300 }, () => randomUUID());
    const watching = Promise.all(ids.map((each) => states(backend, each)));
    await subscribers(1, `celery-task-meta-${ids.at(-1) ?? ''}`);
    await Promise.all(ids.map((each) => backend.store(resultMeta(each, 'SUCCESS', 1))));
    await watching;
    await subscribers(0, `celery-task-meta-${ids.at(-1) ?? ''}`);
    const count = (name: string): number => commands.filter(([each]) => each === name).length;
    expect([count('EVALSHA'), count('SUBSCRIBE'), count('MGET')]).toEqual([2, 1, 2]);
    expect(count('UNSUBSCRIBE')).toBeLessThan(20);
    const clients = String(await raw.client('LIST'));
    expect(clients.split('\n').filter((line) => line.includes(' name=counted '))).toHaveLength(2);
  });

  it('subscribes once for several who wait, and no longer than somebody does', async () => {
    const leaving = new AbortController();
    const left = (async () => {
      for await (const meta of backend.watch(id, leaving.signal)) expect(meta).toBeUndefined();
    })();
    const staying = states();
    await subscribers(1);
    leaving.abort(new Error('enough'));
    await expect(left).rejects.toThrow('enough');
    await backend.store(resultMeta(id, 'SUCCESS', 1));
    expect(await staying).toEqual(['SUCCESS']);
    await subscribers(0);
    // And again, when one leaves in the very turn in which another one comes.
    await backend.forget(id);
    const [first, second] = [new AbortController(), randomUUID()];
    const gone = states(backend, second).then(() => states(backend, second));
    await subscribers(1, `celery-task-meta-${second}`);
    await backend.store(resultMeta(second, 'SUCCESS', 1));
    expect(await gone).toEqual(['SUCCESS']);
    first.abort();
  });

  it('gives every state to all who keep up, and each once', async () => {
    const watching = Promise.all([states(), states()]);
    await subscribers(1);
    for (const status of ['STARTED', 'PROGRESS', 'RETRY', 'STARTED', 'SUCCESS']) {
      await backend.store(status === 'RETRY' ? errorMeta(id, status) : resultMeta(id, status, 1));
    }
    const all = ['STARTED', 'PROGRESS', 'RETRY', 'STARTED', 'SUCCESS'];
    expect(await watching).toEqual([all, all]);
  });

  it.each([
    ['nonsense', /could not be read/],
    ['{"result": 1}', /without 'status'/],
  ])('says so when what is there is %s', async (document, message) => {
    await raw.set(key, document);
    await expect(backend.fetch(id)).rejects.toThrow(message);
    await expect(states()).rejects.toBeInstanceOf(BackendGetMetaError);
  });

  it('does not read what result_accept_content leaves out', async () => {
    await backend.store(resultMeta(id, 'SUCCESS', 1));
    const strict = open({}, { acceptContent: ['application/x-yaml'] });
    await expect(strict.fetch(id)).rejects.toThrow(/not in result_accept_content/);
  });

  it('says which result the server does not take, and stores the others', async () => {
    await raw.lpush(key, 'a list');
    const other = randomUUID();
    const refused = expect(backend.store(resultMeta(id, 'SUCCESS', 1))).rejects;
    await Promise.all([
      refused.toThrow(new RegExp(`${key} was not stored: WRONGTYPE`)),
      backend.store(resultMeta(other, 'SUCCESS', 2)),
    ]);
    expect((await backend.fetch(other))?.status).toBe('SUCCESS');
  });

  it.each<[string, Settings]>([
    [
      'a policy that is none',
      { result_backend_transport_options: { retry_policy: { max_retries: 'many' } } },
    ],
    ['an unknown part', { result_backend_transport_options: { retry_policy: { retries: 3 } } }],
  ])('refuses %s', async (_, settings) => {
    await expect(open(settings).fetch(id)).rejects.toThrow(/retry_policy: \w+ is .* it takes max_retries/);
  });
});
