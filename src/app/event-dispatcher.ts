import type { LamportClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { delayMs } from '../core/retry.ts';
import { buildEventMessage, eventGroup, eventRoutingKey, utcOffset } from '../message/event.ts';
import type { CeleryEvent, EventFields } from '../message/event.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import type { Exchange } from '../transport/topology.ts';
import type { Transport } from '../transport/transport.ts';
import { eventExchange } from './event-exchange.ts';
import type { Producer } from './producer.ts';

/** Events kept while the broker is away; the oldest go first. */
export const MAX_KEPT = 10_000;
/** Task events in one message, at most. */
const MAX_BATCH = 100;
/** How long the end waits for the last events. */
const CLOSE_TIMEOUT_MS = 2000;
const AGAIN = { maxRetries: null, intervalStartMs: 200, intervalStepMs: 800, intervalMaxMs: 5000 } as const;

/** What sending events takes from the app. */
export interface EventHost {
  readonly settings: ResolvedSettings;
  readonly clock: LamportClock;
  readonly producer: Producer;
  transport(): Transport;
}

export interface EventDispatcherOptions {
  /** Node name that the events carry. */
  readonly hostname: string;
  /** Whether events of tasks are sent, until `enable` and `disable`. */
  readonly taskEvents: boolean;
  readonly logger: Logger;
}

/**
 * Sends the events of one worker, in order.
 *
 * `send` only queues: the task events of one turn of the event loop leave in one message, as Celery's `task.multi`. While the
 * broker is away the last 10,000 events are kept.
 */
export class EventDispatcher implements AsyncDisposable {
  readonly #host: EventHost;
  readonly #hostname: string;
  readonly #logger: Logger;
  readonly #exchange: Exchange;
  /** The broker carries events at all. */
  readonly #can: boolean;
  readonly #closing = new AbortController();
  #taskEvents: boolean;
  #outbox: CeleryEvent[] = [];
  #sending: Promise<void> | undefined;
  #again: NodeJS.Timeout | undefined;
  #failures = 0;
  #dropped = 0;

  constructor(host: EventHost, { hostname, taskEvents, logger }: EventDispatcherOptions) {
    const transport = host.transport();
    this.#host = host;
    this.#hostname = hostname;
    this.#logger = logger;
    this.#exchange = eventExchange(host.settings, transport);
    this.#can = transport.can.fanout;
    this.#taskEvents = taskEvents && this.#can;
  }

  /** Whether events of tasks are sent: look here before working out their fields. */
  get taskEvents(): boolean {
    return this.#taskEvents;
  }

  /** Sends events of tasks from now on; false when it did already, or the broker carries none. */
  enable(): boolean {
    if (this.#taskEvents || !this.#can) return false;
    this.#taskEvents = true;
    return true;
  }

  /** Sends no events of tasks any more; false when it did not before. */
  disable(): boolean {
    const before = this.#taskEvents;
    this.#taskEvents = false;
    return before;
  }

  /** Queues an event: `send('worker-heartbeat', { freq: 2 })`. Never throws. */
  send(type: string, fields: EventFields = {}): void {
    if (!this.#can || this.#closing.signal.aborted) return;
    if (!this.#taskEvents && eventGroup(type) === 'task') return;
    this.#outbox.push(makeEvent(this.#host, this.#hostname, type, fields));
    if (this.#outbox.length > MAX_KEPT) this.#dropOldest();
    this.#schedule();
  }

  /** Tries at once what waits for the broker: it is back. */
  wake(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    if (this.#outbox.length > 0) this.#schedule();
  }

  /** Waits a little for the last events to leave. */
  async close(): Promise<void> {
    this.wake();
    const late = setTimeout(
      () => this.#closing.abort(new OperationalError('The worker ends.')),
      CLOSE_TIMEOUT_MS,
    );
    await this.#sending;
    clearTimeout(late);
    clearTimeout(this.#again);
    this.#closing.abort(new OperationalError('The worker ends.'));
    if (this.#outbox.length > 0) this.#logger.debug(`events: ${this.#outbox.length} could not be sent`);
    this.#outbox = [];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #schedule(): void {
    if (this.#sending !== undefined || this.#again !== undefined) return;
    // After the turn: what else happens in it travels along.
    this.#sending = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#drain());
  }

  async #drain(): Promise<void> {
    while (this.#outbox.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#publish(batch);
        this.#failures = 0;
      } catch (error) {
        if (!this.#keep(batch, error)) continue;
        break;
      }
    }
    this.#sending = undefined;
  }

  #takeBatch(): CeleryEvent[] {
    const isTask = (event: CeleryEvent | undefined): boolean =>
      event !== undefined && eventGroup(event.type) === 'task';
    let count = 1;
    if (isTask(this.#outbox[0])) {
      while (count < MAX_BATCH && isTask(this.#outbox[count])) count += 1;
    }
    return this.#outbox.splice(0, count);
  }

  async #publish(batch: readonly CeleryEvent[]): Promise<void> {
    const [first] = batch;
    if (first === undefined) return;
    const isTask = eventGroup(first.type) === 'task';
    const message = buildEventMessage(isTask ? batch : first, {
      hostname: this.#hostname,
      serializer: this.#host.settings.event_serializer,
    });
    const routingKey = isTask ? 'task.multi' : eventRoutingKey(first.type);
    await this.#host.producer.publish(
      message,
      { declareExchange: this.#exchange, exchange: this.#exchange.name, routingKey },
      { signal: this.#closing.signal },
    );
  }

  /** Whether the events wait for the broker now. */
  #keep(batch: readonly CeleryEvent[], error: unknown): boolean {
    if (!(error instanceof OperationalError)) {
      this.#logger.error(`events: ${batch.length} could not be sent and were dropped`, error);
      return false;
    }
    // A heartbeat says how things are now: nobody wants it later.
    this.#outbox.unshift(...batch.filter(({ type }) => type !== 'worker-heartbeat'));
    this.#failures += 1;
    this.#logger.debug('events: The broker takes none; trying again', error);
    if (this.#closing.signal.aborted || this.#outbox.length === 0) return true;
    this.#again = setTimeout(() => this.wake(), delayMs(AGAIN, this.#failures)).unref();
    return true;
  }

  #dropOldest(): void {
    this.#outbox.shift();
    this.#dropped += 1;
    if (this.#dropped % MAX_KEPT !== 1) return;
    this.#logger.warning(
      `events: The broker takes them too slowly, or is away: of those that wait only the last ${MAX_KEPT} are kept`,
    );
  }
}

/** An event of this process, now. */
export function makeEvent(
  { clock }: Pick<EventHost, 'clock'>,
  hostname: string,
  type: string,
  fields: EventFields,
): CeleryEvent {
  return {
    hostname,
    utcoffset: utcOffset(),
    pid: process.pid,
    clock: clock.forward(),
    ...fields,
    timestamp: Date.now() / 1000,
    type,
  };
}
