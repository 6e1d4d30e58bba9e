import { deferred, sleep, withTimeout } from '../core/async.ts';
import type { Logger } from '../core/logger.ts';
import type { Queue } from '../transport/topology.ts';
import type { Connection, Delivery, Transport } from '../transport/transport.ts';
import { connectPatiently } from './consumer/connecting.ts';
import type { WorkerEvents } from './consumer/events.ts';
import type { ControlMailbox, OpenMailbox } from './consumer/control.ts';
import { TaskSession } from './consumer/tasks.ts';
import type { Prefetch } from './prefetch.ts';
import type { Session } from './request.ts';

/** How long a broker that does not answer may hold up the shutdown. */
const CLOSE_TIMEOUT_MS = 5000;
/** A connection that breaks this often within a second is left alone for a second. */
const FREQUENT_RESTARTS = 5;

export interface ConsumerOptions {
  readonly transport: Transport;
  readonly queues: readonly Queue[];
  readonly prefetch: Prefetch;
  /** Tasks run in other processes: see `ChannelOptions`. */
  readonly patient: boolean;
  /** Undefined: no remote control. */
  readonly mailbox: ControlMailbox | undefined;
  /** Undefined: it tells nothing and hears nobody. */
  readonly events?: WorkerEvents;
  readonly logger: Logger;
  /** `broker_connection_retry`. */
  readonly retry: boolean;
  /** The same for the first connection. */
  readonly retryOnStartup: boolean;
  readonly maxRetries: number | null;
  /** Remove what waits in the queues before consuming them. */
  readonly purge: boolean;
  onPurged(count: number): void;
  readonly onDelivery: (delivery: Delivery, session: Session) => void;
  /** The channel is gone: what it delivered and was not settled will be delivered again. */
  onLost(): void;
  /** The consumer has ended by itself, after it was ready. */
  onFailed(error: Error): void;
}

