import { sleep } from '../../core/async.ts';
import type { Logger } from '../../core/logger.ts';
import { delayMs } from '../../core/retry.ts';
import type { Queue } from '../../transport/topology.ts';
import type { Channel, Connection, Consumer, Delivery } from '../../transport/transport.ts';
import type { Prefetch, PrefetchWindow } from '../prefetch.ts';
import type { Session } from '../request.ts';

/** Pauses between attempts to consume a queue that the broker does not let us consume. */
const QUEUE_RETRY = {
  maxRetries: null,
  intervalStartMs: 0,
  intervalStepMs: 2000,
  intervalMaxMs: 32_000,
} as const;

export interface TaskSessionOptions {
  readonly prefetch: Prefetch;
  /** See `ChannelOptions`. */
  readonly patient: boolean;
  readonly logger: Logger;
  readonly onDelivery: (delivery: Delivery, session: Session) => void;
}

/** The subscriptions to queues of tasks over one channel. When the channel is gone, so is the session. */
export class TaskSession implements Session {
  /** Settles when the channel is gone: with the error, or undefined when `close` closed it. */
  readonly closed: Promise<Error | undefined>;
  readonly #connection: Connection;
  readonly #channel: Channel;
  readonly #options: TaskSessionOptions;
  /** Undefined: not yet, or not any more. */
  readonly #consumers = new Map<string, Consumer | undefined>();
  /** Subscriptions under way: a second one to the same queue could never be ended. */
  readonly #adding = new Map<string, Promise<void>>();
  readonly #ending = new AbortController();
  /** What is consumed or waits in `#paused`, by name. */
  readonly #queues = new Map<string, Queue>();
  /** Queues whose subscriptions were ended until the window opens. */
  readonly #paused = new Set<Queue>();
  #isPaused = false;
  #open = true;

  private constructor(connection: Connection, channel: Channel, options: TaskSessionOptions) {
    this.#connection = connection;
    this.#channel = channel;
    this.#options = options;
    this.closed = channel.closed.then((error) => {
      this.#open = false;
      this.#ending.abort();
      return error;
    });
  }

  static async open(connection: Connection, options: TaskSessionOptions): Promise<TaskSession> {
    const channel = await connection.openChannel({ confirm: false, patient: options.patient });
    const session = new TaskSession(connection, channel, options);
    try {
      await options.prefetch.attach((window) => session.#setWindow(window));
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Declares the queue and subscribes to it, unless it is consumed. @throws {OperationalError} the broker refuses it */
  async add(queue: Queue): Promise<void> {
    const { name } = queue;
    if (!this.#consumers.has(name)) this.#consumers.set(name, undefined);
    await this.#addOnce(name, () => this.#subscribe(queue));
  }

  async #addOnce(name: string, subscribe: () => Promise<void>): Promise<void> {
    // The one under way may have found it cancelled, and be over without a subscription.
    while (this.#open && this.#isMissing(name)) {
      const adding = this.#adding.get(name) ?? subscribe();
      this.#adding.set(name, adding);
      try {
        await adding;
      } finally {
        if (this.#adding.get(name) === adding) this.#adding.delete(name);
      }
    }
  }

  /** It is to be consumed now, and is not. */
  #isMissing(name: string): boolean {
    if (!this.#consumers.has(name) || this.#consumers.get(name) !== undefined) return false;
    const queue = this.#queues.get(name);
    return queue === undefined || !this.#paused.has(queue);
  }

  async #subscribe(queue: Queue): Promise<void> {
    await declare(this.#connection, queue);
    await this.#consume(queue);
  }

  async #consume(queue: Queue): Promise<void> {
    const { name } = queue;
    // Meanwhile it may have been cancelled.
    if (!this.#open || !this.#consumers.has(name)) return;
    this.#queues.set(name, queue);
    if (this.#mustWait(queue)) {
      this.#paused.add(queue);
      return;
    }
    const { onDelivery } = this.#options;
    const consumer = await this.#channel.consume(
      queue,
      (delivery) => {
        onDelivery(delivery, this);
      },
      () => {
        this.#onCancelled(queue);
      },
    );
    if (this.#consumers.has(name) && !this.#mustWait(queue)) {
      this.#consumers.set(name, consumer);
      return;
    }
    if (this.#consumers.has(name)) this.#paused.add(queue);
    await consumer[Symbol.asyncDispose]();
  }

  /** A queue that goes with its last consumer keeps its own, and gets a message ahead. */
  #mustWait(queue: Queue): boolean {
    return this.#isPaused && !queue.autoDelete;
  }

  /** A broker knows no limit of no messages: the subscriptions end until there may be some again. */
  async #setWindow(window: PrefetchWindow): Promise<void> {
    const isClosed = window === 'closed';
    await this.#channel.prefetch(isClosed ? 1 : window);
    // Consumers of quorum queues keep the limit that they began with.
    const mustRestart = this.#options.prefetch.slotsOnly && [...this.#queues.values()].some(isQuorum);
    if (isClosed || mustRestart) await this.#pause();
    if (!isClosed) await this.#resume();
  }

  async #pause(): Promise<void> {
    this.#isPaused = true;
    const ended = [...this.#queues].map(async ([name, queue]) => {
      const consumer = this.#consumers.get(name);
      if (consumer === undefined || !this.#mustWait(queue)) return;
      this.#consumers.set(name, undefined);
      this.#paused.add(queue);
      await consumer[Symbol.asyncDispose]();
    });
    await Promise.all(ended);
  }

  async #resume(): Promise<void> {
    this.#isPaused = false;
    const queues = [...this.#paused];
    this.#paused.clear();
    const begun = queues.map((queue) =>
      this.#addOnce(queue.name, () => this.#consume(queue)).catch((error: unknown) => {
        if (!this.#open) return;
        this.#options.logger.error(`consumer: Cannot consume from queue ${queue.name}`, error);
        void this.keepAdding(queue);
      }),
    );
    await Promise.all(begun);
  }

