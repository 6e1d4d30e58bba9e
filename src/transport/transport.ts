import type { Envelope } from '../message/message.ts';
import type { Administration } from './administration.ts';
import type { Exchange, Queue } from './topology.ts';

/** What a kind of broker can do; code asks here, never which class it has. */
export interface Capabilities {
  /** Fanout exchanges: remote control, events. */
  readonly fanout: boolean;
  readonly priority: boolean;
  /** The broker itself drops a message when its `expiration` has passed. */
  readonly expiration: boolean;
  /** Whether other processes can connect to the same broker. */
  readonly shared: boolean;
  /** The largest prefetch window that it can keep to; one beyond is as good as none. Infinity: whatever is asked for. */
  readonly largestWindow: number;
}

/** A broker of one URL, not yet connected. Made by `connectTransport` from the URL's scheme. */
export interface Transport {
  /** As in the URL: `amqp`, `sqlite`, `memory`. */
  readonly scheme: string;
  /** Printable: the password masked, as in Celery's banner. */
  readonly url: string;
  readonly can: Capabilities;
  /** Reads the URL and the options in full, connecting to nothing. @throws {ImproperlyConfigured} they cannot be used */
  check?(): Promise<void>;
  /**
   * Opens one connection.
   * @throws {AccessRefused} the broker refused the credentials or virtual host: do not try again
   * @throws {OperationalError} the broker cannot be reached
   */
  connect(signal: AbortSignal): Promise<Connection>;
}

/** One open connection. Disposing it twice is safe. */
export interface Connection extends AsyncDisposable {
  openChannel(options?: ChannelOptions): Promise<Channel>;
  /** For what operators do by hand. */
  administer(): Administration;
  /** Settles when the connection is gone: with the error that broke it, or undefined when we closed it. Never rejects. */
  readonly closed: Promise<Error | undefined>;
}

export interface ChannelOptions {
  /** Whether `publish` waits until the broker has taken the message. Default true. */
  readonly confirm?: boolean;
  /**
   * While most of the prefetch window is left, acknowledgements wait a millisecond for each other, for whoever runs nothing in this
   * process that could hold them up. Default false: they leave at the end of the turn of the event loop.
   */
  readonly patient?: boolean;
}

/**
 * One conversation with the broker.
 *
 * A call on a channel that is gone rejects with `OperationalError`. Deliveries that were not settled when the channel closes
 * go back to their queues.
 */
export interface Channel extends AsyncDisposable {
  /** Settles like `Connection.closed`, also when only this channel was closed by the broker. */
  readonly closed: Promise<Error | undefined>;
  declareExchange(exchange: Exchange): Promise<void>;
  /** Declares the queue, its exchange and its bindings; nothing happens when they exist with the same properties. */
  declareQueue(queue: Queue): Promise<void>;
  deleteQueue(name: string): Promise<void>;
  /** Resolves when the broker has the message (with confirms) or it left this process (without). Many may be under way. */
  publish(envelope: Envelope, exchange: string, routingKey: string): Promise<void>;
  /** Publishes, and tells whether anybody took it: a queue, or a listener of a fanout exchange. Needs a channel with confirms. */
  offer(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean>;
  /**
   * Deliveries of one queue, from now until the consumer is disposed; unsettled ones stay with this channel.
   * @param onCancel called when the broker ended the consumer by itself (the queue was deleted)
   */
  consume(queue: Queue, onDelivery: (delivery: Delivery) => void, onCancel?: () => void): Promise<Consumer>;
  /** How many unsettled deliveries this channel holds at most, over all its consumers; 0 = no limit. */
  prefetch(count: number): Promise<void>;
  /** Takes one message now, or undefined when the queue is empty. */
  get(queue: string, options?: { readonly noAck?: boolean }): Promise<Delivery | undefined>;
  /** Messages waiting in a queue (not those delivered and unsettled); 0 when the queue does not exist. */
  size(queue: string): Promise<number>;
  /** Removes all waiting messages; returns how many. 0 when the queue does not exist. */
  purge(queue: string): Promise<number>;
}

/** A running subscription; disposing it stops new deliveries. */
export interface Consumer extends AsyncDisposable {
  readonly queue: string;
}

/** One message that was handed to us and waits to be settled. Settling twice is ignored. */
export interface Delivery {
  readonly envelope: Envelope;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  /** Done with: the broker forgets the message. Acks of one turn of the event loop leave as one write where the broker can. */
  ack(): Promise<void>;
  /** Not done: `requeue` gives it back to the queue, otherwise it is dropped (or dead-lettered by the broker). */
  reject(options: { readonly requeue: boolean }): Promise<void>;
}