/** Keeps the worker connected: consumes its queues and listens for control commands, and again after every loss. */
export class Consumer {
  readonly #options: ConsumerOptions;
  readonly #queues: Map<string, Queue>;
  readonly #closing = new AbortController();
  readonly #closed = aborted(this.#closing.signal);
  readonly #ready = deferred<undefined>();
  #running: Promise<void> | undefined;
  #session: TaskSession | undefined;
  #isReady = false;
  #draining = false;
  #restarts: number[] = [];

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#queues = new Map(options.queues.map((queue) => [queue.name, queue]));
  }

  /** The queues it consumes, or will when it is connected. */
  get queues(): readonly Queue[] {
    return [...this.#queues.values()];
  }

  /**
   * Resolves when all queues are consumed for the first time.
   * @throws what makes connecting hopeless, or the signal's reason
   */
  async start(signal: AbortSignal): Promise<void> {
    const abort = (): void => {
      this.#closing.abort(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    this.#running ??= this.#run();
    try {
      await this.#ready.promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Consumes one queue more, now and after every reconnection. */
  async addQueue(queue: Queue): Promise<void> {
    this.#queues.set(queue.name, queue);
    if (!this.#draining) await this.#session?.add(queue);
  }

  /** Does not consume a queue any more. */
  async cancelQueue(name: string): Promise<void> {
    this.#queues.delete(name);
    await this.#session?.cancel(name);
  }

  /** Takes no more tasks; what was delivered can still be settled, and control commands are still answered. */
  async drain(): Promise<void> {
    this.#draining = true;
    const session = this.#session;
    if (session === undefined) return;
    await this.#inTime(session.cancelAll(), 'The subscriptions could not be ended');
  }

  async stop(): Promise<void> {
    this.#draining = true;
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#closing.signal.aborted) await this.#connectAndServe();
    } catch (error) {
      if (!this.#closing.signal.aborted) {
        const failure = error instanceof Error ? error : new Error(String(error));
        if (this.#isReady) this.#options.onFailed(failure);
        else this.#ready.reject(failure);
        return;
      }
      this.#options.logger.debug('The connection was given up for the shutdown', error);
    }
    this.#ready.resolve(undefined);
  }

  async #connectAndServe(): Promise<void> {
    const { transport, logger, maxRetries } = this.#options;
    const { signal } = this.#closing;
    const mayRetry = this.#isReady ? this.#options.retry : this.#options.retryOnStartup;
    const connection = await connectPatiently({ transport, logger, retry: mayRetry, maxRetries, signal });
    let lost: Error | undefined;
    try {
      logger.info(`Connected to ${transport.url}`);
      lost = await this.#serve(connection);
    } finally {
      await this.#inTime(connection[Symbol.asyncDispose](), 'The connection could not be closed');
    }
    if (lost === undefined || signal.aborted) return;
    if (!this.#options.retry) throw lost;
    logger.warning('consumer: Connection to broker lost. Trying to re-establish the connection...', lost);
    await this.#pauseWhenFrequent();
  }

  /** Serves one connection; resolves with what broke it, or with undefined when the consumer is closing. */
  async #serve(connection: Connection): Promise<Error | undefined> {
    let gone: Error | undefined;
    const ended = connection.closed.then((error) => {
      gone = error ?? new Error('The connection to the broker was closed.');
    });
    const events = this.#options.events?.serve(connection, this.#closing.signal);
    let mailbox: OpenMailbox | undefined;
    try {
      // The mailbox would hear the question to the neighbours, which ends at once when nobody is there to hear it.
      if (!this.#isReady) await events?.opened;
      mailbox = this.#options.mailbox?.serve(connection, this.#closing.signal);
      await Promise.all([mailbox?.opened, events?.opened]);
      while (gone === undefined && !this.#closing.signal.aborted) {
        const session = this.#draining ? undefined : await this.#openTasks(connection);
        this.#becomeReady();
        const channelError = await Promise.race([ended, this.#closed, ...(session ? [session.closed] : [])]);
        if (session !== undefined) await this.#leave(session);
        if (channelError instanceof Error) await this.#explainChannel(connection, channelError);
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return undefined;
      // A broker that refuses our queues at the first start will go on to; a lost connection says the rest itself.
      const broken = await settledSoon(connection.closed);
      if (!broken && !this.#isReady) throw error;
      return gone ?? (error instanceof Error ? error : new Error(String(error)));
    } finally {
      await events?.close();
      await mailbox?.close();
    }
    return this.#closing.signal.aborted ? undefined : gone;
  }

  async #openTasks(connection: Connection): Promise<TaskSession> {
    const { prefetch, patient, logger, onDelivery } = this.#options;
    if (!this.#isReady && this.#options.purge) await this.#purge(connection);
    const session = await TaskSession.open(connection, { prefetch, patient, logger, onDelivery });
    this.#session = session;
    try {
      for (const queue of this.queues) await this.#addFirst(session, queue);
    } catch (error) {
      await this.#leave(session);
      throw error;
    }
    if (this.#draining) await session.cancelAll();
    return session;
  }

  async #addFirst(session: TaskSession, queue: Queue): Promise<void> {
    try {
      await session.add(queue);
    } catch (error) {
      if (!this.#isReady || !session.open) throw error;
      this.#options.logger.error(`consumer: Cannot consume from queue ${queue.name}`, error);
      void session.keepAdding(queue);
    }
  }

  async #leave(session: TaskSession): Promise<void> {
    this.#session = undefined;
    this.#options.prefetch.detach();
    await this.#inTime(session.close(), 'The channel could not be closed');
    this.#options.onLost();
  }

  /** The channel is gone, the connection perhaps too, which then says so a moment later. */
  async #explainChannel(connection: Connection, error: Error): Promise<void> {
    if (await settledSoon(connection.closed)) return;
    this.#options.logger.warning(
      'consumer: The broker has closed the channel of the tasks. Opening another...',
      error,
    );
    await this.#pauseWhenFrequent();
  }

  async #purge(connection: Connection): Promise<void> {
    const channel = await connection.openChannel({ confirm: false });
    let count = 0;
    try {
      for (const queue of this.queues) {
        await channel.declareQueue(queue);
        count += await channel.purge(queue.name);
      }
    } finally {
      await channel[Symbol.asyncDispose]();
    }
    this.#options.onPurged(count);
  }

  #becomeReady(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#ready.resolve(undefined);
  }

  async #pauseWhenFrequent(): Promise<void> {
    const now = Date.now();
    this.#restarts = [...this.#restarts.filter((at) => at > now - 1000), now];
    if (this.#restarts.length <= FREQUENT_RESTARTS) return;
    this.#options.logger.critical('Frequent restarts detected');
    await sleep(1000, this.#closing.signal);
  }

  async #inTime(closing: PromiseLike<void>, failure: string): Promise<void> {
    try {
      await withTimeout(
        Promise.resolve(closing),
        CLOSE_TIMEOUT_MS,
        `The broker has not answered within ${CLOSE_TIMEOUT_MS / 1000} s.`,
      );
    } catch (error) {
      this.#options.logger.debug(failure, error);
    }
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** Whether a promise settles within a moment. */
async function settledSoon(promise: Promise<unknown>): Promise<boolean> {
  const stop = new AbortController();
  const late = sleep(100, stop.signal).then(
    () => false,
    () => false,
  );
  const soon = await Promise.race([promise.then(() => true), late]);
  stop.abort();
  return soon;
}
