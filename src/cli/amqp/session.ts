import type { Administration } from '../../transport/administration.ts';
import type { Channel, Connection, Delivery } from '../../transport/transport.ts';
import { OperationalError } from '../../core/errors.ts';
import type { Exchange } from '../../transport/topology.ts';

/** What a command has to show: a line, a message, counts; undefined: nothing but that it went well. */
export type AmqpAnswer =
  | undefined
  | { readonly queue: string; readonly messages: number; readonly consumers: number }
  | { readonly deleted: number }
  | { readonly message: Readonly<Record<string, unknown>> | undefined };

/** Values of the arguments by name. */
export type AmqpValues = Readonly<Record<string, string | boolean | number>>;

/** One connection on which commands of the `amqp` shell run. */
export class AmqpSession implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #channel: Channel;
  readonly #administration: Administration;
  /** Taken with `basic.get`, by delivery tag. */
  readonly #taken = new Map<number, Delivery>();
  #tag = 0;

  private constructor(connection: Connection, channel: Channel) {
    this.#connection = connection;
    this.#channel = channel;
    this.#administration = connection.administer();
  }

  static async open(connection: Connection): Promise<AmqpSession> {
    return new AmqpSession(connection, await connection.openChannel());
  }

  /** Runs a command of `AMQP_COMMANDS`. @throws {OperationalError} the broker refuses */
  run(command: string, values: AmqpValues): Promise<AmqpAnswer> {
    const { exchange = '', queue = '', routing_key: routingKey = '' } = texts(values);
    switch (command) {
      case 'exchange.declare':
        return this.#declareExchange(exchange, values);
      case 'exchange.delete':
        return done(this.#administration.deleteExchange(exchange, { ifUnused: values.if_unused === true }));
      case 'queue.bind':
        return done(this.#administration.bindQueue({ queue, exchange, routingKey }));
      case 'queue.declare':
        return this.#declareQueue(queue, values);
      case 'queue.delete':
        return this.#deleteQueue(queue, values);
      case 'queue.purge':
        return this.#purge(queue);
      case 'basic.get':
        return this.#get(queue, values.no_ack === true);
      case 'basic.publish':
        return this.#publish(values, exchange, routingKey);
      default:
        return this.#ack(Number(values.delivery_tag));
    }
  }

  async #declareExchange(name: string, values: AmqpValues): Promise<undefined> {
    if (values.passive === true) return done(this.#administration.checkExchange(name));
    const type = String(values.type);
    const exchange: Exchange = { name, type, ...durability(values) };
    return done(this.#administration.declareExchange(exchange));
  }

  async #declareQueue(queue: string, values: AmqpValues): Promise<AmqpAnswer> {
    const counts =
      values.passive === true
        ? await this.#administration.checkQueue(queue)
        : await this.#administration.declareQueue({
            name: queue,
            routingKey: '',
            exclusive: false,
            ...durability(values),
          });
    return { queue, ...counts };
  }

  async #deleteQueue(queue: string, values: AmqpValues): Promise<AmqpAnswer> {
    const options = { ifUnused: values.if_unused === true, ifEmpty: values.if_empty === true };
    return { deleted: await this.#administration.deleteQueue(queue, options) };
  }

  async #purge(queue: string): Promise<AmqpAnswer> {
    return { deleted: await this.#channel.purge(queue) };
  }

  async #get(queue: string, noAck: boolean): Promise<AmqpAnswer> {
    const delivery = await this.#channel.get(queue, { noAck });
    if (delivery === undefined) return { message: undefined };
    const tag = (this.#tag += 1);
    if (!noAck) this.#taken.set(tag, delivery);
    const { body, contentType, contentEncoding, headers, properties } = delivery.envelope;
    return {
      message: {
        body: body.toString(),
        delivery_info: {
          delivery_tag: tag,
          exchange: delivery.exchange,
          redelivered: delivery.redelivered,
          routing_key: delivery.routingKey,
        },
        properties: {
          application_headers: headers,
          content_encoding: contentEncoding,
          content_type: contentType,
          ...given({
            correlation_id: properties.correlationId,
            delivery_mode: properties.deliveryMode,
            expiration: properties.expiration,
            priority: properties.priority,
            reply_to: properties.replyTo,
          }),
        },
      },
    };
  }

  async #publish(values: AmqpValues, exchange: string, routingKey: string): Promise<undefined> {
    if (values.immediate === true) throw new OperationalError('brokers of today have no immediate messages');
    const body = Buffer.from(String(values.msg));
    const envelope = {
      body,
      contentType: 'text/plain',
      contentEncoding: 'utf-8',
      headers: {},
      properties: {},
    };
    const taken = await this.#channel.offer(envelope, exchange, routingKey);
    if (values.mandatory === true && !taken) {
      throw new OperationalError(`no queue has taken the message: NO_ROUTE for '${routingKey}'`);
    }
    return undefined;
  }

  async #ack(tag: number): Promise<undefined> {
    const delivery = this.#taken.get(tag);
    if (delivery === undefined)
      throw new OperationalError(`there is no unacknowledged message ${String(tag)}`);
    this.#taken.delete(tag);
    await delivery.ack();
    return undefined;
  }

  /** What was taken and not acknowledged goes back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}

async function done(work: Promise<unknown>): Promise<undefined> {
  await work;
  return undefined;
}

function durability({ durable, auto_delete: autoDelete }: AmqpValues) {
  return { durable: durable === true, autoDelete: autoDelete === true };
}

function texts(values: AmqpValues): Partial<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

function given(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
