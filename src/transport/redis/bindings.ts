import type { Redis } from 'ioredis';
import type { Binding } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import { checkExchangeType, route } from '../virtual/routing.ts';
import type { StoredTopology } from '../virtual/store.ts';
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

  /** All bindings in Redis. The type of an exchange is not kept there: one that nobody declared here is guessed. */
  async all(): Promise<StoredTopology> {
    const exchanges = new Map<string, string>(this.#types);
    const bindings: Binding[] = [];
    for (const key of await this.#sets()) {
      const exchange = key.slice(this.#keys.bindings('').length);
      const rows = (await this.#client.smembers(key)).map((member) => this.#keys.readBinding(member));
      if (!exchanges.has(exchange)) exchanges.set(exchange, guessedType(rows));
      for (const { queue, routingKey } of rows) bindings.push({ queue, exchange, routingKey });
    }
    return { exchanges, queues: new Set(bindings.map(({ queue }) => queue)), bindings };
  }

  async unbind({ exchange, queue, routingKey }: Binding): Promise<void> {
    const key = this.#keys.bindings(exchange);
    const members = (await this.#client.smembers(key)).filter((member) => {
      const row = this.#keys.readBinding(member);
      return row.queue === queue && row.routingKey === routingKey;
    });
    if (members.length > 0) await this.#client.srem(key, ...members);
  }

  async deleteExchange(name: string): Promise<void> {
    this.#types.delete(name);
    await this.#client.del(this.#keys.bindings(name));
  }

  async #sets(): Promise<string[]> {
    const pattern = `${this.#keys.bindings('').replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}*`;
    const found = new Set<string>();
    let cursor = '0';
    do {
      const [next, keys] = await this.#client.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
      for (const key of keys) found.add(key);
      cursor = next;
    } while (cursor !== '0');
    return [...found].sort();
  }

  /**
   * The queues that a message reaches, each with its binding if that has just this key; undefined when nobody has ever heard
   * of the exchange.
   */
  async targets(exchange: string, routingKey: string): Promise<Map<string, string | undefined> | undefined> {
    if (exchange === '') return new Map([[routingKey, undefined]]);
    const members = await this.#client.smembers(this.#keys.bindings(exchange));
    const type = this.#types.get(exchange);
    if (members.length === 0) return type === undefined ? undefined : new Map();
    const rows = members.map((member) => ({ ...this.#keys.readBinding(member), member }));
    const exact = new Map(
      rows.filter((row) => row.routingKey === routingKey).map(({ queue, member }) => [queue, member]),
    );
    const queues = route(type ?? guessedType(rows), rows, routingKey);
    return new Map([...queues].map((queue) => [queue, exact.get(queue)]));
  }
}

/** Only topic bindings have a pattern. */
function guessedType(rows: readonly { readonly pattern: string }[]): string {
  return rows.some(({ pattern }) => pattern !== '') ? 'topic' : 'direct';
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
