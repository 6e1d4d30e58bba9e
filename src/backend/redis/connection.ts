import type { Redis } from 'ioredis';
import { BackendError, OperationalError, TimeoutError } from '../../core/errors.ts';
import type { RedisAddress } from '../../redis/address.ts';
import { openRedis, type RedisLink } from '../../redis/open.ts';
import type { ResolvedSettings } from '../../settings/settings.ts';

/** One connection to the Redis of a backend, opened on first use and again after a loss. */
export class RedisConnection implements AsyncDisposable {
  readonly #address: RedisAddress;
  readonly #settings: ResolvedSettings;
  readonly #life = new AbortController();
  #link: Promise<RedisLink> | undefined;

  constructor(address: RedisAddress, settings: ResolvedSettings) {
    this.#address = address;
    this.#settings = settings;
  }

  /** @throws {OperationalError} the server cannot be reached @throws {BackendError} closed */
  link(): Promise<RedisLink> {
    if (this.#link !== undefined) return this.#link;
    const opening = this.#open(() => {
      if (this.#link === opening) this.#link = undefined;
    });
    this.#link = opening;
    return opening;
  }

  /**
   * Runs a command, and gives the connection up when no answer comes within `redis_socket_timeout`.
   * @param what names it in errors: "Cannot …"
   */
  async run<T>(what: string, command: (client: Redis) => Promise<T>): Promise<T> {
    return this.runOn(await this.link(), what, command);
  }

  /** The same on one link, whether or not it is the newest. */
  async runOn<T>(link: RedisLink, what: string, command: (client: Redis) => Promise<T>): Promise<T> {
    const timeoutS = this.#settings.redis_socket_timeout;
    const text = `no answer from ${link.url} within redis_socket_timeout (${String(timeoutS)} seconds)`;
    const late = (): void => link.fail(new OperationalError(text, { cause: new TimeoutError(text) }));
    const timer = timeoutS > 0 ? setTimeout(late, timeoutS * 1000) : undefined;
    try {
      return await command(link.client);
    } catch (cause) {
      throw link.error(what, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new BackendError('the result backend is closed'));
    // One that never opened has told its users so already.
    const link = await this.#link?.catch(() => undefined);
    await link?.[Symbol.asyncDispose]();
  }

  /** @param drop called when the link is of no use any more */
  async #open(drop: () => void): Promise<RedisLink> {
    const settings = this.#settings;
    const healthCheckS = settings.redis_backend_health_check_interval;
    const timeoutS = settings.redis_socket_timeout;
    try {
      const link = await openRedis(
        this.#address,
        {
          connectTimeoutMs: (settings.redis_socket_connect_timeout ?? timeoutS) * 1000,
          keepAlive: settings.redis_socket_keepalive,
          clientName: settings.redis_client_name ?? undefined,
          ...(healthCheckS !== null && { healthCheckMs: healthCheckS * 1000 }),
          ...(timeoutS > 0 && { answerWithinMs: timeoutS * 1000 }),
        },
        this.#life.signal,
      );
      void link.closed.then(drop);
      return link;
    } catch (error) {
      // Not before the caller has noted what it opens: openRedis has waited since.
      drop();
      throw error;
    }
  }
}
