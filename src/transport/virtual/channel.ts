import { type Deferred, deferred } from '../../core/async.ts';
import { Gathering } from '../../core/gathering.ts';
import { OperationalError } from '../../core/errors.ts';
import type { Envelope } from '../../message/message.ts';
import type { Exchange, Queue } from '../topology.ts';
import type { Channel, Consumer, Delivery } from '../transport.ts';
import { type Settling, VirtualDelivery } from './delivery.ts';
import type { MessageStore, Subscription, TakenMessage } from './store.ts';

/** More room than that saves nothing any more. */
const ENOUGH = 32;

interface VirtualConsumer extends Consumer {
  readonly definition: Queue;
  readonly onDelivery: (delivery: Delivery) => void;
  readonly onCancel: (() => void) | undefined;
}

/** AMQP's channel over a `MessageStore`: takes messages as the prefetch window allows and pushes them to its consumers. */
export class VirtualChannel implements Channel, Settling {
  readonly closed: Promise<Error | undefined>;
  readonly #store: MessageStore;
  readonly #isPatient: boolean;
  readonly #closed: Deferred<Error | undefined>;
  readonly #onClosed: (channel: VirtualChannel) => void;
  readonly #consumers = new Set<VirtualConsumer>();
  readonly #unsettled = new Set<VirtualDelivery>();
  #listening: Disposable | undefined;
  #window = 0;
  /** Deliveries in the window: those of consumers, not those of `get`. */
  #held = 0;
  #refusal: Error | undefined;
  readonly #refilling = new Gathering(() => this.#pump());
  #pumping: Promise<void> | undefined;
  #wanted = false;

  /** @param isPatient see `ChannelOptions` */
  constructor(store: MessageStore, isPatient: boolean, onClosed: (channel: VirtualChannel) => void) {
    this.#store = store;
    this.#isPatient = isPatient;
    this.#onClosed = onClosed;
    this.#closed = deferred();
    this.closed = this.#closed.promise;
  }

  declareExchange(exchange: Exchange): Promise<void> {
    return this.#call(() => this.#store.declareExchange(exchange));
  }

  declareQueue(queue: Queue): Promise<void> {
    return this.#call(() => this.#store.declareQueue(queue));
  }

  deleteQueue(name: string): Promise<void> {
    return this.#call(() => this.#store.deleteQueue(name));
  }

  async publish(envelope: Envelope, exchange: string, routingKey: string): Promise<void> {
    await this.offer(envelope, exchange, routingKey);
  }

