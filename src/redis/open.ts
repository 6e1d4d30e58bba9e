import { Redis, type RedisOptions } from 'ioredis';
import { type Deferred, deferred } from '../core/async.ts';
import { AccessRefused, OperationalError, TimeoutError } from '../core/errors.ts';
import type { RedisAddress } from './address.ts';
import { serverFacts } from './server-facts.ts';

export interface OpenRedisOptions {
  /** Milliseconds that connecting may take, the login included; 0 = no limit. */
  readonly connectTimeoutMs: number;
  /** TCP keep-alive probes. Default true. */
  readonly keepAlive?: boolean;
  /** Milliseconds between signs of life (PING); 0 = none. Default 25,000 as for kombu's `health_check_interval`. */
  readonly healthCheckMs?: number;
  /**
   * Milliseconds after which a server that does not answer a PING counts as lost. Default 10,000. On a client that blocks
   * (`BLMOVE`, …) it must be longer than the longest block.
   */
  readonly answerWithinMs?: number;
  /** Shown by `CLIENT LIST`. */
  readonly clientName?: string | undefined;
}

/**
 * One open connection to a Redis. It is never opened again behind the caller's back: when it is lost, commands under way
 * reject, `closed` tells why, and all that is left is to open another one.
 */
export interface RedisLink extends AsyncDisposable {
  /** The client of ioredis, for its commands; it is closed by disposing the link. */
  readonly client: Redis;
  /** Printable URL. */
  readonly url: string;
  /** Of the server, such as `[7, 0, 15]`. */
  readonly version: readonly [number, number, number];
  /** Settles when the connection is gone: with the error that broke it, or undefined when we closed it. Never rejects. */
  readonly closed: Promise<OperationalError | undefined>;
  /** Ends the connection with an error of the caller, which `closed` then gives. */
  fail(error: OperationalError): void;
  /** What a command's failure means: the reason why the connection is gone, or the server's own words. */
  error(what: string, cause: unknown): OperationalError;
}

const HEALTH_CHECK_MS = 25_000;
const ANSWER_WITHIN_MS = 10_000;

/**
 * Opens one connection, logs in and chooses the database.
 *
 * @throws {@link AccessRefused} wrong credentials: do not try again
 * @throws {@link OperationalError} the server cannot be reached, is loading its data, or has no such database
 */
