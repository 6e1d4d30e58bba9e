import { toSnakeCase } from './option-names.ts';
import type { Answer } from './control-replies.ts';
import { Inspect } from './inspect.ts';
import { MailboxClient } from './mailbox-client.ts';
import type { BroadcastOptions, ControlHost, Reply } from './mailbox-client.ts';

export type { BroadcastOptions, ControlHost, Reply } from './mailbox-client.ts';

/** The answers of the workers to a command, none without `reply`: `[{ 'celery@host': { ok: 'pool will grow' } }]`. */
export type Answers = readonly Readonly<Record<string, Answer>>[];

/** How to end tasks. */
export interface TerminateOptions extends Omit<BroadcastOptions, 'signal'> {
  /** What ends the process: a name with or without SIG, or a number. Default `SIGTERM`. */
  readonly signal?: string | number;
}

/** How to revoke tasks. */
export interface RevokeTasksOptions extends TerminateOptions {
  /** End those that run, too. Default false. */
  readonly terminate?: boolean;
}

/** A queue for workers to consume, when they do not know it by its name. */
export interface ConsumerOptions extends BroadcastOptions {
  /** Default: the name of the queue. */
  readonly exchange?: string;
  /** Default `direct`. */
  readonly exchangeType?: string;
  /** Default: the name of the queue. */
  readonly routingKey?: string;
  /** Further properties of the queue, such as `{ durable: false, maxPriority: 10 }`. */
  readonly queue?: Readonly<Record<string, unknown>>;
}

/** Remote control: commands to running workers. All of them return at once, without answers, unless `reply` is true. */
export class Control {
  readonly #host: ControlHost;
  readonly #client: MailboxClient;

  /** Made by the app: `app.control`. */
  constructor(host: ControlHost) {
    this.#host = host;
    this.#client = new MailboxClient(host);
  }

  /**
   * Sends a command to the workers; with `reply` gives their answers, none when nobody answered in time.
   * @throws {OperationalError} the broker cannot be reached, or cannot carry remote control
   */
  broadcast(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: BroadcastOptions = {},
  ): Promise<Reply[]> {
    return this.#client.broadcast(command, args, options);
  }

  /** Questions to the workers, answered by node name. */
  inspect(options: BroadcastOptions = {}): Inspect {
    return new Inspect(this, options);
  }

  /** Asks the workers whether they answer. */
  ping(options: BroadcastOptions = {}): Promise<Reply[]> {
    return this.broadcast('ping', {}, { ...options, reply: true });
  }

  /** Has the workers discard these tasks; with `terminate` they also end those that run, with their process. */
  revoke(taskIds: string | readonly string[], options: RevokeTasksOptions = {}): Promise<Answers> {
    const { terminate = false, signal = 'SIGTERM', ...rest } = options;
    return this.#change('revoke', { task_id: taskIds, terminate, signal }, rest);
  }

  /** Ends running tasks with their process, and has the workers discard those that did not start. */
  terminate(taskIds: string | readonly string[], options: TerminateOptions = {}): Promise<Answers> {
    return this.revoke(taskIds, { ...options, terminate: true });
  }

  /** Revokes by the headers that tasks were stamped with: `{ customer: ['7', '8'] }`. */
  revokeByStampedHeaders(
    headers: Readonly<Record<string, string | readonly string[]>>,
    options: RevokeTasksOptions = {},
  ): Promise<Answers> {
    const { terminate = false, signal = 'SIGTERM', ...rest } = options;
    return this.#change('revoke_by_stamped_headers', { headers, terminate, signal }, rest);
  }

  /** Changes a task's rate limit on the workers: `'10/m'`, a number per second, or 0 for none. */
  rateLimit(
    task: string,
    rateLimit: string | number | null,
    options: BroadcastOptions = {},
  ): Promise<Answers> {
    return this.#change('rate_limit', { task_name: task, rate_limit: rateLimit }, options);
  }

