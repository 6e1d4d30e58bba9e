import { randomUUID } from 'node:crypto';
import { deferred } from '../core/async.ts';
import { CeleryError, OperationalError, TimeoutError } from '../core/errors.ts';
import { parseEvents, utcOffset } from '../message/event.ts';
import type { CeleryEvent } from '../message/event.ts';
import { acceptedTypes, decodeBody } from '../message/registry.ts';
import type { Queue } from '../transport/topology.ts';
import type { Connection, Delivery } from '../transport/transport.ts';
import type { BroadcastOptions, Reply } from './control.ts';
import type { EventHost } from './event-dispatcher.ts';
import { eventExchange } from './event-exchange.ts';

/** An event that arrived: its `timestamp` is corrected by the sender's `utcoffset`, as Celery does it. */
export interface ReceivedEvent extends CeleryEvent {
  /** When it arrived here, in seconds since the epoch. */
  readonly local_received: number;
}

/** Takes events of one type. */
export type EventHandler = (event: ReceivedEvent) => void;

/** Options of `app.events.Receiver`; each may be left out. */
export interface ReceiverOptions {
  /** Handlers by type of event; that of `*` takes the types that have none. */
  readonly handlers?: Readonly<Record<string, EventHandler>>;
  /** Which events arrive: `task.#`, `worker.heartbeat`. Default `#`, all. */
  readonly routingKey?: string;
  /** Last part of the queue's name. Default: a new UUID. */
  readonly nodeId?: string;
  /** First part of the queue's name. Default: `event_queue_prefix`. */
  readonly queuePrefix?: string;
  /** Seconds after which events that nobody took are dropped. Default: `event_queue_ttl`. */
  readonly queueTtl?: number;
  /** Seconds after which a queue that nobody uses is deleted. Default: `event_queue_expires`. */
  readonly queueExpires?: number;
  /** Told of what came and is no event. Default: it is ignored. */
  readonly onInvalid?: (error: Error) => void;
}

/** How long to capture events. */
export interface CaptureOptions {
  /** Ends after so many events. Default: no limit. */
  readonly limit?: number;
  /** Fails when no event came for so many seconds. Default: waits for ever. */
  readonly timeout?: number;
  /** Ask the workers to tell of themselves first. Default true. */
  readonly wakeup?: boolean;
  /** Ends the capture. */
  readonly signal?: AbortSignal;
  /** Told when events arrive from now on. */
  readonly onReady?: () => void;
}

/** What receiving takes from the app. */
export interface ReceiverHost extends EventHost {
  ready(): Promise<void>;
  readonly control: {
    broadcast(command: string, args?: Reply, options?: BroadcastOptions): Promise<Reply[]>;
  };
}

/** Receives events from workers and clients over a queue of its own, which goes with it. Made by `app.events.Receiver`. */
export class EventReceiver {
  readonly #host: ReceiverHost;
  readonly #options: ReceiverOptions;
  readonly #nodeId: string;

  constructor(host: ReceiverHost, options: ReceiverOptions = {}) {
    this.#host = host;
    this.#options = options;
    this.#nodeId = options.nodeId ?? randomUUID();
  }

  /**
   * Hands events to the handlers until the limit is reached or the signal aborted.
   * @throws {OperationalError} the broker cannot be reached, or the connection was lost: capture again
   * @throws {TimeoutError} no event came in time
   * @throws what a handler throws
   */
  async capture(options: CaptureOptions = {}): Promise<void> {
    await this.#host.ready();
    const signal = options.signal ?? new AbortController().signal;
    const isAborted = (): boolean => signal.aborted;
    if (isAborted()) return;
    const connection = await this.#connect(signal);
    if (connection === undefined) return;
    try {
      const capture = new Capture(options);
      const subscription = await this.listen(connection, (event) => capture.take(() => this.process(event)));
      options.onReady?.();
      if (options.wakeup ?? true) await this.#host.control.broadcast('heartbeat', {}, { signal });
      await capture.ended(connection, signal);
      await subscription[Symbol.asyncDispose]();
    } catch (error) {
      if (!isAborted()) throw error;
    } finally {
      await connection[Symbol.asyncDispose]();
    }
  }

  /** Gives an event to its handler. */
  process(event: ReceivedEvent): void {
    const { handlers = {} } = this.#options;
    (handlers[event.type] ?? handlers['*'])?.(event);
  }