export async function openRedis(
  address: RedisAddress,
  options: OpenRedisOptions,
  signal: AbortSignal,
): Promise<RedisLink> {
  signal.throwIfAborted();
  const link = new Link(address, options);
  const cut = (): void => link.fail(new OperationalError('aborted'));
  signal.addEventListener('abort', cut, { once: true });
  try {
    await link.open();
    return link;
  } catch (error) {
    await link[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

class Link implements RedisLink {
  readonly client: Redis;
  readonly url: string;
  version: readonly [number, number, number] = [0, 0, 0];
  readonly closed: Promise<OperationalError | undefined>;
  readonly #closed: Deferred<OperationalError | undefined> = deferred();
  readonly #address: RedisAddress;
  readonly #options: OpenRedisOptions;
  #reason: OperationalError | undefined;
  /** The last error event: what the socket said before it closed. */
  #cause: unknown;
  #opened = false;
  #disposed = false;
  #ended = false;
  #check: NodeJS.Timeout | undefined;

  constructor(address: RedisAddress, options: OpenRedisOptions) {
    this.#address = address;
    this.#options = options;
    this.url = address.url;
    this.closed = this.#closed.promise;
    this.client = new Redis(clientOptions(address, options));
    this.client.on('error', (error) => (this.#cause = error));
    this.client.on('end', () => this.#end());
  }

  async open(): Promise<void> {
    const { connectTimeoutMs } = this.#options;
    const text = `Cannot connect to ${this.url}: timed out after ${String(connectTimeoutMs / 1000)} seconds`;
    const late = new OperationalError(text, { cause: new TimeoutError(text) });
    const timer = connectTimeoutMs > 0 ? setTimeout(() => this.fail(late), connectTimeoutMs) : undefined;
    try {
      await this.client.connect();
      // Left to itself ioredis switches them on.
      if (this.#options.keepAlive === false) this.client.stream.setKeepAlive(false);
      await this.#login();
    } catch (error) {
      throw this.#reason ?? connectError(this.url, this.#cause ?? error);
    } finally {
      clearTimeout(timer);
    }
    this.#opened = true;
    this.#scheduleCheck();
  }

  async #login(): Promise<void> {
    const { user, password, db, place } = this.#address;
    const { clientName } = this.#options;
    const commands = [
      password !== undefined && ['AUTH', ...(user === undefined ? [] : [user]), password],
      db !== 0 && ['SELECT', String(db)],
      clientName !== undefined && ['CLIENT', 'SETNAME', clientName],
    ].filter((command) => command !== false);
    // All at once, and the first that was refused tells the reason.
    const replies = commands.map(([name = '', ...args]) => this.client.call(name, ...args));
    const facts = serverFacts(this.client);
    for (const reply of [...replies, facts]) reply.catch(() => undefined);
    for (const reply of replies) await reply;
    const { version, role } = await facts;
    if (place.kind === 'sentinel' && role !== undefined && role !== 'master') {
      throw new Error(`the Sentinels named a server that is not the master but a ${role}`);
    }
    this.version = version;
  }

  /** A connection whose other end vanished without a word looks open for ever: only an answer proves that it is. */
  #scheduleCheck(): void {
    const { healthCheckMs = HEALTH_CHECK_MS, answerWithinMs = ANSWER_WITHIN_MS } = this.#options;
    if (healthCheckMs <= 0 || this.#ended || this.#disposed) return;
    this.#check = setTimeout(() => {
      const error = new OperationalError(
        `Connection to ${this.url} was lost: no answer within ${String(answerWithinMs / 1000)} seconds`,
      );
      this.#check = setTimeout(() => this.fail(error), answerWithinMs);
      const next = (): void => {
        clearTimeout(this.#check);
        this.#scheduleCheck();
      };
      // Refused or not, it is an answer; a connection that ended meanwhile needs no further look.
      this.client.ping().then(next, next);
    }, healthCheckMs);
    this.#check.unref();
  }

  fail(error: OperationalError): void {
    this.#reason ??= error;
    this.#cut();
  }

  error(what: string, cause: unknown): OperationalError {
    const text = this.#reason?.message ?? messageOf(cause);
    return new OperationalError(`Cannot ${what}: ${text}`, { cause: this.#reason ?? cause });
  }

  /** Without waiting for the other side, which may not be there. */
  #cut(): void {
    clearTimeout(this.#check);
    this.client.disconnect();
    // There is none before the first attempt, whatever its type says.
    (this.client.stream as { destroy(): void } | undefined)?.destroy();
    if (this.client.status === 'end') this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#check);
    if (this.#opened && !this.#disposed) {
      const text = this.#cause === undefined ? 'closed by the server' : messageOf(this.#cause);
      this.#reason ??= new OperationalError(`Connection to ${this.url} was lost: ${text}`, {
        cause: this.#cause,
      });
    }
    this.#closed.resolve(this.#reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed) {
      this.#disposed = true;
      this.#cut();
    }
    await this.closed;
  }
}

function clientOptions(
  address: RedisAddress,
  options: OpenRedisOptions,
): RedisOptions & { readonly replyMapping: 'legacy' } {
  const { place, tls } = address;
  return {
    lazyConnect: true,
    // A lost connection is the caller's business, who has more to do then than to send the same again.
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    // Logging in is ours too: ioredis goes on in database 0 when SELECT fails.
    enableReadyCheck: false,
    disableClientInfo: true,
    // Proxies and old servers do not know HELLO.
    protocol: 2,
    connectTimeout: options.connectTimeoutMs,
    keepAlive: 30_000,
    // A server that became a replica, after a failover: find the master again.
    // (Before Redis 7 a script's error ends with the words of its command.)
    reconnectOnError: (error) => /(^|: -)(READONLY|MASTERDOWN)\b/.test(error.message),
    ...placeOptions(address),
    replyMapping: 'legacy',
    ...(tls && { tls, enableTLSForSentinelMode: place.kind === 'sentinel' }),
  };
}

function placeOptions({ place }: RedisAddress): RedisOptions {
  switch (place.kind) {
    case 'tcp':
      return { host: place.host, port: place.port };
    case 'socket':
      return { path: place.path };
    case 'sentinel':
      return {
        sentinels: [...place.sentinels],
        name: place.masterName,
        sentinelRetryStrategy: () => null,
        ...(place.user !== undefined && { sentinelUsername: place.user }),
        ...(place.password !== undefined && { sentinelPassword: place.password }),
        ...(place.tls && { sentinelTLS: place.tls }),
      };
    default:
      return place satisfies never;
  }
}

const REFUSED =
  /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR .*(no password is set|without any password))/i;

function connectError(url: string, cause: unknown): OperationalError {
  withoutCommand(cause);
  const text = messageOf(cause);
  const why = `Cannot connect to ${url}: ${text}`;
  return REFUSED.test(text) ? new AccessRefused(why, { cause }) : new OperationalError(why, { cause });
}

/** The driver notes the command at the error of its refusal: of a login that is the password, which whoever prints the error would show. */
function withoutCommand(error: unknown): void {
  if (error instanceof Error && 'command' in error) delete error.command;
}

function messageOf(cause: unknown): string {
  const { message, code } = (cause ?? {}) as { message?: unknown; code?: unknown };
  if (typeof message === 'string' && message !== '') return message;
  return typeof code === 'string' ? code : 'no reason given';
}
