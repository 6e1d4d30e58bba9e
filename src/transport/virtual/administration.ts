import { OperationalError } from '../../core/errors.ts';
import type { Administration, Binding, QueueCounts } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import type { MessageStore } from './store.ts';

/** Administration over a `MessageStore`. */
export class VirtualAdministration implements Administration {
  readonly #store: MessageStore;

  constructor(store: MessageStore) {
    this.#store = store;
  }

  declareExchange(exchange: Exchange): Promise<void> {
    return this.#store.declareExchange(exchange);
  }

  async checkExchange(name: string): Promise<void> {
    const { exchanges } = await this.#store.topology();
    if (!exchanges.has(name)) throw new OperationalError(`there is no exchange '${name}'`);
  }

  async deleteExchange(name: string, { ifUnused }: { readonly ifUnused: boolean }): Promise<void> {
    const { bindings } = await this.#store.topology();
    if (ifUnused && bindings.some(({ exchange }) => exchange === name)) {
      throw new OperationalError(`exchange '${name}' is in use: queues are bound to it`);
    }
    await this.#store.deleteExchange(name);
  }

  async declareQueue(queue: Queue): Promise<QueueCounts> {
    await this.#store.declareQueue(queue);
    return this.#counts(queue.name);
  }

  async checkQueue(name: string): Promise<QueueCounts> {
    const { queues } = await this.#store.topology();
    const counts = await this.#counts(name);
    if (!queues.has(name) && counts.messages === 0) throw new OperationalError(`there is no queue '${name}'`);
    return counts;
  }

  async bindQueue({ queue, exchange, routingKey }: Binding): Promise<void> {
    const type = (await this.#store.topology()).exchanges.get(exchange);
    if (type === undefined) throw new OperationalError(`there is no exchange '${exchange}'`);
    await this.#store.declareQueue({
      name: queue,
      exchange: { name: exchange, type, durable: true, autoDelete: false },
      routingKey,
      durable: true,
      exclusive: false,
      autoDelete: false,
    });
  }

  async deleteQueue(name: string, { ifEmpty }: { readonly ifEmpty: boolean }): Promise<number> {
    const { messages } = await this.#counts(name);
    if (ifEmpty && messages > 0) throw new OperationalError(`queue '${name}' is not empty`);
    const { bindings } = await this.#store.topology();
    for (const binding of bindings) if (binding.queue === name) await this.#store.unbind(binding);
    await this.#store.deleteQueue(name);
    return messages;
  }

  async bindings(): Promise<readonly Binding[]> {
    return (await this.#store.topology()).bindings;
  }

  async #counts(name: string): Promise<QueueCounts> {
    return { messages: await this.#store.size(name), consumers: 0 };
  }
}