  offer(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean> {
    return this.#call(() => this.#store.publish(envelope, exchange, routingKey));
  }

  size(queue: string): Promise<number> {
    return this.#call(() => this.#store.size(queue));
  }

  purge(queue: string): Promise<number> {
    return this.#call(() => this.#store.purge(queue));
  }

  prefetch(count: number): Promise<void> {
    return this.#call(() => {
      this.#window = count;
      this.#pump();
      return Promise.resolve();
    });
  }

  get(queue: string, options?: { readonly noAck?: boolean }): Promise<Delivery | undefined> {
    return this.#call(async () => {
      const { messages } = await this.#store.take([{ queue, noAck: options?.noAck === true }], 1, 1);
      const [message] = messages;
      if (message === undefined) return undefined;
      if (this.#refusal) {
        await this.#giveBack(messages);
        throw this.#refusal;
      }
      return this.#receive(message, false);
    });
  }

  consume(queue: Queue, onDelivery: (delivery: Delivery) => void, onCancel?: () => void): Promise<Consumer> {
    return this.#call(async () => {
      const consumer: VirtualConsumer = {
        queue: queue.name,
        definition: queue,
        onDelivery,
        onCancel,
        [Symbol.asyncDispose]: () => this.#stop(consumer),
      };
      this.#consumers.add(consumer);
      this.#listening ??= this.#store.onMessage(() => this.#pump());
      try {
        await this.#store.consumerStarted(queue);
      } catch (error) {
        this.#forget(consumer);
        throw error;
      }
      this.#pump();
      return consumer;
    });
  }

  async #stop(consumer: VirtualConsumer): Promise<void> {
    if (!this.#forget(consumer)) return;
    if (!this.#refusal) await this.#store.consumerStopped(consumer.definition);
  }

  #forget(consumer: VirtualConsumer): boolean {
    const known = this.#consumers.delete(consumer);
    if (this.#consumers.size === 0) {
      this.#listening?.[Symbol.dispose]();
      this.#listening = undefined;
    }
    return known;
  }

  /** Takes and delivers until the queues are empty or the window is full; a call meanwhile makes it look once more. */
  #pump(): void {
    this.#wanted = true;
    this.#pumping ??= this.#deliver()
      .catch((error: unknown) => this.#abandon(error as Error))
      .finally(() => {
        this.#pumping = undefined;
        if (this.#wanted && !this.#refusal) this.#pump();
      });
  }

  async #deliver(): Promise<void> {
    while (this.#wanted && !this.#refusal) {
      this.#wanted = false;
      const room = this.#window === 0 ? Infinity : this.#window - this.#held;
      const from = this.#subscriptions(room);
      if (from.length === 0) return;
      const { messages, gone } = await this.#store.take(from, room);
      for (const queue of gone) this.#cancelled(queue);
      await this.#handOut(messages);
      if (messages.length > 0) this.#wanted = true;
    }
  }

  /** The queues to take from; the one that was first is last the next time. */
  #subscriptions(room: number): Subscription[] {
    const [first] = this.#consumers;
    if (first && this.#consumers.size > 1) {
      this.#consumers.delete(first);
      this.#consumers.add(first);
    }
    return [...this.#consumers]
      .map(({ queue, definition }) => ({ queue, noAck: definition.noAck === true }))
      .filter(({ noAck }) => noAck || room > 0);
  }

  async #handOut(messages: readonly TakenMessage[]): Promise<void> {
    const homeless: TakenMessage[] = [];
    for (const message of messages) {
      const consumer = this.#consumerOf(message.queue);
      // Its consumer was stopped, or the channel closed, while the message was on its way.
      if (!consumer || this.#refusal) homeless.push(message);
      else consumer.onDelivery(this.#receive(message, true));
    }
    await this.#giveBack(homeless);
  }

  /** Consumers of one queue take turns. */
  #consumerOf(queue: string): VirtualConsumer | undefined {
    for (const consumer of this.#consumers) {
      if (consumer.queue !== queue) continue;
      this.#consumers.delete(consumer);
      this.#consumers.add(consumer);
      return consumer;
    }
    return undefined;
  }

  #receive(message: TakenMessage, counted: boolean): VirtualDelivery {
    const delivery = new VirtualDelivery(message, this, counted);
    if (message.noAck) return delivery;
    this.#unsettled.add(delivery);
    if (counted) this.#held += 1;
    return delivery;
  }

  async #giveBack(messages: readonly TakenMessage[]): Promise<void> {
    const tags = messages.filter(({ noAck }) => !noAck).map(({ tag }) => tag);
    if (tags.length > 0) await this.#store.requeue(tags, 'front');
  }

  #cancelled(queue: string): void {
    for (const consumer of [...this.#consumers]) {
      if (consumer.queue !== queue) continue;
      this.#forget(consumer);
      consumer.onCancel?.();
    }
  }

  ack(delivery: VirtualDelivery): Promise<void> {
    return this.#settle(delivery, () => this.#store.ack(delivery.tag, this.#isPatient));
  }

  requeue(delivery: VirtualDelivery): Promise<void> {
    return this.#settle(delivery, () => this.#store.requeue([delivery.tag], 'end'));
  }

  #settle(delivery: VirtualDelivery, settle: () => Promise<void>): Promise<void> {
    // Closed by us: it went back to its queue then. Closed by the broker: its fate is not known, which the caller must hear.
    if (!this.#unsettled.delete(delivery)) {
      return this.#refusal && this.#failed ? Promise.reject(this.#refusal) : Promise.resolve();
    }
    if (delivery.counted) this.#held -= 1;
    const settled = settle();
    if (delivery.counted && this.#window > 0) this.#refill();
    return settled;
  }

  #refill(): void {
    // In the same turn, so that a store which joins writes takes the next message in the transaction of this ack.
    if (!this.#isPatient || this.#store.takesSeveral !== true) this.#pump();
    // The others that it holds are there to be run meanwhile.
    else this.#refilling.ask(this.#window - this.#held >= Math.min(ENOUGH, this.#window / 4));
  }

  #failed = false;

  /** The broker is gone. */
  fail(error: Error): void {
    if (this.#refusal) return;
    this.#failed = true;
    this.#refusal = error;
    this.#refilling.cancel();
    this.#unsettled.clear();
    for (const consumer of [...this.#consumers]) this.#forget(consumer);
    this.#onClosed(this);
    this.#closed.resolve(error);
  }

  /** The broker does not give us messages: what the channel holds goes back, as when a broker with channels closes one. */
  async #abandon(error: Error): Promise<void> {
    if (this.#refusal) return;
    const consumers = [...this.#consumers];
    const tags = [...this.#unsettled].map(({ tag }) => tag);
    this.fail(error);
    // Lost altogether, the connection says so; its messages come back then, too.
    await this.#release(consumers, tags).catch(() => undefined);
  }

  async #release(consumers: readonly VirtualConsumer[], tags: readonly number[]): Promise<void> {
    if (tags.length > 0) await this.#store.requeue(tags, 'front');
    await Promise.all(consumers.map(({ definition }) => this.#store.consumerStopped(definition)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#refusal) {
      await this.closed;
      return;
    }
    this.#refusal = new OperationalError('the channel is closed');
    this.#refilling.cancel();
    const consumers = [...this.#consumers];
    for (const consumer of consumers) this.#forget(consumer);
    const tags = [...this.#unsettled].map(({ tag }) => tag);
    this.#unsettled.clear();
    try {
      await this.#release(consumers, tags);
      await this.#pumping;
    } finally {
      this.#onClosed(this);
      this.#closed.resolve(undefined);
    }
  }

  #call<T>(run: () => Promise<T>): Promise<T> {
    if (!this.#refusal) return run();
    if (this.#refusal instanceof OperationalError) return Promise.reject(this.#refusal);
    const { message } = this.#refusal;
    return Promise.reject(new OperationalError(message, { cause: this.#refusal }));
  }
}
