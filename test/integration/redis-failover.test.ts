import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { startWorker } from '../../src/testing/worker.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const SENTINELS = 3;
const BEFORE = 150;
const AFTER = 150;

/**
 * Redis replicates without waiting: what the master took, and answered, in its last moments may be unknown to the replica that
 * becomes the master. All else has to survive: this tells the two apart by WAIT.
 */
describe.runIf(hasRedis)('Sentinel makes another server the master', { timeout: 120_000 }, () => {
  let own: Releasers;
  let master: RedisServer;
  let replica: RedisServer;
  let url: string;
  beforeEach(async () => {
    own = new Releasers();
    master = own.own(await RedisServer.start());
    const of = ['--replicaof', '127.0.0.1', String(master.port), '--repl-diskless-sync-delay', '0'];
    replica = own.own(await RedisServer.start({ args: of }));
    const sentinel = [
      `sentinel monitor mymaster 127.0.0.1 ${String(master.port)} 2`,
      'sentinel down-after-milliseconds mymaster 500',
      'sentinel failover-timeout mymaster 5000',
    ].join('\n');
    const ports: number[] = [];
    for (let at = 0; at < SENTINELS; at += 1) {
      ports.push(own.own(await RedisServer.start({ sentinel })).port);
    }
    url = ports.map((port) => `sentinel://127.0.0.1:${String(port)}/0`).join(';');
    for (const port of ports) await knowsAll(port);
  });
  afterEach(() => own.release());

  function client(port: number): Redis {
    const redis = new Redis(port, '127.0.0.1', { retryStrategy: null });
    redis.on('error', () => undefined);
    own.push(() => redis.disconnect());
    return redis;
  }

  /** The other Sentinels and the replica, in working order: none of them could lead a failover before. */
  async function knowsAll(port: number): Promise<void> {
    const redis = client(port);
    const asked = { timeout: 60_000, interval: 50 };
    const others = async (): Promise<number> =>
      ((await redis.call('SENTINEL', 'SENTINELS', 'mymaster')) as []).length;
    await expect.poll(others, asked).toBe(SENTINELS - 1);
    const replicas = async (): Promise<string> =>
      String(await redis.call('SENTINEL', 'REPLICAS', 'mymaster'));
    await expect.poll(replicas, asked).toMatch(/master-link-status,ok/);
  }

  function makeApp(runs: Map<string, number>): Celery {
    const transport = { master_name: 'mymaster', lease_timeout: 4, visibility_timeout: 4 };
    const app = new Celery(`failover-${randomUUID()}`, {
      ...{ broker: url, broker_transport_options: transport },
      ...{ backend: url, result_backend_transport_options: { master_name: 'mymaster' } },
    });
    app.markConfigured();
    app.task('tasks.step', { acksLate: true, bind: true }, ({ request }, value: number) => {
      runs.set(request.id, (runs.get(request.id) ?? 0) + 1);
      return value;
    });
    own.push(() => app.close());
    return app;
  }

  it('while tasks are sent and run: what was replicated is not lost, and all goes on by itself', async () => {
    const runs = new Map<string, number>();
    const app = makeApp(runs);
    for (const hostname of ['one', 'two']) own.own(await startWorker(makeApp(runs), { hostname }));
    const ids: string[] = [];
    /** Sends until the broker says that it has it. */
    const send = async (value: number): Promise<void> => {
      const taskId = randomUUID();
      while (!ids.includes(taskId)) {
        await app
          .sendTask('tasks.step', [value], { taskId })
          .then(() => ids.push(taskId))
          .catch(() => undefined);
      }
    };
    const sendAll = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at += 10) {
        await Promise.all(Array.from({ length: 10 }, (_, more) => send(at + more)));
      }
    };
    const before = client(master.port);
    /** What the replica has for certain: its stream of changes is in order. */
    const replicated = new Set<string>();
    const barrier = async (): Promise<void> => {
      const answered = [...ids];
      await before.incr('barrier');
      if ((await before.wait(1, 10_000)) === 1) for (const id of answered) replicated.add(id);
    };
    for (let at = 0; at < BEFORE; at += 30) {
      await sendAll(30);
      await barrier();
    }
    // In the middle of sending and running.
    const sending = sendAll(AFTER);
    await expect.poll(() => ids.length, { timeout: 20_000, interval: 1 }).toBeGreaterThan(BEFORE + 20);
    await master.kill();
    const endangered = ids.filter((id) => !replicated.has(id));
    await sending;
    const safe = ids.filter((id) => !endangered.includes(id));
    expect(safe.length).toBeGreaterThanOrEqual(BEFORE + AFTER - endangered.length);
    const missing = (): number => safe.filter((id) => !runs.has(id)).length;
    await expect.poll(missing, { timeout: 60_000, interval: 100 }).toBe(0);
    const results = await Promise.all(safe.map((id) => app.AsyncResult(id).get({ timeout: 30 })));
    expect(results.every((result) => typeof result === 'number')).toBe(true);
    const now = client(replica.port);
    expect(await now.info('replication')).toMatch(/^role:master/m);
    const left = async (): Promise<number[]> => [await now.llen('celery'), await now.hlen('unacked')];
    await expect.poll(left, { timeout: 30_000, interval: 100 }).toEqual([0, 0]);
  });
});
