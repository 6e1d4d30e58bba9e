/** Types of exchange that Celery uses; other names are passed to the broker as they are. */
export type ExchangeType = 'direct' | 'topic' | 'fanout' | 'headers' | (string & {});

/** An exchange as `kombu.Exchange` describes it. */
export interface Exchange {
  /** `''` is the default exchange: the routing key is the name of the queue. */
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** Overrides the delivery mode of messages published to it. */
  readonly deliveryMode?: 1 | 2;
  /** Do not declare it. */
  readonly noDeclare?: boolean;
}

/** A queue and how it is bound, as `kombu.Queue` describes it. */
export interface Queue {
  readonly name: string;
  /** Undefined: only reachable through the default exchange. */
  readonly exchange?: Exchange;
  readonly routingKey: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  /** Consume without acknowledgement. */
  readonly noAck?: boolean;
  /** `x-…` arguments of the declaration, complete (message ttl, max priority, …). */
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly bindingArguments?: Readonly<Record<string, unknown>>;
  readonly consumerArguments?: Readonly<Record<string, unknown>>;
  /** Further bindings beside `exchange` and `routingKey`. */
  readonly bindings?: readonly { readonly exchange: Exchange; readonly routingKey: string }[];
  readonly noDeclare?: boolean;
}
