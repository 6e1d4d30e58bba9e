import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach } from 'vitest';
import { Celery } from '../../../src/app/celery.ts';
import type { TaskOptions } from '../../../src/app/options.ts';
import type { AsyncResult } from '../../../src/app/result.ts';
import { Reject } from '../../../src/core/errors.ts';
import type { Envelope } from '../../../src/message/message.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import type { Channel } from '../../../src/transport/transport.ts';
import { Worker } from '../../../src/worker/worker.ts';
import type { WorkerOptions } from '../../../src/worker/worker.ts';
import { Gates } from '../../support/gates.ts';
import { LogLines } from '../../support/log-lines.ts';
import { SlotsPool } from '../../support/slots-pool.ts';

/** A broker for the worker's tests, empty. */
export interface WorkerBroker extends AsyncDisposable {
  readonly url: string;
  /** Results to go with it. */
  readonly backend: string;
}

export const never = (): AbortSignal => new AbortController().signal;

/** A worker with its app and log. */
interface Running {
  readonly app: Celery;
  readonly worker: Worker;
  readonly pool: SlotsPool;
  readonly log: LogLines;
  readonly hostname: string;
}

/** What each test of the suite has at hand: a broker of its own, apps and workers over it that end with the test. */
export class Place {
  broker!: WorkerBroker;
  /** Hold `tasks.gated` and `tasks.progress`. */
  readonly gates = new Gates();
  /** Runs of `tasks.gated` so far. */
  runs: string[] = [];
  #own: (() => Promise<unknown>)[] = [];

  constructor(makeBroker: () => Promise<WorkerBroker>) {
    beforeEach(async () => {
      this.broker = await makeBroker();
      this.#own = [];
      this.runs = [];
      this.gates.clear();
    });
    afterEach(async () => {
      this.gates.openAll();
      for (const release of this.#own.reverse()) await release();
      await this.broker[Symbol.asyncDispose]();
    });
  }

  readonly makeApp = (settings: Settings = {}, task: Omit<TaskOptions, 'bind'> = {}): Celery => {
    const { broker, gates } = this;
    const app = new Celery('tests', { broker: broker.url, backend: broker.backend, ...settings });
    app.markConfigured();
    this.#own.push(() => app.close());
    app.task('tasks.add', task, (x: number, y: number) => x + y);
    app.task('tasks.other', { rateLimit: null }, () => 'other');
    app.task('tasks.fail', task, () => {
      throw new RangeError('boom');
    });
    // Runs until the test opens its gate.
    app.task('tasks.gated', task, async (gate: string) => {
      this.runs.push(gate);
      await gates.wait(gate);
      return gate;
    });
    app.task('tasks.flaky', { ...task, bind: true }, (self, failures: number) => {
      if (self.request.retries < failures) throw self.retry({ countdown: 0.1, exc: new Error('again') });
      return self.request.retries;
    });
    app.task('tasks.again', { ...task, acksLate: true, bind: true }, (self) => {
      if (!self.request.deliveryInfo.redelivered) throw new Reject('not yet', true);
      return 'second';
    });
    app.task('tasks.progress', { ...task, bind: true }, async (self, gate: string) => {
      await self.updateState('PROGRESS', { done: 1 });
      await gates.wait(gate);
      return 'done';
    });
    return app;
  };

  readonly start = async (app: Celery, options: Partial<WorkerOptions> = {}, size = 2): Promise<Running> => {
    const log = new LogLines();
    const pool = new SlotsPool(app, log.logger, size);
    const hostname = `celery@${randomUUID()}`;
    const worker = new Worker(app, { hostname, pool, logger: log.logger, ...options });
    this.#own.push(() => worker.stop('cold'));
    await worker.start(never());
    return { app, worker, pool, log, hostname };
  };

  readonly withChannel = async <T>(app: Celery, use: (channel: Channel) => Promise<T>): Promise<T> => {
    const connection = await app.transport().connect(never());
    try {
      return await use(await connection.openChannel());
    } finally {
      await connection[Symbol.asyncDispose]();
    }
  };

  readonly publish = (app: Celery, envelope: Partial<Envelope>): Promise<void> => {
    const message: Envelope = {
      body: Buffer.from('[[1, 2], {}, {}]'),
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      headers: {},
      properties: {},
      ...envelope,
    };
    return this.withChannel(app, async (channel) => {
      await channel.publish(message, '', 'celery');
    });
  };

  /** Messages that wait in a queue. */
  readonly waiting = (app: Celery, queue = 'celery'): Promise<number> =>
    this.withChannel(app, (channel) => channel.size(queue));

  readonly send = (app: Celery, task: string, args: unknown[] = [], options = {}): Promise<AsyncResult> =>
    app.sendTask(task, args, options);
}
