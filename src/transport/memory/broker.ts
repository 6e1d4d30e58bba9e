import { OperationalError } from '../../core/errors.ts';
import type { Binding } from '../administration.ts';
import type { Exchange, ExchangeType, Queue } from '../topology.ts';
import { type BindingRow, checkExchangeType, route } from '../virtual/routing.ts';
import type { StoredTopology } from '../virtual/store.ts';
import { MemoryQueue, type StoredMessage } from './queue.ts';

interface KnownExchange {
  readonly type: ExchangeType;
  readonly bindings: BindingRow[];
}

interface KnownQueue {
  readonly messages: MemoryQueue;
  readonly autoDelete: boolean;
  /** The connection that an exclusive queue ends with. */
  readonly owner: symbol | undefined;
  /** `x-message-ttl` in milliseconds. */
  readonly ttlMs: number;
  consumers: number;
}

/** One broker in this process: everything is lost with it. */
export class MemoryBroker {
  readonly #exchanges = new Map<string, KnownExchange>();
  readonly #queues = new Map<string, KnownQueue>();
  readonly #listeners = new Set<() => void>();
  #order = 0;

  get empty(): boolean {
    return this.#queues.size === 0 && this.#exchanges.size === 0;
  }

  declareExchange({ name, type }: Exchange): void {
    checkExchangeType(name, type);
    const known = this.#exchanges.get(name);
    if (known && known.type !== type) {
      throw new OperationalError(`exchange '${name}' exists with type '${known.type}', not '${type}'`);
    }
    if (!known) this.#exchanges.set(name, { type, bindings: [] });
  }

  declareQueue(queue: Queue, owner: symbol): void {
    if (!this.#queues.has(queue.name)) {
      const ttl = queue.arguments?.['x-message-ttl'];
      this.#queues.set(queue.name, {
        messages: new MemoryQueue(),
        autoDelete: queue.autoDelete,
        owner: queue.exclusive ? owner : undefined,
        ttlMs: typeof ttl === 'number' ? ttl : Infinity,
        consumers: 0,
      });
    }
    const { exchange, routingKey } = queue;
    if (exchange) this.#bind(exchange, routingKey, queue.name);
    for (const binding of queue.bindings ?? []) this.#bind(binding.exchange, binding.routingKey, queue.name);
  }

  #bind(exchange: Exchange, routingKey: string, queue: string): void {
    if (exchange.name === '') return;
    if (exchange.noDeclare !== true) this.declareExchange(exchange);
    const bindings = this.#exchanges.get(exchange.name)?.bindings;
    if (!bindings) throw new OperationalError(`there is no exchange '${exchange.name}' to bind a queue to`);
    const known = bindings.some((row) => row.queue === queue && row.routingKey === routingKey);
    if (!known) bindings.push({ queue, routingKey });
  }

  deleteQueue(name: string): void {
    if (!this.#queues.delete(name)) return;
    for (const { bindings } of this.#exchanges.values()) {
      bindings.splice(0, bindings.length, ...bindings.filter(({ queue }) => queue !== name));
    }
    // Its consumers find out when they look.
    this.#notify();
  }

  topology(): StoredTopology {
    const known = [...this.#exchanges];
    return {
      exchanges: new Map(known.map(([name, { type }]) => [name, type])),
      queues: new Set(this.#queues.keys()),
      bindings: known.flatMap(([exchange, { bindings }]) => bindings.map((row) => ({ ...row, exchange }))),
    };
  }

  unbind({ exchange, queue, routingKey }: Binding): void {
    const bindings = this.#exchanges.get(exchange)?.bindings;
    const at = bindings?.findIndex((row) => row.queue === queue && row.routingKey === routingKey) ?? -1;
    if (at !== -1) bindings?.splice(at, 1);
  }

  deleteExchange(name: string): void {
    this.#exchanges.delete(name);
  }

  hasQueue(name: string): boolean {
    return this.#queues.has(name);
  }

  publish(
    message: Omit<StoredMessage, 'order' | 'redelivered'>,
    exchange: string,
    routingKey: string,
  ): boolean {
    let isTaken = false;
    for (const name of this.#targets(exchange, routingKey)) {
      const queue = this.#queues.get(name);
      if (!queue) continue;
      const expiresAt = Math.min(message.expiresAt, Date.now() + queue.ttlMs);
      queue.messages.add({ ...message, expiresAt, order: ++this.#order, redelivered: false });
      isTaken = true;
    }
    this.#notify();
    return isTaken;
  }

  #targets(exchange: string, routingKey: string): Iterable<string> {
    if (exchange === '') return [routingKey];
    const known = this.#exchanges.get(exchange);
    if (!known) throw new OperationalError(`there is no exchange '${exchange}' to publish to`);
    return route(known.type, known.bindings, routingKey);
  }

  take(name: string): StoredMessage | undefined {
    return this.#queues.get(name)?.messages.take();
  }

  giveBack(name: string, message: StoredMessage): void {
    this.#queues.get(name)?.messages.add({ ...message, redelivered: true });
    this.#notify();
  }

  size(name: string): number {
    return this.#queues.get(name)?.messages.size ?? 0;
  }

  purge(name: string): number {
    const size = this.size(name);
    this.#queues.get(name)?.messages.clear();
    return size;
  }

  consumerStarted(name: string): void {
    const queue = this.#queues.get(name);
    if (queue) queue.consumers += 1;
  }

  consumerStopped(name: string): void {
    const queue = this.#queues.get(name);
    if (!queue) return;
    queue.consumers -= 1;
    if (queue.autoDelete && queue.consumers <= 0) this.deleteQueue(name);
  }

  /** A connection has ended: its exclusive queues end with it. */
  left(owner: symbol): void {
    for (const [name, queue] of [...this.#queues]) if (queue.owner === owner) this.deleteQueue(name);
  }

  onMessage(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
