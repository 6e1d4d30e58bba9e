import type { Envelope } from '../../message/message.ts';
import { fanoutChannel, type Subscriptions } from './subscriptions.ts';
import type { RedisOptions } from './options.ts';

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
    local.patterns.add(fanoutChannel(this.#options, exchange, routingKey.replaceAll('#', '*')));
  }

  /** Resolves when the server sends us the messages. */
  async open(queue: string): Promise<void> {
    const patterns = [...(this.#queues.get(queue)?.patterns ?? [])];
    await Promise.all(patterns.map((pattern) => this.#subscriptions.subscribe(pattern)));
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
    if (!shared) await this.#subscriptions.unsubscribe(pattern);
  }

  arrived(pattern: string, message: LocalMessage): void {
    for (const local of this.#queues.values()) if (local.patterns.has(pattern)) local.messages.push(message);
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
