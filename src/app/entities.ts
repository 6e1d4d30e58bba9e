/** Queues and exchanges as a user describes them: kombu's classes, options in camelCase. */
import { randomUUID } from 'node:crypto';
import type * as topology from '../transport/topology.ts';

/** Properties of an exchange; see `Exchange`. */
export interface ExchangeOptions {
  /** `direct`, `topic`, `fanout` or `headers`. Default `direct`. */
  readonly type?: topology.ExchangeType;
  /** Survives a restart of the broker. Default true. */
  readonly durable?: boolean;
  /** Deleted when its last queue is unbound. Default false. */
  readonly autoDelete?: boolean;
  /** Delivery mode of messages published to it: 2 persistent, 1 transient. */
  readonly deliveryMode?: 1 | 2;
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** Never declare it: it exists. */
  readonly noDeclare?: boolean;
}

/** An exchange: `new Exchange('media', 'topic')`. */
export class Exchange implements topology.Exchange {
  readonly name: string;
  readonly type: topology.ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  declare readonly deliveryMode?: 1 | 2;
  declare readonly arguments?: Readonly<Record<string, unknown>>;
  declare readonly noDeclare?: boolean;

  constructor(
    name: string,
    typeOrOptions: topology.ExchangeType | ExchangeOptions = {},
    options: ExchangeOptions = {},
  ) {
    const all = typeof typeOrOptions === 'string' ? { ...options, type: typeOrOptions } : typeOrOptions;
    this.name = name;
    this.type = all.type ?? 'direct';
    this.durable = all.durable ?? true;
    this.autoDelete = all.autoDelete ?? false;
    if (all.deliveryMode !== undefined) this.deliveryMode = all.deliveryMode;
    if (all.arguments !== undefined) this.arguments = all.arguments;
    if (all.noDeclare !== undefined) this.noDeclare = all.noDeclare;
  }
}

/** Properties of a queue; see `Queue`. */
export interface QueueOptions {
  /** An exchange, or the name of a direct one. Default: the app's default exchange. */
  readonly exchange?: Exchange | string;
  /** Binding key. Default: `task_default_routing_key`. */
  readonly routingKey?: string;
  /** Survives a restart of the broker. Default true. */
  readonly durable?: boolean;
  /** For the declaring connection alone; implies `autoDelete`. Default false. */
  readonly exclusive?: boolean;
  /** Deleted when its last consumer ends. Default false. */
  readonly autoDelete?: boolean;
  /** Consume without acknowledgement. Default false. */
  readonly noAck?: boolean;
  /** A second name that routes may use. */
  readonly alias?: string;
  /** Seconds without use after which the broker deletes the queue. */
  readonly expires?: number;
  /** Seconds after which the broker drops a message. */
  readonly messageTtl?: number;
  /** Most messages it holds. */
  readonly maxLength?: number;
  readonly maxLengthBytes?: number;
  /** Highest priority, `x-max-priority`. Default: `task_queue_max_priority`. */
  readonly maxPriority?: number;
  /** Further `x-…` arguments of the declaration. */
  readonly queueArguments?: Readonly<Record<string, unknown>>;
  readonly bindingArguments?: Readonly<Record<string, unknown>>;
  readonly consumerArguments?: Readonly<Record<string, unknown>>;
  /** Further bindings. */
  readonly bindings?: readonly { readonly exchange: Exchange; readonly routingKey: string }[];
  /** Never declare it: it exists. */
  readonly noDeclare?: boolean;
}

/** A queue: `new Queue('feeds', new Exchange('feeds', 'topic'), 'feed.#')` or `new Queue('feeds', { routingKey: 'feed.#' })`. */
export class Queue {
  readonly name: string;
  readonly exchange: Exchange | undefined;
  readonly routingKey: string | undefined;
  readonly options: QueueOptions;

  constructor(name: string, options?: QueueOptions);
  constructor(name: string, exchange: Exchange | string, routingKey?: string, options?: QueueOptions);
  constructor(
    name: string,
    exchangeOrOptions: Exchange | string | QueueOptions = {},
    routingKey?: string,
    options: QueueOptions = {},
  ) {
    const isExchange = typeof exchangeOrOptions === 'string' || exchangeOrOptions instanceof Exchange;
    const all: QueueOptions = isExchange ? { ...options, exchange: exchangeOrOptions } : exchangeOrOptions;
    this.name = name;
    this.exchange = typeof all.exchange === 'string' ? new Exchange(all.exchange) : all.exchange;
    this.routingKey = routingKey ?? all.routingKey;
    this.options = all;
  }

  get alias(): string | undefined {
    return this.options.alias;
  }
}

/** Properties of a broadcast queue; see `Broadcast`. */
export interface BroadcastOptions extends Omit<QueueOptions, 'routingKey'> {
  /** Name of this process's own queue. Default: `bcast.<uuid>`. */
  readonly queue?: string;
  /** Put a UUID behind `queue` too. Default false. */
  readonly unique?: boolean;
}

/** A queue whose messages go to every worker: a fanout exchange of that name, and a queue of its own in each worker. */
export class Broadcast extends Queue {
  constructor(name: string, options: BroadcastOptions = {}) {
    const { queue, unique = false, ...rest } = options;
    const own = queue === undefined || unique ? `${queue ?? 'bcast'}.${randomUUID()}` : queue;
    super(own, {
      autoDelete: true,
      alias: name,
      exchange: new Exchange(name, 'fanout'),
      ...rest,
    });
  }
}

/** What a queue takes from the settings when it does not say. */
export interface QueueDefaults {
  readonly exchange: topology.Exchange | undefined;
  readonly routingKey: string;
  readonly maxPriority: number | null;
}

/** The queue as the broker is told of it. */
export function toTopology(queue: Queue, defaults: QueueDefaults): topology.Queue {
  const { options } = queue;
  const exchange =
    queue.exchange === undefined || queue.exchange.name === '' ? defaults.exchange : queue.exchange;
  const routingKey =
    queue.routingKey === undefined || queue.routingKey === '' ? defaults.routingKey : queue.routingKey;
  const exclusive = options.exclusive ?? false;
  const declared = declarationArguments(options, defaults.maxPriority);
  return {
    name: queue.name,
    ...(exchange !== undefined && { exchange }),
    routingKey,
    durable: options.durable ?? true,
    exclusive,
    autoDelete: exclusive || (options.autoDelete ?? false),
    ...(Object.keys(declared).length > 0 && { arguments: declared }),
    ...(options.noAck !== undefined && { noAck: options.noAck }),
    ...(options.bindingArguments !== undefined && { bindingArguments: options.bindingArguments }),
    ...(options.consumerArguments !== undefined && { consumerArguments: options.consumerArguments }),
    ...(options.bindings !== undefined && { bindings: options.bindings }),
    ...(options.noDeclare !== undefined && { noDeclare: options.noDeclare }),
  };
}

function declarationArguments(options: QueueOptions, maxPriority: number | null): Record<string, unknown> {
  const named: Readonly<Record<string, number | null | undefined>> = {
    'x-expires': toMs(options.expires),
    'x-message-ttl': toMs(options.messageTtl),
    'x-max-length': options.maxLength,
    'x-max-length-bytes': options.maxLengthBytes,
    'x-max-priority': options.maxPriority,
  };
  const declared: Record<string, unknown> = { ...options.queueArguments };
  for (const [name, value] of Object.entries(named)) {
    if (value !== undefined && value !== null) declared[name] = value;
  }
  if (maxPriority !== null) declared['x-max-priority'] ??= maxPriority;
  return declared;
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}
