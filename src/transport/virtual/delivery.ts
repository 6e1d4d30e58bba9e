import type { Envelope } from '../../message/message.ts';
import type { Delivery } from '../transport.ts';
import type { TakenMessage } from './store.ts';

/** Where a delivery is settled; each is settled once. */
export interface Settling {
  ack(delivery: VirtualDelivery): Promise<void>;
  requeue(delivery: VirtualDelivery): Promise<void>;
}

/** A message that a channel was handed by a `MessageStore`. */
export class VirtualDelivery implements Delivery {
  readonly #message: TakenMessage;
  readonly #settling: Settling;
  /** Whether the prefetch window counts it. */
  readonly counted: boolean;
  #settled: boolean;

  constructor(message: TakenMessage, settling: Settling, counted: boolean) {
    this.#message = message;
    this.#settling = settling;
    this.counted = counted;
    this.#settled = message.noAck;
  }

  get tag(): number {
    return this.#message.tag;
  }

  get envelope(): Envelope {
    return this.#message.envelope;
  }

  get queue(): string {
    return this.#message.queue;
  }

  get exchange(): string {
    return this.#message.exchange;
  }

  get routingKey(): string {
    return this.#message.routingKey;
  }

  get redelivered(): boolean {
    return this.#message.redelivered;
  }

  ack(): Promise<void> {
    return this.#once(() => this.#settling.ack(this));
  }

  // These brokers have no dead-letter queues: to drop a message is to forget it.
  reject({ requeue }: { readonly requeue: boolean }): Promise<void> {
    return this.#once(() => (requeue ? this.#settling.requeue(this) : this.#settling.ack(this)));
  }

  #once(settle: () => Promise<void>): Promise<void> {
    if (this.#settled) return Promise.resolve();
    this.#settled = true;
    return settle();
  }
}
