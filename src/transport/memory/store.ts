import { type Deferred, deferred } from '../../core/async.ts';
import { newTaskId } from '../../core/task-id.ts';
import { decodeEnvelope, encodeEnvelope } from '../../message/envelope-json.ts';
import type { Envelope } from '../../message/message.ts';
import type { Binding } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import type { MessageStore, StoredTopology, Subscription, TakenMessage, Taking } from '../virtual/store.ts';
import { expiresAtOf, fairShares, TAKE_AT_MOST } from '../virtual/taking.ts';
import type { MemoryBroker } from './broker.ts';
import type { StoredMessage } from './queue.ts';

/** One connection's view of a `MemoryBroker`. */
export class MemoryStore implements MessageStore {
  readonly closed: Promise<Error | undefined>;
  readonly #broker: MemoryBroker;
  readonly #closed: Deferred<Error | undefined>;
  readonly #onClosed: () => void;
  readonly #owner = Symbol('connection');
  readonly #unsettled = new Map<number, { readonly queue: string; readonly message: StoredMessage }>();
  #tag = 0;

  constructor(broker: MemoryBroker, onClosed: () => void) {
    this.#broker = broker;
    this.#onClosed = onClosed;
    this.#closed = deferred();
    this.closed = this.#closed.promise;
  }

  // Async so that what the broker throws is a rejection, as of any other broker.
  /* eslint-disable @typescript-eslint/require-await */
  async declareExchange(exchange: Exchange): Promise<void> {
    this.#broker.declareExchange(exchange);
  }

  async declareQueue(queue: Queue): Promise<void> {
    this.#broker.declareQueue(queue, this.#owner);
  }

  async deleteQueue(name: string): Promise<void> {
    this.#broker.deleteQueue(name);
  }

  async publish(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean> {
    const text = encodeEnvelope(envelope, { exchange, routingKey, deliveryTag: newTaskId() });
    const priority = envelope.properties.priority ?? 0;
    const expiresAt = expiresAtOf(envelope) ?? Infinity;
    return this.#broker.publish({ text, priority, expiresAt }, exchange, routingKey);
  }

  async topology(): Promise<StoredTopology> {
    return this.#broker.topology();
  }

  async unbind(binding: Binding): Promise<void> {
    this.#broker.unbind(binding);
  }

  async deleteExchange(name: string): Promise<void> {
    this.#broker.deleteExchange(name);
  }

  async size(queue: string): Promise<number> {
    return this.#broker.size(queue);
  }

  async purge(queue: string): Promise<number> {
    return this.#broker.purge(queue);
  }

  async take(from: readonly Subscription[], room: number, limit = TAKE_AT_MOST): Promise<Taking> {
    const messages: TakenMessage[] = [];
    const gone: string[] = [];
    for (const subscription of from) {
      if (!this.#broker.hasQueue(subscription.queue)) gone.push(subscription.queue);
    }
    fairShares(from, { room, limit }, (subscription, atMost) => {
      let taken = 0;
      while (taken < atMost) {
        const message = this.#broker.take(subscription.queue);
        if (!message) break;
        messages.push(this.#taken(subscription, message));
        taken += 1;
      }
      return taken;
    });
    return { messages, gone };
  }

  async ack(tag: number): Promise<void> {
    this.#unsettled.delete(tag);
  }

  async requeue(tags: readonly number[]): Promise<void> {
    for (const tag of tags) {
      const held = this.#unsettled.get(tag);
      this.#unsettled.delete(tag);
      if (held) this.#broker.giveBack(held.queue, held.message);
    }
  }

  async consumerStopped({ name }: Queue): Promise<void> {
    this.#broker.consumerStopped(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.requeue([...this.#unsettled.keys()]);
    this.#broker.left(this.#owner);
    this.#onClosed();
    this.#closed.resolve(undefined);
  }
  /* eslint-enable @typescript-eslint/require-await */

  consumerStarted({ name }: Queue): Promise<void> {
    this.#broker.consumerStarted(name);
    return Promise.resolve();
  }

  onMessage(listener: () => void): Disposable {
    return this.#broker.onMessage(listener);
  }

  #taken({ queue, noAck }: Subscription, message: StoredMessage): TakenMessage {
    const tag = ++this.#tag;
    if (!noAck) this.#unsettled.set(tag, { queue, message });
    const { envelope, exchange, routingKey } = decodeEnvelope(message.text);
    return { tag, queue, noAck, envelope, exchange, routingKey, redelivered: message.redelivered };
  }
}
