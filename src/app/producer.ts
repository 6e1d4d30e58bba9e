import { AccessRefused, OperationalError } from '../core/errors.ts';
import { retry } from '../core/retry.ts';
import type { RetryPolicy } from '../core/retry.ts';
import type { Envelope } from '../message/message.ts';
import type { Exchange, Queue } from '../transport/topology.ts';
import type { Channel, Connection, Transport } from '../transport/transport.ts';
import type { PublishTarget } from './routes.ts';

/** How one message is published. */
export interface ProducerOptions {
  /** When and how often to try again after a loss of the broker; false: once only. */
  readonly retry?: RetryPolicy | false;
  readonly signal?: AbortSignal | undefined;
}

/** An open connection, and what was declared on it, or is about to be. */
interface Link {
  readonly connection: Connection;
  readonly channel: Channel;
  readonly declared: Map<string, Promise<void> | 'done'>;
}

/**
 * Publishes messages over one connection, which is made on first use and again after a loss.
 *
 * Calls at the same time share the connection attempt, and each queue is declared once per connection.
 */
export class Producer {
  readonly #transport: () => Transport;
  readonly #underWay = new Set<Promise<void>>();
  #link: Promise<Link> | undefined;
  #attempt = new AbortController();

  /** @param transport gives the broker whenever a connection is to be made */
  constructor(transport: () => Transport) {
    this.#transport = transport;
  }

  /**
   * Resolves when the broker has the message.
   * @throws {OperationalError} the broker cannot be reached or refused the message, after the retries
   */
  publish(message: Envelope, target: PublishTarget, options: ProducerOptions = {}): Promise<void> {
    const published = this.#publishPatiently(message, target, options);
    this.#underWay.add(published);
    const settled = (): void => void this.#underWay.delete(published);
    published.then(settled, settled);
    return published;
  }

  /** Waits for what is under way, then closes the connection. The producer may be used again. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    const link = this.#link;
    this.#link = undefined;
    this.#attempt.abort(new OperationalError('The app was closed.'));
    this.#attempt = new AbortController();
    const open = await link?.catch(() => undefined);
    await open?.connection[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #publishPatiently(message: Envelope, target: PublishTarget, options: ProducerOptions): Promise<void> {
    const attempt = (): Promise<void> => abortable(this.#publishOnce(message, target), options.signal);
    const policy = options.retry ?? false;
    if (policy === false) return attempt();
    return retry(attempt, policy, { signal: options.signal, retryIf: isWorthRetrying });
  }

  async #publishOnce(message: Envelope, target: PublishTarget): Promise<void> {
    const link = await this.#connected();
    const declaring = declare(link, target);
    if (declaring !== undefined) await declaring;
    await link.channel.publish(message, target.exchange, target.routingKey);
  }

  #connected(): Promise<Link> {
    this.#link ??= this.#connect();
    return this.#link;
  }

  #connect(): Promise<Link> {
    const link = openLink(this.#transport(), this.#attempt.signal);
    const drop = (): void => {
      if (this.#link === link) this.#link = undefined;
    };
    link.then(({ connection, channel }) => {
      void connection.closed.then(drop);
      void channel.closed.then(async () => {
        drop();
        // What cannot even be closed is of no use to anybody, and the next message opens another one.
        await Promise.resolve(connection[Symbol.asyncDispose]()).catch(() => undefined);
      });
    }, drop);
    return link;
  }
}

async function openLink(transport: Transport, signal: AbortSignal): Promise<Link> {
  const connection = await transport.connect(signal);
  try {
    return { connection, channel: await connection.openChannel(), declared: new Map() };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

/** Undefined: all was declared before. */
function declare(link: Link, { queue, declareExchange }: PublishTarget): Promise<void> | undefined {
  // A target has one of them at most.
  if (queue !== undefined) return declareQueue(link, queue);
  return declareExchange === undefined ? undefined : declareExchangeOnce(link, declareExchange);
}

function declareQueue({ channel, declared }: Link, queue: Queue): Promise<void> | undefined {
  return once(declared, `queue ${queue.name}`, () => channel.declareQueue(queue));
}

function declareExchangeOnce({ channel, declared }: Link, exchange: Exchange): Promise<void> | undefined {
  return once(declared, `exchange ${exchange.name}`, () => channel.declareExchange(exchange));
}

function once(declared: Link['declared'], key: string, run: () => Promise<void>): Promise<void> | undefined {
  const known = declared.get(key);
  if (known === 'done') return undefined;
  if (known !== undefined) return known;
  const declaring = run();
  declared.set(key, declaring);
  declaring.then(
    () => declared.set(key, 'done'),
    () => declared.delete(key),
  );
  return declaring;
}

/** A wrong password stays wrong; all else about a broker may pass. */
function isWorthRetrying(error: unknown): boolean {
  return error instanceof OperationalError && !(error instanceof AccessRefused);
}

/** Gives up waiting when the signal is aborted; what was waited for goes on. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
