import type { Message } from 'amqplib';
import type { Envelope } from '../../message/message.ts';
import type { Delivery } from '../transport.ts';
import { receivedEnvelope } from './messages.ts';

/** How a delivery is settled on the channel it came by. */
export interface Settler {
  ack(tag: number): Promise<void>;
  reject(tag: number, requeue: boolean): void;
}

/** A message that RabbitMQ handed to us. */
export class AmqpDelivery implements Delivery {
  readonly envelope: Envelope;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly #tag: number;
  /** Undefined once settled, or when nothing has to be settled. */
  #settler: Settler | undefined;

  constructor(queue: string, { content, fields, properties }: Message, settler: Settler | undefined) {
    this.envelope = receivedEnvelope(content, properties);
    this.queue = queue;
    this.exchange = fields.exchange;
    this.routingKey = fields.routingKey;
    this.redelivered = fields.redelivered;
    this.#tag = fields.deliveryTag;
    this.#settler = settler;
  }

  ack(): Promise<void> {
    return this.#take()?.ack(this.#tag) ?? Promise.resolve();
  }

  reject({ requeue }: { readonly requeue: boolean }): Promise<void> {
    this.#take()?.reject(this.#tag, requeue);
    return Promise.resolve();
  }

  #take(): Settler | undefined {
    const settler = this.#settler;
    this.#settler = undefined;
    return settler;
  }
}
