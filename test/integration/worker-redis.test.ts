import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AppSettings, Celery } from '../../src/app/celery.ts';
import { Queue } from '../../src/app/entities.ts';
import type { TaskOptions } from '../../src/app/options.ts';
import { Worker } from '../../src/worker/worker.ts';
import { workerContract } from '../contract/worker-suite.ts';
import { Gates } from '../support/gates.ts';
import { LogLines } from '../support/log-lines.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';
import { SlotsPool } from '../support/slots-pool.ts';

describe.runIf(hasRedis)('Redis', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start({ persistent: true });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function emptied(): Promise<string> {
    const admin = new Redis(server.url());
    await admin.flushall();
    admin.disconnect();
    return server.url();
  }

  workerContract('redis://', async () => ({
    url: await emptied(),
    backend: 'rpc://',
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }));

  describe('faults', { timeout: 60_000 }, () => {
    let own: (() => Promise<unknown>)[];
    const gates = new Gates();
    let runs: string[];

    beforeEach(async () => {
      await emptied();
      own = [];
      runs = [];
      gates.clear();
    });
    afterEach(async () => {
      gates.openAll();
      for (const release of own.reverse()) await release();
    });

    function makeApp(settings: AppSettings = {}, task: Omit<TaskOptions, 'bind'> = {}): Celery {
      const app = new Celery('tests', {
        broker: server.url(),
        backend: `cache+memory://${randomUUID()}`,
        task_queues: [new Queue('celery'), new Queue('video', 'video', 'video')],
        ...settings,
      });
      app.markConfigured();
      own.push(() => app.close());
      app.task('tasks.add', task, (x: number, y: number) => x + y);
      app.task('tasks.gated', task, async (gate: string) => {
        runs.push(gate);
        await gates.wait(gate);
        return gate;
      });
      return app;
    }

    async function start(app: Celery) {
      const log = new LogLines();
      const pool = new SlotsPool(app, log.logger);
      const hostname = `celery@${randomUUID()}`;
      const worker = new Worker(app, { hostname, pool, logger: log.logger });
      own.push(() => worker.stop('cold'));
      await worker.start(new AbortController().signal);
      return { worker, log, hostname };
    }

    async function allQueuesWork(app: Celery): Promise<void> {
      for (const queue of ['celery', 'video']) {
        const result = await app.sendTask<number>('tasks.add', [1, 2], { queue });
        expect(await result.get({ timeout: 30 })).toBe(3);
      }
    }

    const quick = { broker_transport_options: { health_check_interval: 0.5, socket_timeout: 0.5 } };
    const breaks: [string, () => Promise<void>][] = [
      [
        'it is killed and started again',
        async () => {
          await server.kill();
          await server.up();
        },
      ],
      [
        'it stands still and goes on',
        async () => {
          server.freeze();
          await pause(2_500);
          server.thaw();
        },
      ],
      [
        'its connections are closed',
        async () => {
          const admin = new Redis(server.url());
          await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
          admin.disconnect();
        },
      ],
    ];

    test.each(breaks)(
      'when %s, every queue and the mailbox are taken up again; a running late-ack task is not run twice',
      async (_, breakIt) => {
        const app = makeApp(quick, { acksLate: true });
        const { log, worker, hostname } = await start(app);
        await allQueuesWork(app);
        const running = await app.sendTask<string>('tasks.gated', ['long']);
        await gates.arrival('long');
        await breakIt();
        await log.until(
          /^WARNING\/MainProcess consumer: Connection to broker lost\. Trying to re-establish the connection\.\.\./,
        );
        await log.until(/Connected to redis:\/\/127/, 2, 30_000);
        await allQueuesWork(app);
        expect(await app.control.ping({ destination: [hostname], timeout: 5 })).toHaveLength(1);
        await gates.open('long');
        expect(await running.get({ timeout: 30 })).toBe('long');
        await worker.stop('warm');
        expect(runs).toEqual(['long']);
        const admin = new Redis(server.url());
        expect(await admin.hlen('unacked')).toBe(0);
        admin.disconnect();
      },
    );

    test('running, waiting and ETA tasks outlast the visibility timeout and run once, with two workers', async () => {
      const settings: AppSettings = {
        broker_transport_options: { visibility_timeout: 1 },
        backend: `cache+memory://${randomUUID()}`, // one for both workers
      };
      const app = makeApp(settings, { acksLate: true });
      const first = await start(app);
      const long = await app.sendTask<string>('tasks.gated', ['long']);
      await gates.arrival('long');
      const second = await start(makeApp(settings, { acksLate: true }));
      const gated = [];
      for (const gate of ['a', 'b', 'c', 'd']) gated.push(await app.sendTask<string>('tasks.gated', [gate]));
      const later = await app.sendTask<number>('tasks.add', [5, 5], { countdown: 4 });
      await pause(5_000);
      for (const gate of ['long', 'a', 'b', 'c', 'd']) {
        await gates.open(gate);
      }
      // A warm shutdown hands back what has not begun: all must be done before it.
      for (const result of [long, later, ...gated]) await result.get({ timeout: 30 });
      await first.worker.stop('warm');
      await second.worker.stop('warm');
      const lines = [...first.log.lines, ...second.log.lines];
      expect(lines.filter((line) => / succeeded in /.test(line))).toHaveLength(6);
      expect(lines.filter((line) => / received$/.test(line))).toHaveLength(6);
      expect(runs.sort()).toEqual(['a', 'b', 'c', 'd', 'long']);
    });

    test.each(['warm', 'cold'] as const)('a frozen broker does not hold up the %s shutdown', async (how) => {
      const app = makeApp();
      const { worker } = await start(app);
      await allQueuesWork(app);
      server.freeze();
      try {
        const startMs = Date.now();
        await worker.stop(how);
        expect(Date.now() - startMs).toBeLessThan(20_000);
      } finally {
        server.thaw();
      }
    });
  });
});
