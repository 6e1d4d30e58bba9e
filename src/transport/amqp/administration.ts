import type { Channel as AmqpMethods } from 'amqplib';
import { OperationalError } from '../../core/errors.ts';
import type { Administration, Binding, QueueCounts } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import { encodeTable } from './fields.ts';

/** What administration needs of its connection. */
export interface AdministrationHost {
  probe<T>(what: string, method: (channel: AmqpMethods) => Promise<T>): Promise<T | undefined>;
  /** Reads from the management plugin, for AMQP itself does not tell. */
  bindings(): Promise<readonly Binding[]>;
}

/** Administration of RabbitMQ; each command has a channel of its own, which the broker may close. */
export class AmqpAdministration implements Administration {
  readonly #host: AdministrationHost;

  constructor(host: AdministrationHost) {
    this.#host = host;
  }

  async declareExchange({ name, type, durable, autoDelete, arguments: args }: Exchange): Promise<void> {
    const options = { durable, autoDelete, arguments: encodeTable(args ?? {}) };
    await this.#do(`declare exchange ${name}`, (channel) => channel.assertExchange(name, type, options));
  }

  async checkExchange(name: string): Promise<void> {
    await this.#do(`find exchange ${name}`, (channel) => channel.checkExchange(name));
  }

  async deleteExchange(name: string, options: { readonly ifUnused: boolean }): Promise<void> {
    await this.#do(`delete exchange ${name}`, (channel) => channel.deleteExchange(name, options));
  }

  async declareQueue({ name, durable, exclusive, autoDelete, ...rest }: Queue): Promise<QueueCounts> {
    const options = { durable, exclusive, autoDelete, arguments: encodeTable(rest.arguments ?? {}) };
    return counts(await this.#do(`declare queue ${name}`, (channel) => channel.assertQueue(name, options)));
  }

  async checkQueue(name: string): Promise<QueueCounts> {
    return counts(await this.#do(`find queue ${name}`, (channel) => channel.checkQueue(name)));
  }

  async bindQueue({ queue, exchange, routingKey }: Binding): Promise<void> {
    await this.#do(`bind queue ${queue} to exchange ${exchange}`, (channel) =>
      channel.bindQueue(queue, exchange, routingKey),
    );
  }

  async deleteQueue(
    name: string,
    options: { readonly ifUnused: boolean; readonly ifEmpty: boolean },
  ): Promise<number> {
    const reply = await this.#do(`delete queue ${name}`, (channel) => channel.deleteQueue(name, options));
    return reply.messageCount;
  }

  bindings(): Promise<readonly Binding[]> {
    return this.#host.bindings();
  }

  async #do<T>(what: string, method: (channel: AmqpMethods) => Promise<T>): Promise<T> {
    const reply = await this.#host.probe(what, method);
    if (reply === undefined) throw new OperationalError(`Cannot ${what}: NOT_FOUND`);
    return reply;
  }
}

function counts({ messageCount, consumerCount }: { messageCount: number; consumerCount: number }) {
  return { messages: messageCount, consumers: consumerCount };
}
