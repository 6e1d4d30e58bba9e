import type { Channel as AmqpChannel, ConsumeMessage } from 'amqplib';
import type { Queue } from '../topology.ts';
import type { Consumer, Delivery } from '../transport.ts';
import { AmqpDelivery, type Settler } from './delivery.ts';
import { encodeTable } from './fields.ts';

/** What a consumer needs of its channel. */
export interface ConsumerHost {
  readonly channel: AmqpChannel;
  /** Notes a delivery that will have to be settled. */
  delivered(tag: number): void;
  readonly settler: Settler;
  /** Runs an AMQP method and puts its failure into words. */
  readonly call: <T>(what: string, method: () => Promise<T>) => Promise<T>;
  /** Whether the channel has ended, so that there is nothing left to cancel. */
  readonly ended: boolean;
}

export interface ConsumerCallbacks {
  onDelivery(delivery: Delivery): void;
  onCancel?: (() => void) | undefined;
}

/** One `basic.consume`. */
export class AmqpConsumer implements Consumer {
  readonly queue: string;
  readonly #host: ConsumerHost;
  readonly #queue: Queue;
  readonly #callbacks: ConsumerCallbacks;
  readonly #onEnd: (consumer: AmqpConsumer) => void;
  #tag: string | undefined;
  #disposing: Promise<void> | undefined;

  constructor(
    host: ConsumerHost,
    queue: Queue,
    callbacks: ConsumerCallbacks,
    onEnd: (consumer: AmqpConsumer) => void,
  ) {
    this.queue = queue.name;
    this.#host = host;
    this.#queue = queue;
    this.#callbacks = callbacks;
    this.#onEnd = onEnd;
  }

  async start(): Promise<void> {
    const { channel, call } = this.#host;
    const { name, noAck = false, consumerArguments } = this.#queue;
    const { consumerTag } = await call(`consume from queue ${name}`, () =>
      channel.consume(name, (message) => this.#receive(message), {
        noAck,
        arguments: encodeTable(consumerArguments ?? {}),
      }),
    );
    this.#tag = consumerTag;
  }

  /** Unsubscribes; what it holds stays with it. */
  async pause(): Promise<void> {
    await this.#cancel();
  }

  /** Subscribes again, under the limit that is set now. */
  async resume(): Promise<void> {
    if (this.#disposing === undefined) await this.start();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#stop();
    return this.#disposing;
  }

  async #stop(): Promise<void> {
    this.#onEnd(this);
    try {
      await this.#cancel();
    } catch (error) {
      // Without its channel a consumer is as good as cancelled.
      if (!this.#host.ended) throw error;
    }
  }

  async #cancel(): Promise<void> {
    const tag = this.#tag;
    this.#tag = undefined;
    if (tag === undefined || this.#host.ended) return;
    await this.#host.call(`stop consuming from queue ${this.queue}`, () => this.#host.channel.cancel(tag));
  }

  #receive(message: ConsumeMessage | null): void {
    if (message === null) {
      this.#tag = undefined;
      this.#onEnd(this);
      this.#callbacks.onCancel?.();
      return;
    }
    const { noAck = false } = this.#queue;
    const { settler } = this.#host;
    if (!noAck) this.#host.delivered(message.fields.deliveryTag);
    // Sent before the broker knew that we stop; one without acknowledgement would be lost if it were not taken.
    if (this.#disposing !== undefined && !noAck) settler.reject(message.fields.deliveryTag, true);
    else this.#callbacks.onDelivery(new AmqpDelivery(this.queue, message, noAck ? undefined : settler));
  }
}
