import type { Redis } from 'ioredis';
import type { Exchange, Queue } from '../topology.ts';
import { checkExchangeType, route } from '../virtual/routing.ts';
import type { Keys } from './keys.ts';

/** Where one exchange sends messages: bindings live in Redis, its type only in those who declared it, as with kombu. */
export class Bindings {
  readonly #client: Redis;
  readonly #keys: Keys;
  readonly #types = new Map<string, string>();
  /** Members of the sets of bindings, by queue: what `forget` has to remove. */
  readonly #made = new Map<string, { readonly key: string; readonly member: string }[]>();

  constructor(client: Redis, keys: Keys) {
    this.#client = client;
    this.#keys = keys;
  }

  declare({ name, type }: Exchange): void {
    checkExchangeType(name, type);
    if (name !== '') this.#types.set(name, type);
  }

  typeOf(exchange: string): string | undefined {
    return this.#types.get(exchange);
  }

  async bind(queue: string, exchange: Exchange, routingKey: string): Promise<void> {
    this.declare(exchange);
    if (exchange.name === '') return;
    const pattern = exchange.type === 'topic' ? topicPattern(routingKey) : '';
    const key = this.#keys.bindings(exchange.name);
    const member = this.#keys.binding(routingKey, pattern, queue);
    const made = this.#made.get(queue) ?? [];
    if (!made.some((each) => each.key === key && each.member === member)) made.push({ key, member });
    this.#made.set(queue, made);
    await this.#client.sadd(key, member);
  }

  /** Removes the bindings that were made here. */
  async forget(queue: string): Promise<void> {
    const made = this.#made.get(queue) ?? [];
    this.#made.delete(queue);
    await Promise.all(made.map(({ key, member }) => this.#client.srem(key, member)));
  }

  /** The queues that a message reaches; undefined when nobody has ever heard of the exchange. */
  async targets(exchange: string, routingKey: string): Promise<Set<string> | undefined> {
    if (exchange === '') return new Set([routingKey]);
    const members = await this.#client.smembers(this.#keys.bindings(exchange));
    const type = this.#types.get(exchange);
    if (members.length === 0) return type === undefined ? undefined : new Set();
    const rows = members.map((member) => this.#keys.readBinding(member));
    // Only topic bindings have a pattern.
    const guessed = rows.some(({ pattern }) => pattern !== '') ? 'topic' : 'direct';
    return route(type ?? guessed, rows, routingKey);
  }
}

/** The exchange and bindings of a queue, each with its key. */
export function bindingsOf(queue: Queue): { readonly exchange: Exchange; readonly routingKey: string }[] {
  const own =
    queue.exchange === undefined ? [] : [{ exchange: queue.exchange, routingKey: queue.routingKey }];
  return [...own, ...(queue.bindings ?? [])];
}

/** The regular expression that Python matches routing keys by: kombu keeps it beside the key. */
function topicPattern(routingKey: string): string {
  const words = routingKey.split('.').map((word) => {
    if (word === '*') return String.raw`.*?[^\.]`;
    if (word === '#') return '.*?';
    return word.replace(/[^\p{L}\p{N}#*]/gu, (sign) => (sign === '\0' ? '\\000' : `\\${sign}`));
  });
  return `^${words.join(String.raw`\.`)}$`;
}
