import type { Channel as AmqpMethods, ConfirmChannel } from 'amqplib';
import { deferred, withTimeout } from '../../core/async.ts';
import { OperationalError, TimeoutError } from '../../core/errors.ts';
import type { Envelope } from '../../message/message.ts';
import type { Exchange, Queue } from '../topology.ts';
import type { Channel, ChannelOptions, Consumer, Delivery } from '../transport.ts';
import { IllegalOperationError } from './amqplib.ts';
import { AckBook } from './acks.ts';
import { AmqpConsumer, type ConsumerHost } from './consumers.ts';
import { AmqpDelivery, type Settler } from './delivery.ts';
import { operationError } from './errors.ts';
import { encodeTable } from './fields.ts';
import { MessageWriter } from './frame-writer.ts';
import { Publisher } from './publisher.ts';
import { LARGEST_WINDOW } from './window.ts';

/** How long closing waits for a broker that does not answer. */
export const CLOSE_TIMEOUT_MS = 3_000;

/** What a channel needs of its connection. */
export interface ChannelHost {
  readonly closed: Promise<Error | undefined>;
  /** Runs one method on a channel of its own, which the broker may close; undefined when it answered NOT_FOUND. */
  probe<T>(what: string, method: (channel: AmqpMethods) => Promise<T>): Promise<T | undefined>;
}

/** A Channel over RabbitMQ. */
export class AmqpChannel implements Channel {
  readonly closed: Promise<Error | undefined>;
  readonly #connection: ChannelHost;
  readonly #isPatient: boolean;
  readonly #channel: AmqpMethods | ConfirmChannel;
  readonly #publisher: Publisher;
  readonly #consumers = new Set<AmqpConsumer>();
  readonly #acks = new AckBook((tag, multiple) => this.#settle('ack', tag, multiple));
  readonly #host: ConsumerHost;
  readonly #settled = deferred<Error | undefined>();
  #ended = false;
  #reason: Error | undefined;
  #disposing: Promise<void> | undefined;
  #prefetch = 0;
  /** Set once a quorum queue is consumed from: those know no limit over all consumers of a channel. */
  #limitEach: Promise<void> | undefined;

  constructor(
    connection: ChannelHost,
    channel: AmqpMethods | ConfirmChannel,
    { confirm, patient }: Required<ChannelOptions>,
  ) {
    this.#connection = connection;
    this.#channel = channel;
    this.#isPatient = patient;
    this.closed = this.#settled.promise;
    this.#publisher = new Publisher(channel, new MessageWriter(channel), confirm, (error) =>
      this.#failure('publish', error),
    );
    this.#host = this.#consumerHost();
    channel.on('error', (error) => {
      this.#reason ??= operationError('go on with this channel', error);
    });
    channel.on('close', () => {
      // Closed by the broker or by us; when the whole connection ended, its reason is ours.
      if (this.#reason !== undefined || this.#disposing !== undefined) this.#end(this.#reason);
    });
    void connection.closed.then((error) => this.#end(error));
  }

  async declareExchange({
    name,
    type,
    durable,
    autoDelete,
    arguments: args,
    noDeclare,
  }: Exchange): Promise<void> {
    // The default exchange is always there and must not be declared.
    if (name === '' || noDeclare === true) return;
    await this.#call(`declare exchange ${name}`, () =>
      this.#channel.assertExchange(name, type, { durable, autoDelete, arguments: encodeTable(args ?? {}) }),
    );
  }