  /** Like `add`, but goes on trying while the session lasts. */
  async keepAdding(queue: Queue): Promise<void> {
    const { signal } = this.#ending;
    for (let attempt = 1; ; attempt += 1) {
      const pauseMs = delayMs(QUEUE_RETRY, attempt);
      try {
        await sleep(pauseMs, signal);
        await this.add(queue);
        return;
      } catch (error) {
        if (signal.aborted || !this.#consumers.has(queue.name)) return;
        const nextMs = delayMs(QUEUE_RETRY, attempt + 1);
        this.#options.logger.error(
          `consumer: Cannot consume from queue ${queue.name}. Trying again in ${(nextMs / 1000).toFixed(2)} seconds...`,
          error,
        );
      }
    }
  }

  /** Ends the subscription to one queue. */
  async cancel(name: string): Promise<void> {
    const consumer = this.#consumers.get(name);
    this.#consumers.delete(name);
    const queue = this.#queues.get(name);
    if (queue !== undefined) this.#paused.delete(queue);
    this.#queues.delete(name);
    await consumer?.[Symbol.asyncDispose]();
  }

  /** Ends all subscriptions; messages that were delivered stay here. */
  async cancelAll(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.#consumers.keys()].map((name) => this.cancel(name)));
  }

  /** Closes the channel; the broker takes back what is not settled. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#channel[Symbol.asyncDispose]();
    await this.closed;
  }

  #onCancelled(queue: Queue): void {
    if (this.#ending.signal.aborted || !this.#consumers.has(queue.name)) return;
    this.#options.logger.warning(
      `consumer: The broker has ended the subscription to queue ${queue.name}; subscribing again`,
    );
    this.#consumers.set(queue.name, undefined);
    // It handles its errors itself.
    void this.keepAdding(queue);
  }
}

function isQuorum(queue: Queue): boolean {
  return queue.arguments?.['x-queue-type'] === 'quorum';
}

/** Over a channel of its own: a queue that exists with other properties makes the broker close it. */
async function declare(connection: Connection, queue: Queue): Promise<void> {
  const channel = await connection.openChannel({ confirm: false });
  try {
    await channel.declareQueue(queue);
  } finally {
    await channel[Symbol.asyncDispose]();
  }
}
