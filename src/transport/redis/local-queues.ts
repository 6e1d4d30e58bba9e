import { LimitedSet } from '../../core/limited-set.ts';
import type { Envelope } from '../../message/message.ts';
import { decodeStored } from '../virtual/stored.ts';
import type { RedisOptions } from './options.ts';
import { deliveryTagOf } from './records.ts';
import { fanoutChannels, type Subscriptions } from './subscriptions.ts';

/** Messages that came by one channel and may come by another one soon. */
const SEEN = { max: 10_000, expiresMs: 60_000 };

/** A message of a fanout exchange: it is nowhere but here. */
export interface LocalMessage {
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
}

interface LocalQueue {
  readonly patterns: Set<string>;
  messages: LocalMessage[];
}

/**
 * The queues bound to fanout exchanges: Redis sends each subscriber a copy and keeps none, so what has come waits here until
 * it is taken, and goes with the connection.
 */
export class LocalQueues {
  readonly #options: RedisOptions;
  readonly #subscriptions: Subscriptions;
  readonly #queues = new Map<string, LocalQueue>();
  /** The channels that a second one stands for, by its name. */
  readonly #stoodFor = new Map<string, string>();
  readonly #seen = new LimitedSet(SEEN);

  constructor(options: RedisOptions, subscriptions: Subscriptions) {
    this.#options = options;
    this.#subscriptions = subscriptions;
  }

  has(queue: string): boolean {
    return this.#queues.has(queue);
  }

  /** Binds a queue; messages arrive once somebody consumes it. */
  bind(queue: string, exchange: string, routingKey: string): void {
    const local = this.#queues.get(queue) ?? { patterns: new Set(), messages: [] };
    this.#queues.set(queue, local);
    const [pattern, ...others] = fanoutChannels(this.#options, exchange, routingKey.replaceAll('#', '*'));
    local.patterns.add(pattern);
    for (const other of others) this.#stoodFor.set(other, pattern);
  }

  /** Resolves when the server sends us the messages. */
  async open(queue: string): Promise<void> {
    const patterns = [...(this.#queues.get(queue)?.patterns ?? [])];
    const channels = patterns.flatMap((pattern) => this.#channelsOf(pattern));
    await Promise.all(channels.map((channel) => this.#subscriptions.subscribe(channel)));
  }

  async close(queue: string): Promise<void> {
    const local = this.#queues.get(queue);
    if (local === undefined) return;
    local.messages = [];
    await Promise.all([...local.patterns].map((pattern) => this.#leave(pattern, queue)));
  }

  async delete(queue: string): Promise<void> {
    await this.close(queue);
    this.#queues.delete(queue);
  }

  async #leave(pattern: string, except: string): Promise<void> {
    const shared = [...this.#queues].some(([name, { patterns }]) => name !== except && patterns.has(pattern));
    if (shared) return;
    const left = this.#channelsOf(pattern).map((channel) => this.#subscriptions.unsubscribe(channel));
    await Promise.all(left);
  }

  #channelsOf(pattern: string): string[] {
    const others = [...this.#stoodFor].filter(([, stoodFor]) => stoodFor === pattern);
    return [pattern, ...others.map(([channel]) => channel)];
  }

  /** @returns false for a message that came before, by the other channel */
  arrived(channel: string, text: string): boolean {
    const pattern = this.#stoodFor.get(channel) ?? channel;
    if (this.#stoodFor.size > 0) {
      const tag = deliveryTagOf(text);
      const seen = `${pattern} ${tag ?? ''}`;
      if (tag !== undefined && this.#seen.has(seen)) return false;
      this.#seen.add(seen);
    }
    const message = decodeStored(text);
    for (const local of this.#queues.values()) if (local.patterns.has(pattern)) local.messages.push(message);
    return true;
  }

  take(queue: string, most: number): LocalMessage[] {
    return this.#queues.get(queue)?.messages.splice(0, most) ?? [];
  }

  putBack(queue: string, message: LocalMessage, to: 'front' | 'end'): void {
    const again = { ...message, redelivered: true };
    this.#queues.get(queue)?.messages[to === 'front' ? 'unshift' : 'push'](again);
  }

  size(queue: string): number {
    return this.#queues.get(queue)?.messages.length ?? 0;
  }
}
