import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResultBackend } from '../../src/backend/backend.ts';
import { connectBackend } from '../../src/backend/connect.ts';
import { BackendError, BackendGetMetaError, BackendStoreError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { resultMeta } from '../contract/backend-suite.ts';
import { backendOptions } from '../support/backend.ts';
import { freePorts } from '../support/ports.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const policy = (retry_policy: Readonly<Record<string, number | null>>): Settings => ({
  result_backend_transport_options: { retry_policy },
});
const IMPATIENT = policy({ max_retries: 2, interval_start: 0.02, interval_step: 0, interval_max: 0.02 });

describe.skipIf(!hasRedis)('results in a Redis that fails', () => {
  let server: RedisServer;
  let raw: Redis;
  let own: Releasers;
  let backend: ResultBackend;
  let id: string;
  let key: string;

  beforeAll(async () => {
    server = await RedisServer.start({ persistent: true });
    raw = new Redis(server.port, { retryStrategy: () => 50 });
    raw.on('error', () => undefined);
  });
  afterAll(async () => {
    raw.disconnect();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    own = new Releasers();
    backend = open();
    id = randomUUID();
    key = `celery-task-meta-${id}`;
  });
  afterEach(async () => {
    server.thaw();
    await own.release();
  });

  const open = (settings: Settings = {}, url = server.url()): ResultBackend =>
    own.own(connectBackend(url, backendOptions({}, settings)));
  const success = (value: unknown = 1, taskId = id) => resultMeta(taskId, 'SUCCESS', value);
  const states = async (of = backend): Promise<string[]> => {
    const seen: string[] = [];
    for await (const { status } of of.watch(id, AbortSignal.timeout(25_000))) seen.push(status);
    return seen;
  };
  /** Begins to wait for the task, which has started; the promise is that of all its states. */
  const waiting = async (of = backend): Promise<Promise<string[]>[]> => {
    await of.store(resultMeta(id, 'STARTED', {}));
    const watching = states(of);
    await expect.poll(async () => (await raw.pubsub('NUMSUB', key))[1]).toBe(1);
    return [watching];
  };
  /** How long something took, in milliseconds. */
  const taken = async (run: () => PromiseLike<unknown>): Promise<number> => {
    const before = performance.now();
    await run();
    return performance.now() - before;
  };
  const settledWithin = async (promise: PromiseLike<unknown>, ms: number): Promise<boolean> => {
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), ms));
    const settled = (): true => true;
    return Promise.race([promise.then(settled, settled), late]);
  };

  it('waits on after its connections were killed', async () => {
    const [watching] = await waiting();
    await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await raw.call('CLIENT', 'KILL', 'TYPE', 'normal');
    await backend.store(success());
    expect(await watching).toEqual(['STARTED', 'SUCCESS']);
  });

  it('finds what was stored while it could not listen', async () => {
    const [watching] = await waiting();
    // Killed and set at once, and not published: only who reads again after subscribing again finds it.
    await raw
      .multi()
      .call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      .set(key, `{"status": "SUCCESS", "result": 1, "task_id": "${id}"}`)
      .exec();
    expect(await watching).toEqual(['STARTED', 'SUCCESS']);
  });

  it('waits and stores over a restart', async () => {
    const [watching] = await waiting();
    await server.kill();
    const storing = backend.store(success());
    const other = randomUUID();
    const another = open().store(success(2, other));
    expect(await settledWithin(storing, 300)).toBe(false);
    await server.up();
    await Promise.all([storing, another]);
    expect(await watching).toEqual(['STARTED', 'SUCCESS']);
    expect((await backend.fetch(other))?.status).toBe('SUCCESS');
  });

  it('stores after the server has forgotten its scripts', async () => {
    await backend.store(success());
    await raw.script('FLUSH');
    const other = randomUUID();
    await backend.store(success(2, other));
    expect((await backend.fetch(other))?.status).toBe('SUCCESS');
  });

  it.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
    ['is full', () => raw.config('SET', 'maxmemory', '1'), () => raw.config('SET', 'maxmemory', '0')],
    [
      'is a replica',
      () => raw.replicaof('127.0.0.1', '1'),
      // Whoever was told READONLY has left, to find the master: here it is the same server.
      () => raw.replicaof('NO', 'ONE'),
    ],
  ])('waits with storing as long as the server %s', async (_, begin, end) => {
    await backend.store(success());
    await begin();
    const other = randomUUID();
    const storing = backend.store(success(2, other));
    try {
      expect(await settledWithin(storing, 200)).toBe(false);
    } finally {
      await end();
    }
    await storing;
    expect((await backend.fetch(other))?.status).toBe('SUCCESS');
  });

  describe('frozen', () => {
    const SHORT: Settings = { redis_socket_timeout: 0.5, redis_backend_health_check_interval: 1 };

    it('gives up after redis_socket_timeout, and goes on when the server does', async () => {
      const hasty = open(SHORT);
      const [watching] = await waiting(hasty);
      server.freeze();
      const refused = expect(watching).rejects.toBeInstanceOf(BackendGetMetaError);
      const ms = await taken(async () => {
        const storing = expect(hasty.store(success())).rejects;
        await storing.toThrow(/was not stored: .*no answer .* within redis_socket_timeout \(0.5 seconds\)/);
        await expect(hasty.fetch(id)).rejects.toBeInstanceOf(BackendGetMetaError);
      });
      expect(ms).toBeLessThan(3_000);
      await refused;
      server.thaw();
      await hasty.store(success());
      expect((await hasty.fetch(id))?.status).toBe('SUCCESS');
    });

    it('tries again with redis_retry_on_timeout', async () => {
      const patient = open({ ...SHORT, redis_retry_on_timeout: true });
      const [watching] = await waiting(patient);
      server.freeze();
      const storing = patient.store(success());
      expect(await settledWithin(storing, 1_200)).toBe(false);
      server.thaw();
      await storing;
      expect(await watching).toEqual(['STARTED', 'SUCCESS']);
    });

    it('does not keep a closing process for long', async () => {
      await backend.store(resultMeta(id, 'STARTED', {}));
      server.freeze();
      const storing = expect(backend.store(success())).rejects.toBeInstanceOf(BackendError);
      expect(await taken(() => backend[Symbol.asyncDispose]())).toBeLessThan(7_000);
      await storing;
    });
  });

  describe('unreachable', () => {
    let nowhere: string;
    beforeEach(async () => {
      const [port] = await freePorts(1);
      nowhere = `redis://127.0.0.1:${String(port)}/0`;
    });

    it.each<[string, Settings, number, number]>([
      ['max_retries', IMPATIENT, 30, 2_000],
      [
        'timeout',
        policy({ timeout: 0.3, max_retries: null, interval_start: 0.1, interval_max: 0.1 }),
        250,
        2_000,
      ],
      [
        'result_backend_always_retry',
        {
          ...IMPATIENT,
          result_backend_always_retry: true,
          result_backend_max_retries: 3,
          result_backend_base_sleep_between_retries_ms: 1,
        },
        150,
        3_000,
      ],
    ])('gives up as %s says', async (_, settings, least, most) => {
      const lost = open(settings, nowhere);
      const ms = await taken(() => expect(lost.store(success())).rejects.toBeInstanceOf(BackendStoreError));
      expect(ms).toBeGreaterThan(least);
      expect(ms).toBeLessThan(most);
      await expect(states(lost)).rejects.toThrow(/could not be read: Cannot connect to redis:/);
      await expect(lost.saveGroup([['g', null], []])).rejects.toBeInstanceOf(BackendStoreError);
      await expect(lost.forget(id)).rejects.toBeInstanceOf(BackendError);
    });

    it('tells at once who asks for the state', async () => {
      const ms = await taken(() =>
        expect(open({}, nowhere).fetch(id)).rejects.toBeInstanceOf(BackendGetMetaError),
      );
      expect(ms).toBeLessThan(1_000);
    });

    it('can be closed while it tries', async () => {
      const lost = open({}, nowhere);
      const refused = expect(states(lost)).rejects.toThrow(/closed/);
      await settledWithin(refused, 50);
      expect(await taken(() => lost[Symbol.asyncDispose]())).toBeLessThan(1_000);
      await refused;
    });
  });

  it('does not try again with a wrong password', async () => {
    const stranger = open({}, server.url().replace('redis://', 'redis://who:wrong@'));
    const ms = await taken(() =>
      expect(stranger.store(success())).rejects.toThrow(/was not stored: .*WRONGPASS/),
    );
    expect(ms).toBeLessThan(1_000);
    await expect(states(stranger)).rejects.toThrow(/WRONGPASS/);
  });

  it('says so when it must not subscribe or run the script', async () => {
    await raw.acl('SETUSER', 'narrow', 'on', '>pass', '~*', 'resetchannels', '+@all', '-@scripting');
    const narrow = open(IMPATIENT, server.url().replace('redis://', 'redis://narrow:pass@'));
    await expect(states(narrow)).rejects.toThrow(/NOPERM/);
    await expect(narrow.store(success())).rejects.toThrow(/NOPERM/);
  });
});
