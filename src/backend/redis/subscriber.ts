import { type BackendError, OperationalError } from '../../core/errors.ts';
import type { RedisLink } from '../../redis/open.ts';
import type { RedisConnection } from './connection.ts';
import { type Persistence, replyOf } from './persistence.ts';

/** Told what is published in one channel. */
export interface ChannelListener {
  /** From now on nothing is missed; what came before has to be read. Also after each loss of the connection. */
  onSubscribed(): void;
  onMessage(document: Buffer): void;
  /** The server cannot be reached, or does not let us listen: nothing will come any more. */
  onFailed(error: unknown): void;
}

/** More channels than these are for another command. */
const MAX_CHANNELS = 512;
/** A connection that did not live longer than this is opened again after a pause. */
const SHORT_LIFE_MS = 1_000;

/** One connection for all who wait. It subscribes to a channel while somebody listens to it, and goes on after a loss. */
export class Subscriber {
  readonly #connection: RedisConnection;
  readonly #persistence: Persistence;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  /** Channels that the server was asked for, each with the number of the asking. */
  readonly #asked = new Map<string, number>();
  readonly #confirmed = new Set<string>();
  /** Channels that somebody began or stopped to listen to since. */
  readonly #changed = new Set<string>();
  #number = 0;
  #turn: NodeJS.Immediate | undefined;
  #pause: NodeJS.Timeout | undefined;
  #opening: Promise<RedisLink> | undefined;
  #closed: BackendError | undefined;

  constructor(connection: RedisConnection, persistence: Persistence) {
    this.#connection = connection;
    this.#persistence = persistence;
  }

  add(channel: string, listener: ChannelListener): void {
    if (this.#closed) {
      listener.onFailed(this.#closed);
      return;
    }
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    if (this.#confirmed.has(channel)) listener.onSubscribed();
    else this.#change(channel);
  }

  remove(channel: string, listener: ChannelListener): void {
    const listeners = this.#listeners.get(channel);
    if (listeners?.delete(listener) !== true || listeners.size > 0) return;
    this.#listeners.delete(channel);
    this.#change(channel);
  }

  /** Tells all who listen, now and later, with an error. */
  async close(error: BackendError): Promise<void> {
    this.#closed ??= error;
    clearImmediate(this.#turn);
    clearTimeout(this.#pause);
    this.#fail([...this.#listeners.keys()], error);
    await this.#connection[Symbol.asyncDispose]();
  }

  /** All changes of one turn leave together. */
  #change(channel: string): void {
    this.#changed.add(channel);
    if (!this.#closed) this.#turn ??= setImmediate(() => void this.#update());
  }

  async #update(): Promise<void> {
    this.#turn = undefined;
    if (this.#opening === undefined && this.#listeners.size === 0) {
      this.#changed.clear();
      return;
    }
    // While this one waits, its connection will see to the changes.
    if (this.#pause !== undefined) return;
    try {
      this.#opening ??= this.#open();
      const link = await this.#opening;
      const changed = [...this.#changed];
      this.#changed.clear();
      const unwanted = changed.filter((channel) => this.#forget(channel));
      // Where it fails the connection is gone, and its subscriptions with it.
      for (const some of chunks(unwanted)) link.client.unsubscribe(...some).catch(() => undefined);
      const wanted = changed.filter((channel) => this.#listeners.has(channel) && !this.#asked.has(channel));
      for (const some of chunks(wanted)) void this.#subscribe(link, some);
    } catch (error) {
      this.#opening = undefined;
      this.#fail([...this.#listeners.keys()], error);
    }
  }

  /** Whether the server has to be told that nobody listens any more. */
  #forget(channel: string): boolean {
    if (this.#listeners.has(channel) || !this.#asked.delete(channel)) return false;
    this.#confirmed.delete(channel);
    return true;
  }

  async #subscribe(link: RedisLink, channels: readonly string[]): Promise<void> {
    const number = ++this.#number;
    for (const channel of channels) this.#asked.set(channel, number);
    // Without those that were left, and perhaps asked for again, since.
    const current = (): string[] => channels.filter((channel) => this.#asked.get(channel) === number);
    try {
      await this.#connection.runOn(link, 'subscribe', (client) => client.subscribe(...channels));
      for (const channel of current()) {
        this.#confirmed.add(channel);
        for (const listener of this.#listeners.get(channel) ?? []) listener.onSubscribed();
      }
    } catch (error) {
      const missed = current();
      for (const channel of missed) this.#asked.delete(channel);
      if (error instanceof OperationalError && replyOf(error) === undefined) {
        link.fail(error);
        for (const channel of missed) this.#change(channel);
      } else this.#fail(missed, error);
    }
  }

  async #open(): Promise<RedisLink> {
    const link = await this.#persistence.long(() => this.#connection.link());
    const openedAt = performance.now();
    link.client.on('messageBuffer', (channel: Buffer, document: Buffer) => {
      for (const listener of this.#listeners.get(channel.toString()) ?? []) listener.onMessage(document);
    });
    void link.closed.then((error) => this.#lost(error, performance.now() - openedAt));
    return link;
  }

  #lost(error: OperationalError | undefined, livedMs: number): void {
    this.#opening = undefined;
    this.#asked.clear();
    this.#confirmed.clear();
    this.#changed.clear();
    if (this.#closed || error === undefined) return;
    for (const channel of this.#listeners.keys()) this.#changed.add(channel);
    const again = (): void => {
      this.#pause = undefined;
      this.#turn ??= setImmediate(() => void this.#update());
    };
    this.#pause = setTimeout(again, livedMs < SHORT_LIFE_MS ? SHORT_LIFE_MS : 0);
  }

  #fail(channels: readonly string[], error: unknown): void {
    for (const channel of channels) {
      for (const listener of [...(this.#listeners.get(channel) ?? [])]) listener.onFailed(error);
    }
  }
}

function chunks(channels: readonly string[]): (readonly string[])[] {
  const count = Math.ceil(channels.length / MAX_CHANNELS);
  return Array.from({ length: count }, (_, index) =>
    channels.slice(index * MAX_CHANNELS, (index + 1) * MAX_CHANNELS),
  );
}