  /** Changes a task's time limits, in seconds; one that is left out is lifted. */
  timeLimit(
    task: string,
    limits: { readonly soft?: number | null; readonly hard?: number | null },
    options: BroadcastOptions = {},
  ): Promise<Answers> {
    const { soft = null, hard = null } = limits;
    return this.#change('time_limit', { task_name: task, soft, hard }, options);
  }

  /** Has the workers consume one queue more. */
  addConsumer(queue: string, options: ConsumerOptions = {}): Promise<Answers> {
    const { exchange, exchangeType = 'direct', routingKey, queue: properties = {}, ...rest } = options;
    const more = Object.entries(properties).map(([name, value]) => [toSnakeCase(name), value] as const);
    return this.#change(
      'add_consumer',
      {
        ...Object.fromEntries(more),
        ...{
          queue,
          exchange: exchange ?? null,
          exchange_type: exchangeType,
          routing_key: routingKey ?? null,
        },
      },
      rest,
    );
  }

  /** Has the workers consume a queue no more. */
  cancelConsumer(queue: string, options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('cancel_consumer', { queue }, options);
  }

  /** Adds processes to the workers' pools. */
  poolGrow(count = 1, options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('pool_grow', { n: count }, options);
  }

  /** Takes idle processes from the workers' pools. */
  poolShrink(count = 1, options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('pool_shrink', { n: count }, options);
  }

  /** Replaces the pools' processes, which load the app anew; takes `worker_pool_restarts` on the workers. */
  poolRestart(options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('pool_restart', { modules: null, reload: false, reloader: null }, options);
  }

  /** Changes the limits of workers that run with `--autoscale`. */
  autoscale(max: number, min: number, options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('autoscale', { max, min }, options);
  }

  /** Has the workers send events about their tasks. */
  enableEvents(options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('enable_events', {}, options);
  }

  /** Has the workers send no more events about their tasks. */
  disableEvents(options: BroadcastOptions = {}): Promise<Answers> {
    return this.#change('disable_events', {}, options);
  }

  /** Has the workers send a heartbeat event now. */
  async heartbeat(options: BroadcastOptions = {}): Promise<void> {
    await this.broadcast('heartbeat', {}, options);
  }

  /** Shuts the workers down warmly; they do not answer. */
  async shutdown(options: Omit<BroadcastOptions, 'reply'> = {}): Promise<void> {
    await this.broadcast('shutdown', {}, options);
  }

  /** Has workers elect one of them, which then does what `action` says (gossip). */
  async election(
    id: string,
    topic: string,
    action: Readonly<Record<string, unknown>> | null = null,
    options: BroadcastOptions = {},
  ): Promise<void> {
    await this.broadcast('election', { id, topic, action }, options);
  }

  /**
   * Deletes the messages that wait in the queues, all configured ones unless named; returns how many. They cannot be brought
   * back.
   * @param onPurged - told of each queue when it is done
   * @throws {OperationalError} the broker cannot be reached
   */
  async purge(
    queues?: readonly string[],
    onPurged?: (queue: string, messages: number) => void,
  ): Promise<number> {
    await this.#host.ready();
    const names = new Set(queues ?? this.#host.queues.all().map((queue) => queue.name));
    const seconds = this.#host.settings.broker_connection_timeout ?? 60;
    const connection = await this.#host.transport().connect(AbortSignal.timeout(seconds * 1000));
    try {
      const channel = await connection.openChannel();
      let purged = 0;
      for (const name of names) {
        const messages = await channel.purge(name);
        purged += messages;
        onPurged?.(name, messages);
      }
      return purged;
    } finally {
      await connection[Symbol.asyncDispose]();
    }
  }

  async #change(
    command: string,
    args: Readonly<Record<string, unknown>>,
    options: BroadcastOptions,
  ): Promise<Answers> {
    return (await this.broadcast(command, args, options)) as Answers;
  }
}
