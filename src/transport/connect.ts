import { AccessRefused, ImproperlyConfigured } from '../core/errors.ts';
import { didYouMean } from '../core/nearest.ts';
import { maskUrl, parseUrl, splitUrls } from '../core/url.ts';
import { readServer, serverUrl } from './amqp/server.ts';
import { LARGEST_WINDOW } from './amqp/window.ts';
import type { Capabilities, Connection, Transport } from './transport.ts';

/** How a broker connection is made; from the `broker_…` settings of the same names. */
export interface TransportOptions {
  /** `broker_heartbeat`: seconds between signs of life, 0 = none. */
  readonly heartbeatS: number;
  /** `broker_connection_timeout`: seconds that connecting to one server may take, the handshake included; 0 = no limit. */
  readonly connectionTimeoutS: number;
  /** `broker_failover_strategy`: how the next one of several URLs is chosen. */
  readonly failoverStrategy: 'round-robin' | 'shuffle';
  /** `broker_transport_options`. */
  readonly transportOptions: Readonly<Record<string, unknown>>;
  /** `broker_use_ssl`: true, or TLS parameters by Python's names (`ca_certs`, `certfile`, `keyfile`, `cert_reqs`). */
  readonly useSsl: boolean | Readonly<Record<string, unknown>>;
}

/** One kind of broker: its code is loaded when the first connection is made. */
interface Scheme {
  readonly can: Capabilities;
  /** How its URL is shown, when not as it is with the password masked. */
  shown?(url: string, options: TransportOptions): string;
  load(url: string, options: TransportOptions): Promise<Transport>;
}

const AMQP: Scheme = {
  can: { fanout: true, priority: true, expiration: true, shared: true, largestWindow: LARGEST_WINDOW },
  shown: (url, options) => serverUrl(readServer(url, options)),
  load: async (url, options) => (await import('./amqp/transport.ts')).amqpTransport(url, options),
};

const SQLITE: Scheme = {
  can: { fanout: true, priority: true, expiration: true, shared: true, largestWindow: Infinity },
  load: async (url, options) => (await import('./sqlite/transport.ts')).sqliteTransport(url, options),
};

const REDIS: Scheme = {
  can: { fanout: true, priority: true, expiration: false, shared: true, largestWindow: Infinity },
  load: async (url, options) => (await import('./redis/transport.ts')).redisTransport(url, options),
};

const MEMORY: Scheme = {
  can: { fanout: true, priority: true, expiration: true, shared: false, largestWindow: Infinity },
  load: async (url) => (await import('./memory/transport.ts')).memoryTransport(url),
};

const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['amqp', AMQP],
  ['amqps', AMQP],
  ['pyamqp', AMQP],
  ['redis', REDIS],
  ['rediss', REDIS],
  ['redis+socket', REDIS],
  ['sentinel', REDIS],
  ['sqlite', SQLITE],
  ['sqla+sqlite', SQLITE],
  ['memory', MEMORY],
]);

/**
 * The broker of a URL, or of several to fail over between (a list, or one string with `;` between them).
 *
 * Opens nothing: `connect` does.
 *
 * @throws {@link ImproperlyConfigured} for a URL that cannot be read, or a scheme that is not known
 */
export function connectTransport(url: string | readonly string[], options: TransportOptions): Transport {
  const brokers = oneOfSentinels(splitUrls(url)).map((each) => new Broker(each, options));
  const [first, ...others] = brokers;
  if (first === undefined) throw new ImproperlyConfigured('No broker URL was given (setting broker_url).');
  return others.length === 0 ? first : new Failover(first, brokers, options.failoverStrategy);
}

/** Several Sentinels know the same Redis: their URLs are one broker. */
function oneOfSentinels(urls: readonly string[]): string[] {
  const isSentinel = (url: string): boolean => /^sentinel:/i.test(url);
  const sentinels = urls.filter(isSentinel);
  if (sentinels.length === 0) return [...urls];
  const joined = sentinels.join(';');
  return urls.flatMap((url) => (!isSentinel(url) ? url : url === sentinels[0] ? joined : []));
}

/** A Transport whose code is loaded on first use. */
class Broker implements Transport {
  readonly scheme: string;
  readonly url: string;
  readonly can: Capabilities;
  readonly #load: () => Promise<Transport>;
  #loaded: Promise<Transport> | undefined;

  constructor(url: string, options: TransportOptions) {
    const { scheme } = parseUrl(url.split(';')[0] ?? url);
    const known = SCHEMES.get(scheme);
    if (known === undefined) throw unknownScheme(scheme);
    this.scheme = scheme;
    this.url = known.shown?.(url, options) ?? maskUrl(url);
    this.can = known.can;
    this.#load = () => known.load(url, options);
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    this.#loaded ??= this.#load();
    return (await this.#loaded).connect(signal);
  }

  async check(): Promise<void> {
    this.#loaded ??= this.#load();
    await this.#loaded;
  }
}

/** Several brokers, one at a time: `connect` tries each once, the last good one first. */
class Failover implements Transport {
  readonly #brokers: readonly Transport[];
  readonly #strategy: TransportOptions['failoverStrategy'];
  #current: Transport;

  constructor(
    first: Transport,
    brokers: readonly Transport[],
    strategy: TransportOptions['failoverStrategy'],
  ) {
    this.#brokers = brokers;
    this.#strategy = strategy;
    this.#current = first;
  }

  get scheme(): string {
    return this.#current.scheme;
  }

  get url(): string {
    return this.#current.url;
  }

  get can(): Capabilities {
    return this.#current.can;
  }

  async check(): Promise<void> {
    for (const broker of this.#brokers) await broker.check?.();
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    const refusals: unknown[] = [];
    const order = this.#order();
    for (const [index, broker] of order.entries()) {
      this.#current = broker;
      try {
        return await broker.connect(signal);
      } catch (error) {
        signal.throwIfAborted();
        refusals.push(error);
        this.#current = order[(index + 1) % order.length] ?? broker;
      }
    }
    // A server that was not there may come back; one that refused us will refuse again.
    throw refusals.find((error) => !(error instanceof AccessRefused)) ?? refusals[0];
  }

  #order(): Transport[] {
    const start = this.#brokers.indexOf(this.#current);
    const turned = [...this.#brokers.slice(start), ...this.#brokers.slice(0, start)];
    if (this.#strategy === 'round-robin') return turned;
    const [first, ...others] = turned;
    return first === undefined ? [] : [first, ...shuffled(others)];
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

function unknownScheme(scheme: string): ImproperlyConfigured {
  const known = [...SCHEMES.keys()];
  return new ImproperlyConfigured(
    `No such broker transport: ${scheme}.${didYouMean(scheme, known)} The transports are ${known.join(', ')}.`,
  );
}
