import type { RedisLink } from '../../redis/open.ts';
import type { Queue } from '../topology.ts';
import { bindingsOf } from './bindings.ts';
import type { Keys } from './keys.ts';
import { FIND_ENDED, KEEP_TEMPORARY, runScript } from './scripts.ts';

/** How often an owner renews its own, at least and at most. */
const RENEW_AT_LEAST_MS = 30_000;
const RENEW_AT_MOST_MS = 500;
/** How often a connection that consumes looks for queues whose owners died. */
const SWEEP_MS = 10_000;

/**
 * Queues with `x-expires`, such as the mailbox of somebody who asks workers: RabbitMQ deletes them when their owner is gone,
 * Redis would keep their lists and bindings for ever.
 *
 * Each has an entry with the time when it ends, which its owner renews. Whoever declares such a queue, or consumes, removes
 * what has ended. kombu's own have no entry and are left alone.
 */
export class TemporaryQueues {
  readonly #link: RedisLink;
  readonly #keys: Keys;
  /** Entries by queue, and the milliseconds that each lasts. */
  readonly #kept = new Map<string, { readonly entry: string; readonly lastsMs: number }>();
  #renewal: NodeJS.Timeout | undefined;
  #sweeping: NodeJS.Timeout | undefined;

  constructor(link: RedisLink, keys: Keys) {
    this.#link = link;
    this.#keys = keys;
  }

  /** Notes a queue that was declared, when it is one of them. To be called before its bindings are made. */
  async declared(queue: Queue): Promise<void> {
    const lastsMs = queue.arguments?.['x-expires'];
    const bound = bindingsOf(queue).filter(
      ({ exchange }) => exchange.type === 'direct' && exchange.name !== '',
    );
    if (!queue.autoDelete || typeof lastsMs !== 'number' || bound.length === 0) return;
    const bindings = bound.map(({ exchange, routingKey }) => [exchange.name, routingKey]);
    const kept = { entry: JSON.stringify([queue.name, bindings]), lastsMs };
    this.#kept.set(queue.name, kept);
    await this.#keep(kept);
    this.#scheduleRenewal();
    await this.#sweep();
  }

  /** The queue was deleted. */
  async deleted(queue: string): Promise<void> {
    const kept = this.#kept.get(queue);
    if (kept === undefined) return;
    this.#kept.delete(queue);
    await this.#link.client.zrem(this.#keys.temporary, kept.entry);
  }

  /** Looks from now on for those of others that have ended. */
  startSweeping(): void {
    this.#sweeping ??= setInterval(() => this.#quietly(this.#sweep()), SWEEP_MS).unref();
  }

  end(): void {
    clearInterval(this.#renewal);
    clearInterval(this.#sweeping);
  }

  /** Often enough for the one that lasts shortest. */
  #scheduleRenewal(): void {
    clearInterval(this.#renewal);
    const shortestMs = Math.min(...[...this.#kept.values()].map(({ lastsMs }) => lastsMs));
    const everyMs = Math.max(RENEW_AT_MOST_MS, Math.min(shortestMs / 4, RENEW_AT_LEAST_MS));
    this.#renewal = setInterval(() => this.#quietly(this.#renew()), everyMs).unref();
  }

  async #renew(): Promise<void> {
    for (const kept of this.#kept.values()) await this.#keep(kept);
  }

  async #keep({ entry, lastsMs }: { entry: string; lastsMs: number }): Promise<void> {
    await runScript(this.#link.client, KEEP_TEMPORARY, [this.#keys.temporary], [lastsMs / 1000, entry]);
  }

  async #sweep(): Promise<void> {
    let ended: string[];
    do {
      ended = (await runScript(this.#link.client, FIND_ENDED, [this.#keys.temporary], [])) as string[];
      await Promise.all(ended.map((entry) => this.#remove(entry)));
    } while (ended.length > 0);
  }

  async #remove(entry: string): Promise<void> {
    const [queue, bindings] = JSON.parse(entry) as [string, [exchange: string, routingKey: string][]];
    const multi = this.#link.client.multi();
    for (const [exchange, routingKey] of bindings) {
      multi.srem(this.#keys.bindings(exchange), this.#keys.binding(routingKey, '', queue));
    }
    await multi
      .del(...this.#keys.lists(queue))
      .zrem(this.#keys.temporary, entry)
      .exec();
  }

  /** A server that is gone ends the connection, which says so. */
  #quietly(work: Promise<void>): void {
    work.catch(() => undefined);
  }
}
