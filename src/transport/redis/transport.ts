import { OperationalError } from '../../core/errors.ts';
import { type RedisAddress, redisAddress } from '../../redis/address.ts';
import { openRedis, type OpenRedisOptions, type RedisLink } from '../../redis/open.ts';
import type { Capabilities, Connection, Transport } from '../transport.ts';
import { VirtualConnection } from '../virtual/connection.ts';
import type { Leftover } from './held.ts';
import { type RedisOptions, redisOptions } from './options.ts';
import { RedisStore } from './store.ts';

/** What the Redis broker reads of a connection's options; see `TransportOptions`. */
export interface RedisTransportOptions {
  readonly connectionTimeoutS: number;
  readonly transportOptions: Readonly<Record<string, unknown>>;
  readonly useSsl: boolean | Readonly<Record<string, unknown>>;
}

/** The first version whose Lua scripts may ask for the time and write afterwards. */
const OLDEST_MAJOR = 5;

/**
 * Redis by `redis://`, `rediss://` (TLS), `redis+socket://` or `sentinel://`, with the keys of kombu 5.2.
 *
 * @throws {ImproperlyConfigured} the URL or an option cannot be used
 */
export function redisTransport(url: string, options: RedisTransportOptions): Transport {
  return new RedisTransport(url, options);
}

class RedisTransport implements Transport {
  readonly scheme: string;
  readonly url: string;
  readonly can: Capabilities = {
    fanout: true,
    priority: true,
    expiration: false,
    shared: true,
    largestWindow: Infinity,
  };
  readonly #address: RedisAddress;
  readonly #options: RedisOptions;
  readonly #link: OpenRedisOptions;
  /** Of connections that were lost; the next one settles it. */
  readonly #leftovers = new Set<Leftover>();

  constructor(url: string, { connectionTimeoutS, transportOptions, useSsl }: RedisTransportOptions) {
    this.scheme = url.slice(0, url.indexOf('://')).toLowerCase();
    this.#address = redisAddress(url, {
      useSsl,
      transportOptions,
      settings: { useSsl: 'broker_use_ssl', transportOptions: 'broker_transport_options' },
    });
    this.url = this.#address.url;
    const place = this.#address.place.kind === 'sentinel' ? 'sentinel' : 'server';
    const options = redisOptions(transportOptions, this.#address.db, place);
    this.#options = options;
    this.#link = {
      connectTimeoutMs: options.connectTimeoutMs ?? connectionTimeoutS * 1000,
      keepAlive: options.keepAlive,
      clientName: options.clientName,
      ...(options.healthCheckMs !== undefined && { healthCheckMs: options.healthCheckMs }),
      ...(options.answerWithinMs !== undefined && { answerWithinMs: options.answerWithinMs }),
    };
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    const link = await openRedis(this.#address, this.#link, signal);
    const another = (ended: AbortSignal): Promise<RedisLink> => openRedis(this.#address, this.#link, ended);
    const store = new RedisStore(link, another, this.#options);
    try {
      checkVersion(link);
      for (const leftover of [...this.#leftovers]) {
        await store.adopt(leftover);
        this.#leftovers.delete(leftover);
      }
      signal.throwIfAborted();
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
    void store.closed.then((error) => {
      if (error === undefined) return;
      this.#leftovers.add(store.leave());
    });
    return new VirtualConnection(store);
  }
}

function checkVersion({ version, url }: RedisLink): void {
  if (version[0] >= OLDEST_MAJOR) return;
  throw new OperationalError(
    `Cannot use ${url}: celery-ts needs Redis 5.0 or later, and the server is Redis ${version.join('.')}`,
  );
}
