import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AppSettings } from '../../src/app/celery.ts';
import { Celery } from '../../src/app/celery.ts';
import type { TaskOptions } from '../../src/app/options.ts';
import { Queue } from '../../src/app/entities.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import { Worker } from '../../src/worker/worker.ts';
import { workerContract } from '../contract/worker-suite.ts';
import { Gates } from '../support/gates.ts';
import { LogLines } from '../support/log-lines.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { SlotsPool } from '../support/slots-pool.ts';

describe.skipIf(!hasRabbitmq)('RabbitMQ', () => {
  let server: Rabbitmq;
  let url: string;

  /** In every virtual host. */
  async function closeAllConnections(): Promise<void> {
    await server.ctl('close_all_connections', '--global', 'closed by the test');
  }

  /** Making a virtual host takes seconds; the queues of the test before are gone in no time. */
  async function emptied(): Promise<string> {
    const transport = connectTransport(url, {
      heartbeatS: 0,
      connectionTimeoutS: 10,
      failoverStrategy: 'round-robin',
      transportOptions: {},
      useSsl: false,
    });
    const connection = await transport.connect(new AbortController().signal);
    const channel = await connection.openChannel();
    for (const queue of ['celery', 'video', 'extra']) await channel.deleteQueue(queue);
    await connection[Symbol.asyncDispose]();
    return url;
  }

  beforeAll(async () => {
    server = await Rabbitmq.start();
    url = await server.vhost('worker');
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  workerContract('amqp://', async () => ({
    url: await emptied(),
    backend: 'rpc://',
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }));

  describe('faults', { timeout: 90_000 }, () => {
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
        broker: url,
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
      return { worker, pool, log, hostname };
    }

    async function allQueuesWork(app: Celery): Promise<void> {
      for (const queue of ['celery', 'video']) {
        const result = await app.sendTask<number>('tasks.add', [1, 2], { queue });
        expect(await result.get({ timeout: 40 })).toBe(3);
      }
    }

    const breaks: [string, () => Promise<void>][] = [
      ['its connections are closed', () => closeAllConnections()],
      [
        'it is killed and started again',
        async () => {
          await server.kill();
          await server.up();
        },
      ],
    ];

    test.each(breaks)(
      'when %s, every queue and the mailbox are taken up again; a running late-ack task is not run twice',
      async (_, breakIt) => {
        const app = makeApp({}, { acksLate: true });
        const { log, worker, hostname } = await start(app);
        await allQueuesWork(app);
        const running = await app.sendTask<string>('tasks.gated', ['long']);
        await gates.arrival('long');
        await breakIt();
        await log.until(
          /^WARNING\/MainProcess consumer: Connection to broker lost\. Trying to re-establish the connection\.\.\./,
        );
        await log.until(/Connected to amqp:\/\/guest:\*\*@127/, 2, 60_000);
        await allQueuesWork(app);
        expect(await app.control.ping({ destination: [hostname], timeout: 5 })).toHaveLength(1);
        await gates.open('long');
        expect(await running.get({ timeout: 40 })).toBe('long');
        await worker.stop('warm');
        expect(runs).toEqual(['long']);
        expect(log.matching(/ ready\.$/)).toHaveLength(1);
        expect(
          await server.ctl(
            'list_queues',
            '-p',
            decodeURIComponent(url.split('/').at(-1) ?? ''),
            'name',
            'messages',
          ),
        ).not.toMatch(/\t[1-9]/);
      },
    );

    test('a late-ack task that ends while the broker is away is not run again', async () => {
      const app = makeApp({}, { acksLate: true });
      const { log } = await start(app);
      const running = await app.sendTask<string>('tasks.gated', ['long']);
      await gates.arrival('long');
      await server.kill();
      await log.until(/Connection to broker lost/);
      await gates.open('long');
      expect(await running.get({ timeout: 40 })).toBe('long');
      await server.up();
      await log.until(/^INFO.*Connected/, 2, 60_000);
      await allQueuesWork(app);
      expect(runs).toEqual(['long']);
      expect(
        log.matching(
          /Cannot connect to amqp:\/\/guest:\*\*@.*\nTrying again in 2\.00 seconds\.\.\. \(1\/100\)\n$/,
        ),
      ).toHaveLength(1);
    });

    test('a task whose worker is gone is run by another', async () => {
      const app = makeApp({}, { acksLate: true });
      const first = await start(app);
      const result = await app.sendTask<string>('tasks.gated', ['long']);
      await gates.arrival('long');
      gates.clear();
      const second = await start(app);
      await first.worker.stop('cold');
      await gates.open('long');
      expect(await result.get({ timeout: 40 })).toBe('long');
      await second.log.until(/succeeded/);
      expect(runs).toEqual(['long', 'long']);
    });

    test('a queue that is deleted is declared and consumed again', async () => {
      const app = makeApp();
      const { log } = await start(app);
      const connection = await app.transport().connect(new AbortController().signal);
      const channel = await connection.openChannel();
      await channel.deleteQueue('video');
      await connection[Symbol.asyncDispose]();
      await log.until(/subscribing again/);
      await pause(300);
      await app.producer.close();
      await allQueuesWork(app);
    });

    test('a channel that RabbitMQ closes for its consumer_timeout is opened again; the task runs on, once', async () => {
      const app = makeApp({}, { acksLate: true });
      const setTimes = (tickMs: number, timeoutMs: number): Promise<string> =>
        server.ctl(
          'eval',
          `application:set_env(rabbit, channel_tick_interval, ${tickMs}), application:set_env(rabbit, consumer_timeout, ${timeoutMs}).`,
        );
      await setTimes(500, 1000);
      const { log, worker } = await start(app).finally(() => setTimes(500, 1_800_000));
      const result = await app.sendTask<string>('tasks.gated', ['long']);
      await gates.arrival('long');
      await log.until(/^WARNING\/MainProcess consumer: The broker has closed the channel of the tasks/);
      await allQueuesWork(app);
      await gates.open('long');
      expect(await result.get({ timeout: 40 })).toBe('long');
      await worker.stop('warm');
      expect(runs).toEqual(['long']);
      expect(log.matching(/Connection to broker lost/)).toEqual([]);
    });

    test('what waits for its time or for a slot comes again after a loss, and runs once', async () => {
      const app = makeApp();
      const { log } = await start(app);
      const later = await app.sendTask<number>('tasks.add', [5, 5], { countdown: 3 });
      for (const gate of ['a', 'b']) {
        await app.sendTask('tasks.gated', [gate]);
        await gates.arrival(gate);
      }
      const waiting = await app.sendTask<number>('tasks.add', [1, 1]);
      await log.until(/received/, 4);
      await closeAllConnections();
      await log.until(/^INFO.*Connected/, 2, 60_000);
      await log.until(/received/, 6);
      gates.openAll();
      expect(await waiting.get({ timeout: 40 })).toBe(2);
      expect(await later.get({ timeout: 40 })).toBe(10);
      expect(runs).toEqual(['a', 'b']);
      expect(log.matching(/succeeded in .*: 10$/)).toHaveLength(1);
    });

    test('a retry is sent when the broker is back', async () => {
      const app = makeApp();
      app.task('tasks.again', { bind: true }, async (self) => {
        if (self.request.retries > 0) return 'second';
        await gates.wait('again');
        throw self.retry({ countdown: 0.1 });
      });
      const { log } = await start(app);
      const result = await app.sendTask<string>('tasks.again');
      await gates.arrival('again');
      await server.kill();
      await log.until(/Connection to broker lost/);
      await gates.open('again');
      await pause(300);
      await server.up();
      expect(await result.get({ timeout: 30 })).toBe('second');
    });

    test('warm shutdown while the broker is away ends when the tasks have', async () => {
      const app = makeApp();
      const { log, worker } = await start(app);
      await app.sendTask('tasks.gated', ['long']);
      await gates.arrival('long');
      await server.kill();
      await log.until(/Connection to broker lost/);
      const stopped = worker.stop('warm');
      await gates.open('long');
      await stopped;
      await server.up();
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

    test('a wrong password ends the worker at once, masked', async () => {
      const app = makeApp({ broker: url.replace('guest:guest', 'guest:wrong') });
      const log = new LogLines();
      const worker = new Worker(app, {
        hostname: 'celery@x',
        pool: new SlotsPool(app, log.logger),
        logger: log.logger,
      });
      await expect(worker.start(new AbortController().signal)).rejects.toMatchObject({
        name: 'AccessRefused',
      });
      expect((await worker.finished).how).toBe('failed');
      expect(log.matching(/^CRITICAL\/MainProcess Unrecoverable error: AccessRefused\(/)).toHaveLength(1);
      expect(log.lines.join('\n')).not.toContain('wrong');
    });

    test.each([
      { setting: { broker_connection_retry_on_startup: false }, tries: 0 },
      { setting: { broker_connection_retry: false }, tries: 0 },
      { setting: { broker_connection_max_retries: 1 }, tries: 1 },
    ])('nobody listens: with $setting it gives up after $tries retries', async ({ setting, tries }) => {
      const app = makeApp({ broker: 'amqp://guest:secret@127.0.0.1:1//', ...setting });
      const log = new LogLines();
      const pool = new SlotsPool(app, log.logger);
      const worker = new Worker(app, { hostname: 'celery@x', pool, logger: log.logger });
      await expect(worker.start(new AbortController().signal)).rejects.toMatchObject({
        name: 'OperationalError',
      });
      expect(
        log.matching(
          /^ERROR\/MainProcess consumer: Cannot connect to amqp:\/\/guest:\*\*@127\.0\.0\.1:1\/\/: /,
        ),
      ).toHaveLength(tries);
      expect(log.lines.join('\n')).not.toContain('secret');
    });

    test('with broker_connection_retry off a loss ends the worker', async () => {
      const app = makeApp({ broker_connection_retry: false, broker_connection_retry_on_startup: true });
      const { worker, log } = await start(app);
      await closeAllConnections();
      expect((await worker.finished).how).toBe('failed');
      expect(log.matching(/^CRITICAL\/MainProcess Unrecoverable error: /)).toHaveLength(1);
    });

    test('a queue that exists with other properties ends the worker at its start, saying so', async () => {
      const app = makeApp();
      const connection = await app.transport().connect(new AbortController().signal);
      const channel = await connection.openChannel();
      await channel.declareQueue({
        name: 'video',
        routingKey: 'video',
        durable: false,
        exclusive: false,
        autoDelete: false,
      });
      await connection[Symbol.asyncDispose]();
      await expect(start(app)).rejects.toThrow(/PRECONDITION_FAILED|inequivalent/);
    });

    test.each([
      ['early', false],
      ['late', true],
    ])('a quorum queue gives no message ahead without prefetching: acknowledged %s', async (_, acksLate) => {
      const settings: AppSettings = {
        worker_disable_prefetch: true,
        task_default_queue_type: 'quorum',
        task_queues: null,
      };
      const app = makeApp(settings, { acksLate });
      const { log, worker } = await start(app);
      for (const gate of ['a', 'b', 'c', 'd', 'e', 'f']) await app.sendTask('tasks.gated', [gate]);
      // What a subscription leaves when it ends may come after later messages.
      const [first = ''] = await gates.arrivals(2);
      await gates.open(first);
      await gates.arrivals(3);
      // Another worker gets all that the first has no slot for.
      const other = await start(makeApp({ ...settings, worker_disable_prefetch: false }, { acksLate }));
      await other.log.until(/received/, 3);
      expect(log.matching(/received/)).toHaveLength(3);
      await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((gate) => gates.open(gate)));
      await other.worker.stop('warm');
      const more = await Promise.all([1, 2, 3].map((n) => app.sendTask<number>('tasks.add', [n, 0])));
      expect(await Promise.all(more.map((result) => result.get({ timeout: 20 })))).toEqual([1, 2, 3]);
      await worker.stop('warm');
      expect(runs.sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    });

    test('queues added and cancelled at run time stay so after a loss', async () => {
      const log = new LogLines();
      const app = makeApp();
      const { Consumer } = await import('../../src/worker/consumer.ts');
      const { Prefetch } = await import('../../src/worker/prefetch.ts');
      const got: string[] = [];
      const consumer = new Consumer({
        transport: app.transport(),
        queues: app.queues.consumeFrom,
        prefetch: new Prefetch({ concurrency: 1, multiplier: 4, etaLimit: null, logger: log.logger }),
        patient: true,
        mailbox: undefined,
        logger: log.logger,
        retry: true,
        retryOnStartup: true,
        maxRetries: null,
        purge: false,
        onPurged: () => undefined,
        onDelivery: (delivery) => {
          got.push(delivery.queue);
          void delivery.ack();
        },
        onLost: () => undefined,
        onFailed: () => undefined,
      });
      own.push(() => consumer.stop());
      await consumer.start(new AbortController().signal);
      await consumer.addQueue(app.queues.get('extra'));
      await consumer.cancelQueue('video');
      await closeAllConnections();
      await log.until(/^INFO.*Connected/, 2, 60_000);
      for (const queue of ['video', 'extra', 'celery']) await app.sendTask('tasks.add', [1, 1], { queue });
      while (got.length < 2) await pause(10);
      await pause(100);
      expect(got.sort()).toEqual(['celery', 'extra']);
    });
  });
});
