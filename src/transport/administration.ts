import type { Exchange, Queue } from './topology.ts';

/** What brings messages of an exchange into a queue. */
export interface Binding {
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
}

/** What is in a queue. */
export interface QueueCounts {
  /** Waiting, not those delivered and unsettled. */
  readonly messages: number;
  /** 0 on brokers that do not know them. */
  readonly consumers: number;
}

/**
 * What an operator does to a broker by hand, beyond what apps need.
 *
 * Every call rejects with `OperationalError` when the broker refuses; the connection stays usable.
 */
export interface Administration {
  declareExchange(exchange: Exchange): Promise<void>;
  /** @throws {OperationalError} there is none */
  checkExchange(name: string): Promise<void>;
  /** @throws {OperationalError} with `ifUnused`: something is bound to it */
  deleteExchange(name: string, options: { readonly ifUnused: boolean }): Promise<void>;
  declareQueue(queue: Queue): Promise<QueueCounts>;
  /** @throws {OperationalError} there is none */
  checkQueue(name: string): Promise<QueueCounts>;
  bindQueue(binding: Binding): Promise<void>;
  /** @returns how many messages went with it */
  deleteQueue(
    name: string,
    options: { readonly ifUnused: boolean; readonly ifEmpty: boolean },
  ): Promise<number>;
  /** All bindings, those of the default exchange only where the broker lists them. */
  bindings(): Promise<readonly Binding[]>;
}
