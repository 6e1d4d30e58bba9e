import type { Envelope } from '../../message/message.ts';
import type { Binding } from '../administration.ts';
import type { Exchange, ExchangeType, Queue } from '../topology.ts';

/** A queue that somebody wants messages of. */
export interface Subscription {
  readonly queue: string;
  /** Taken messages are forgotten at once. */
  readonly noAck: boolean;
}

/** A message that was taken out of its queue and, unless without acknowledgement, waits to be settled by its tag. */
export interface TakenMessage extends Subscription {
  readonly tag: number;
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
}

export interface Taking {
  readonly messages: readonly TakenMessage[];
  /** Those of the asked queues that do not exist any more. */
  readonly gone: readonly string[];
}

/** Exchanges with their types, queues, and what binds them. */
export interface StoredTopology {
  readonly exchanges: ReadonlyMap<string, ExchangeType>;
  readonly queues: ReadonlySet<string>;
  readonly bindings: readonly Binding[];
}

/**
 * What a broker that only keeps messages has to offer, for one connection; `VirtualConnection` makes AMQP's pushing, prefetch
 * window and settling out of it.
 */
export interface MessageStore extends AsyncDisposable {
  /** Settles when the broker is lost, with the error; undefined once disposed. */
  readonly closed: Promise<Error | undefined>;
  /** To take a few messages costs nearly as much as to take many: while a channel has plenty, it waits until it may have several. */
  readonly takesSeveral?: boolean;
  declareExchange(exchange: Exchange): Promise<void>;
  declareQueue(queue: Queue): Promise<void>;
  deleteQueue(name: string): Promise<void>;
  /**
   * @returns whether any queue or listener took it
   * @throws {OperationalError} when the exchange does not exist; a queue that does not exist swallows the message
   */
  publish(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean>;
  size(queue: string): Promise<number>;
  purge(queue: string): Promise<number>;
  /**
   * Takes what is waiting now: at most `room` messages that will be settled, over all queues, and up to `limit` (default 200)
   * of each queue without acknowledgement.
   * The urgent first, then the oldest; no queue is starved by those before it.
   */
  take(from: readonly Subscription[], room: number, limit?: number): Promise<Taking>;
  ack(tag: number, isPatient?: boolean): Promise<void>;
  /**
   * Back to where they were, marked as redelivered; `to` says which end of the line that is on a broker which does not know.
   *
   * @param to `end` for a message that its consumer rejected, `front` for those that were not wanted in the end
   */
  requeue(tags: readonly number[], to: 'front' | 'end'): Promise<void>;
  /** Tells of a consumer, so that an auto-delete queue can go with its last one. Resolves when its messages come here. */
  consumerStarted(queue: Queue): Promise<void>;
  consumerStopped(queue: Queue): Promise<void>;
  /** What was declared, as far as the broker keeps it. */
  topology(): Promise<StoredTopology>;
  unbind(binding: Binding): Promise<void>;
  /** With its bindings. */
  deleteExchange(name: string): Promise<void>;
  /** Calls back when there may be something to take. */
  onMessage(listener: () => void): Disposable;
}
