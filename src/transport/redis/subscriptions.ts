import { OperationalError } from '../../core/errors.ts';
import type { RedisLink } from '../../redis/open.ts';
import type { RedisOptions } from './options.ts';

/** The channel on which a server tells of keys that were read and have changed since. */
const CHANGED = '__redis__:invalidate';
/** How long to wait between looks where the server tells of changes, and where it cannot. */
const LOOK_MS = 1_000;
const LOOK_OFTEN_MS = 100;

/** Opens one more connection to the same server. */
export type OpenLink = (signal: AbortSignal) => Promise<RedisLink>;

/**
 * What Redis tells us of by itself, on a connection of its own: that a list which was found empty is not any more, and the
 * messages of fanout exchanges.
 *
 * Nothing is taken while we wait: `CLIENT TRACKING` makes the server tell, once, of the next change of a key that this client
 * has looked at. (BRPOP, which kombu waits with, takes the message before anything is written down.)
 */
export class Subscriptions {
  readonly #commands: RedisLink;
  readonly #open: OpenLink;
  readonly #onChange: () => void;
  readonly #onFanout: (pattern: string, text: string) => void;
  readonly #onLost: (error: Error) => void;
  #link: Promise<RedisLink> | undefined;
  #tracking = false;
  #watching = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #life = new AbortController();

  constructor(
    commands: RedisLink,
    open: OpenLink,
    on: {
      readonly change: () => void;
      readonly fanout: (pattern: string, text: string) => void;
      readonly lost: (error: Error) => void;
    },
  ) {
    this.#commands = commands;
    this.#open = open;
    this.#onChange = on.change;
    this.#onFanout = on.fanout;
    this.#onLost = on.lost;
  }

  /** Somebody waits for messages from now on. */
  watch(): void {
    if (this.#watching || this.#life.signal.aborted) return;
    this.#watching = true;
    this.#lookAgain();
    this.#track().catch((error: unknown) => {
      if (!this.#life.signal.aborted) this.#onLost(error as Error);
    });
  }

  unwatch(): void {
    this.#watching = false;
    clearTimeout(this.#timer);
  }

  /** Has the server tell when one of these lists gets a message; they were empty a moment ago. */
  arm(lists: readonly string[]): void {
    if (!this.#watching || !this.#tracking) return;
    this.#commands.client.exists(...lists).then(
      (count) => {
        if (count > 0) this.#onChange();
      },
      // A lost connection is told of by its `closed`; a refusal leaves the looking again.
      () => undefined,
    );
  }

  async subscribe(pattern: string): Promise<void> {
    const link = await this.#linked();
    await link.client.psubscribe(pattern);
  }

  async unsubscribe(pattern: string): Promise<void> {
    const link = await this.#linked();
    await link.client.punsubscribe(pattern);
  }

  async end(): Promise<void> {
    this.#life.abort(new OperationalError('the connection is closed'));
    this.unwatch();
    if (this.#link === undefined) return;
    const link = await this.#link.catch(() => undefined);
    await link?.[Symbol.asyncDispose]();
  }

  async #track(): Promise<void> {
    if (this.#tracking) return;
    const link = await this.#linked();
    const id = await this.#idOf(link);
    if (id === undefined) return;
    this.#tracking = true;
    // What came before the server began to tell.
    this.#onChange();
  }

  /** Undefined when the server or its access list cannot do it: looking again and again is left. */
  async #idOf(link: RedisLink): Promise<string | undefined> {
    try {
      const id = String(await link.client.client('ID'));
      await link.client.subscribe(CHANGED);
      await this.#commands.client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id);
      return id;
    } catch (error) {
      if (link.client.status !== 'ready' || this.#commands.client.status !== 'ready') throw error;
      return undefined;
    }
  }

  #linked(): Promise<RedisLink> {
    if (this.#link !== undefined) return this.#link;
    const connecting = this.#connect();
    this.#link = connecting;
    connecting.catch(() => {
      this.#link = undefined;
    });
    return connecting;
  }

  async #connect(): Promise<RedisLink> {
    const link = await this.#open(this.#life.signal);
    link.client.on('message', () => this.#onChange());
    link.client.on('pmessage', (pattern: string, _channel: string, text: string) =>
      this.#onFanout(pattern, text),
    );
    void link.closed.then((error) => {
      if (error !== undefined && !this.#life.signal.aborted) this.#onLost(error);
    });
    return link;
  }

  /** In case that a word of the server got lost, and for servers that do not tell. */
  #lookAgain(): void {
    if (!this.#watching) return;
    this.#timer = setTimeout(
      () => {
        this.#onChange();
        this.#lookAgain();
      },
      this.#tracking ? LOOK_MS : LOOK_OFTEN_MS,
    );
  }
}

/**
 * The pub/sub channels of an exchange, for publishing and, with `*` for `#`, for subscribing. The first is the one that counts; a
 * second one carries the same messages for the sake of an older kombu.
 */
export function fanoutChannels(
  { keyPrefix, fanoutPrefix, oldFanoutPrefix, fanoutPatterns }: RedisOptions,
  exchange: string,
  routingKey: string,
): [string, ...string[]] {
  const rest = routingKey !== '' && fanoutPatterns ? `${exchange}/${routingKey}` : exchange;
  const channel = keyPrefix + fanoutPrefix + rest;
  return oldFanoutPrefix === undefined ? [channel] : [channel, keyPrefix + oldFanoutPrefix + rest];
}
