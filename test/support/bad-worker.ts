import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Channel as AmqpChannel } from 'amqplib';
import { connect } from 'amqplib';
import { Celery } from '../../src/app/celery.ts';
import type { AsyncResult } from '../../src/app/result.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { Envelope } from '../../src/message/message.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { AMQP_OPTIONS, never } from './amqp.ts';
import type { CliResult, RunningCli } from './cli.ts';
import { startCli } from './cli.ts';
import type { Project } from './project.ts';
import { createProject } from './project.ts';
import { Rabbitmq } from './rabbitmq.ts';

const TASKS = readFileSync(join(import.meta.dirname, '../fixtures/projects/bad-input/tasks.js'), 'utf8');

/** A message as anybody may send it. */
export interface RawMessage {
  readonly body: string | Buffer;
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** The headers and the body of a good call, to be spoilt. */
export function goodMessage(id: string, task = 'tasks.add', args: readonly unknown[] = [1, 2]): RawMessage {
  return {
    body: JSON.stringify([args, {}, { callbacks: null, errbacks: null, chain: null, chord: null }]),
    headers: { lang: 'py', task, id, root_id: id, parent_id: null, retries: 0, timelimit: [null, null] },
  };
}

/** A worker process of the project `bad-input`, and an app that sends to it and reads the results it has stored. */
export class BadWorker implements AsyncDisposable {
  readonly app: Celery;
  readonly worker: RunningCli;
  readonly project: Project;
  readonly broker: string;
  readonly #own: Releasers;
  #publish: ((message: RawMessage) => Promise<void>) | undefined;

  private constructor(own: Releasers, project: Project, broker: string) {
    const backend = `sqlite:///${project.path('results.db')}`;
    this.#own = own;
    this.project = project;
    this.broker = broker;
    this.app = new Celery('bad-input', { broker, backend });
    this.app.markConfigured();
    own.own(this.app);
    this.worker = startCli(
      [
        '-A',
        'tasks',
        '-b',
        broker,
        '--result-backend',
        backend,
        'worker',
        '-c',
        '2',
        '-l',
        'INFO',
        '-n',
        'w@h',
      ],
      { cwd: project.folder },
    );
    own.push(async () => {
      this.worker.kill('SIGKILL');
      await this.worker.ended;
    });
  }

  /** Starts it on a RabbitMQ or on a SQLite file of its own. */
  static async start(kind: 'RabbitMQ' | 'SQLite'): Promise<BadWorker> {
    const own = new Releasers();
    try {
      const project = createProject({ 'tasks.js': TASKS });
      own.push(() => project.remove());
      const broker =
        kind === 'SQLite' ? `sqlite:///${project.path('celery.db')}` : own.own(await Rabbitmq.start()).url();
      const started = new BadWorker(own, project, broker);
      await started.worker.waitFor('w@h ready.');
      return started;
    } catch (error) {
      await own.release();
      throw error;
    }
  }

  /** Sends a message as it is. */
  async publish(message: RawMessage): Promise<void> {
    this.#publish ??= this.broker.startsWith('amqp')
      ? await amqpPublisher(this.broker, this.#own)
      : transportPublisher(await this.channel());
    await this.#publish(message);
  }

  /** Sends a good task, then what `send` sends, then a good task; both good ones must succeed. */
  async between(send: () => Promise<unknown>): Promise<void> {
    const before = await this.app.sendTask<number>('tasks.add', [1, 2]);
    await send();
    const after = await this.app.sendTask<number>('tasks.add', [3, 4]);
    const sums = await Promise.all([before.get({ timeout: 20 }), after.get({ timeout: 20 })]);
    if (sums.join() !== '3,7') throw new Error(`the tasks around it gave ${sums.join()}`);
  }

  call(task: string, args: readonly unknown[] = []): Promise<AsyncResult> {
    return this.app.sendTask(task, args);
  }

  /** What became of the task with this id: its error. */
  async error(id: string): Promise<Error> {
    const value = await this.app.AsyncResult(id).get({ timeout: 20, propagate: false });
    if (!(value instanceof Error)) throw new Error(`it succeeded: ${JSON.stringify(value)}`);
    return value;
  }

  async channel(): Promise<Channel> {
    const connection = this.#own.own(await connectTransport(this.broker, AMQP_OPTIONS).connect(never()));
    return connection.openChannel();
  }

  /** Lines of the log that begin in this way, with those that follow up to the next with a time. */
  records(pattern: RegExp): string[] {
    return this.worker.output.split(/^(?=\[\d{4}-\d\d-\d\d )/m).filter((record) => pattern.test(record));
  }

  /** Ends the worker as an operator does; how many messages it has left in its queue. */
  async stop(): Promise<CliResult & { left: number }> {
    this.worker.kill('SIGTERM');
    const ended = await this.worker.ended;
    return { ...ended, left: await (await this.channel()).size('celery') };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#own.release();
  }
}

async function amqpPublisher(url: string, own: Releasers): Promise<(message: RawMessage) => Promise<void>> {
  const connection = await connect(url);
  own.push(() => connection.close());
  const channel = await connection.createConfirmChannel();
  return async (message) => {
    publishTo(channel, message);
    await channel.waitForConfirms();
  };
}

function publishTo(channel: AmqpChannel, { body, headers, contentType, contentEncoding }: RawMessage): void {
  channel.publish('', 'celery', Buffer.from(body), {
    headers: { ...headers },
    contentType: contentType ?? 'application/json',
    contentEncoding: contentEncoding ?? 'utf-8',
    deliveryMode: 2,
  });
}

function transportPublisher(channel: Channel): (message: RawMessage) => Promise<void> {
  return (message) => {
    const envelope: Envelope = {
      body: Buffer.from(message.body),
      contentType: message.contentType ?? 'application/json',
      contentEncoding: message.contentEncoding ?? 'utf-8',
      headers: message.headers ?? {},
      properties: { correlationId: randomUUID(), deliveryMode: 2 },
    };
    return channel.publish(envelope, '', 'celery');
  };
}