  async declareQueue(queue: Queue): Promise<void> {
    if (queue.noDeclare === true) return;
    const { name, durable, exclusive, autoDelete } = queue;
    if (queue.exchange !== undefined) await this.declareExchange(queue.exchange);
    await this.#call(`declare queue ${name}`, () =>
      this.#channel.assertQueue(name, {
        durable,
        exclusive,
        autoDelete,
        arguments: encodeTable(queue.arguments ?? {}),
      }),
    );
    if (queue.exchange !== undefined) await this.#bind(queue, queue.exchange, queue.routingKey);
    for (const { exchange, routingKey } of queue.bindings ?? []) {
      await this.declareExchange(exchange);
      await this.#bind(queue, exchange, routingKey);
    }
  }

  async deleteQueue(name: string): Promise<void> {
    await this.#call(`delete queue ${name}`, () => this.#channel.deleteQueue(name));
  }

  publish(envelope: Envelope, exchange: string, routingKey: string): Promise<void> {
    if (this.#isGone()) return Promise.reject(this.#failure('publish', undefined));
    return this.#publisher.publish(envelope, exchange, routingKey);
  }

  offer(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean> {
    if (this.#isGone()) return Promise.reject(this.#failure('publish', undefined));
    return this.#publisher.offer(envelope, exchange, routingKey);
  }

  async consume(
    queue: Queue,
    onDelivery: (delivery: Delivery) => void,
    onCancel?: () => void,
  ): Promise<Consumer> {
    this.#check(`consume from queue ${queue.name}`);
    if (queue.arguments?.['x-queue-type'] === 'quorum') this.#limitEach ??= this.#limitEachConsumer();
    await this.#limitEach;
    const consumer = new AmqpConsumer(this.#host, queue, { onDelivery, onCancel }, (ended) => {
      this.#consumers.delete(ended);
    });
    this.#consumers.add(consumer);
    try {
      await consumer.start();
    } catch (error) {
      this.#consumers.delete(consumer);
      throw error;
    }
    return consumer;
  }

  /** With quorum queues the limit is that of each consumer, and a new one holds for consumers that start after it. */
  async prefetch(count: number): Promise<void> {
    this.#check('set the prefetch count');
    this.#prefetch = count;
    if (this.#isPatient) this.#acks.setWindow(count);
    await this.#limitEach;
    await this.#qos(count, this.#limitEach === undefined);
  }

  async get(queue: string, options: { readonly noAck?: boolean } = {}): Promise<Delivery | undefined> {
    const noAck = options.noAck === true;
    const message = await this.#call(`get a message of queue ${queue}`, () =>
      this.#channel.get(queue, { noAck }),
    );
    if (message === false) return undefined;
    if (!noAck) this.#acks.delivered(message.fields.deliveryTag);
    return new AmqpDelivery(queue, message, noAck ? undefined : this.#host.settler);
  }

  async size(queue: string): Promise<number> {
    this.#check(`count queue ${queue}`);
    const reply = await this.#connection.probe(`count queue ${queue}`, (channel) =>
      channel.checkQueue(queue),
    );
    return reply?.messageCount ?? 0;
  }

  async purge(queue: string): Promise<number> {
    this.#check(`purge queue ${queue}`);
    const reply = await this.#connection.probe(`purge queue ${queue}`, (channel) =>
      channel.purgeQueue(queue),
    );
    return reply?.messageCount ?? 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#close();
    return this.#disposing;
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#acks.flush();
    const closing = this.#channel.close().catch((error: unknown) => {
      // Closed at the same moment by the other side: that is what we wanted.
      if (!(error instanceof IllegalOperationError)) throw error;
    });
    const gone = Promise.race([closing, this.closed]);
    try {
      await withTimeout(gone, CLOSE_TIMEOUT_MS, 'The broker does not answer');
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
    this.#end(this.#reason);
  }

  async #bind(queue: Queue, exchange: Exchange, routingKey: string): Promise<void> {
    if (exchange.name === '') return;
    await this.#call(`bind queue ${queue.name} to exchange ${exchange.name}`, () =>
      this.#channel.bindQueue(
        queue.name,
        exchange.name,
        routingKey,
        encodeTable(queue.bindingArguments ?? {}),
      ),
    );
  }

  async #qos(count: number, overAll: boolean): Promise<void> {
    // As kombu has it: nobody is to wait for messages that are not due yet.
    const limit = count > LARGEST_WINDOW ? 0 : count;
    await this.#call('set the prefetch count', () => this.#channel.prefetch(limit, overAll));
  }

  async #limitEachConsumer(): Promise<void> {
    if (this.#prefetch === 0) return;
    // Those that are there would be without any limit as soon as the common one is lifted.
    const before = [...this.#consumers];
    for (const consumer of before) await consumer.pause();
    await this.#qos(0, true);
    await this.#qos(this.#prefetch, false);
    for (const consumer of before) await consumer.resume();
  }

  #consumerHost(): ConsumerHost {
    const settler: Settler = {
      ack: (tag) => (this.#ended ? Promise.resolve() : this.#acks.ack(tag)),
      reject: (tag, requeue) => {
        if (this.#ended) return;
        this.#acks.settled(tag);
        this.#settle('reject', tag, requeue);
      },
    };
    const hasEnded = (): boolean => this.#ended;
    return {
      channel: this.#channel,
      settler,
      delivered: (tag) => this.#acks.delivered(tag),
      call: (what, method) => this.#call(what, method),
      get ended() {
        return hasEnded();
      },
    };
  }

  #settle(how: 'ack' | 'reject', tag: number, flag: boolean): void {
    if (this.#ended) return;
    try {
      this.#channel[how]({ fields: { deliveryTag: tag } } as Parameters<AmqpMethods['ack']>[0], flag);
    } catch (error) {
      // The channel is closing: what it held goes back to its queue, as if it had not been settled.
      if (!(error instanceof IllegalOperationError)) throw error;
    }
  }

  #isGone(): boolean {
    return this.#ended || this.#disposing !== undefined;
  }

  #check(what: string): void {
    if (this.#isGone()) throw this.#failure(what, undefined);
  }

  async #call<T>(what: string, method: () => Promise<T>): Promise<T> {
    this.#check(what);
    try {
      return await method();
    } catch (error) {
      throw this.#failure(what, error);
    }
  }

  #failure(what: string, error: unknown): OperationalError {
    if (this.#reason instanceof OperationalError && !hasReplyCode(error)) {
      return new OperationalError(`Cannot ${what}: ${this.#reason.message}`, { cause: this.#reason });
    }
    return operationError(what, error ?? new Error('the channel is closed'));
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason ??= error;
    this.#consumers.clear();
    this.#publisher.end(this.#failure('publish', undefined));
    this.#settled.resolve(error);
    // Last, so that whoever hears of a failed ack knows the channel to be gone.
    this.#acks.fail(this.#failure('acknowledge a message', undefined));
  }
}

function hasReplyCode(error: unknown): boolean {
  return typeof (error as { code?: unknown } | undefined)?.code === 'number';
}