  /** Receives over a connection that the caller has, on a channel of its own. @throws {OperationalError} */
  async listen(connection: Connection, onEvent: EventHandler): Promise<EventSubscription> {
    const channel = await connection.openChannel({ confirm: false });
    const queue = this.#queue();
    try {
      await channel.declareQueue(queue);
      await channel.consume(queue, (delivery) => {
        for (const event of this.#read(delivery)) onEvent(event);
      });
    } catch (error) {
      await channel[Symbol.asyncDispose]();
      throw error;
    }
    return { closed: channel.closed, [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose]() };
  }

  async #connect(signal: AbortSignal): Promise<Connection | undefined> {
    try {
      return await this.#host.transport().connect(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  #read({ envelope }: Delivery): readonly ReceivedEvent[] {
    const accept = acceptedTypes([this.#host.settings.event_serializer, 'json']);
    try {
      return parseEvents(decodeBody(envelope, accept)).map((event) => receive(event, this.#host));
    } catch (error) {
      // Whatever somebody else put into the exchange: the next event counts.
      if (!(error instanceof CeleryError)) throw error;
      this.#options.onInvalid?.(error);
      return [];
    }
  }

  #queue(): Queue {
    const { settings } = this.#host;
    const { routingKey = '#', queuePrefix = settings.event_queue_prefix } = this.#options;
    const { queueTtl = settings.event_queue_ttl, queueExpires = settings.event_queue_expires } =
      this.#options;
    return {
      name: `${queuePrefix}.${this.#nodeId}`,
      exchange: eventExchange(settings, this.#host.transport()),
      routingKey,
      durable: settings.event_queue_durable,
      exclusive: settings.event_queue_exclusive,
      autoDelete: true,
      noAck: true,
      arguments: {
        'x-expires': Math.round(queueExpires * 1000),
        'x-message-ttl': Math.round(queueTtl * 1000),
      },
    };
  }
}

/** Events arrive until it is disposed, or its channel gone. */
export interface EventSubscription extends AsyncDisposable {
  /** Settles like `Channel.closed`. */
  readonly closed: Promise<Error | undefined>;
}

/** An event as its receiver sees it; moves the clock. */
function receive(event: Readonly<Record<string, unknown>>, { clock }: ReceiverHost): ReceivedEvent {
  const received: Record<string, unknown> = { ...event };
  if (event.type === 'task-sent') {
    // Clients do not keep their clocks with the workers'.
    received.clock = Math.max(clock.value, 1) - 1;
    clock.adjust(received.clock as number);
  } else if (typeof event.clock === 'number') clock.adjust(event.clock);
  else received.clock = clock.forward();
  const { utcoffset, timestamp } = event;
  if (typeof utcoffset === 'number' && typeof timestamp === 'number') {
    received.timestamp = timestamp - (utcoffset - utcOffset()) * 3600;
  }
  received.local_received = Date.now() / 1000;
  return received as ReceivedEvent;
}

/** Counts the events of one capture. */
class Capture {
  readonly #limit: number;
  readonly #timeoutS: number | undefined;
  readonly #done = deferred<undefined>();
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ limit = Infinity, timeout }: CaptureOptions) {
    this.#limit = limit;
    this.#timeoutS = timeout;
    // Whoever waits for the end is told; until then an error has to wait too.
    this.#done.promise.catch(() => undefined);
    if (limit <= 0) this.#done.resolve(undefined);
  }

  take(run: () => void): void {
    if (this.#taken >= this.#limit) return;
    this.#taken += 1;
    this.#timer?.refresh();
    try {
      run();
    } catch (error) {
      this.#done.reject(error);
    }
    if (this.#taken >= this.#limit) this.#done.resolve(undefined);
  }

  async ended(connection: Connection, signal: AbortSignal): Promise<void> {
    const abort = (): void => this.#done.resolve(undefined);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    void connection.closed.then((error) => {
      this.#done.reject(
        error ?? new OperationalError('The connection was closed while events were captured.'),
      );
    });
    const seconds = this.#timeoutS;
    if (seconds !== undefined) {
      this.#timer = setTimeout(() => {
        this.#done.reject(new TimeoutError(`No event came within ${seconds} s.`));
      }, seconds * 1000);
    }
    try {
      await this.#done.promise;
    } finally {
      clearTimeout(this.#timer);
      signal.removeEventListener('abort', abort);
    }
  }
}
