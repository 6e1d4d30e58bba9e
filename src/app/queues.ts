import { ImproperlyConfigured, QueueNotFound } from '../core/errors.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import type * as topology from '../transport/topology.ts';
import { Broadcast, Exchange, Queue, toTopology } from './entities.ts';
import type { QueueDefaults, QueueOptions } from './entities.ts';
import { isRecord, toCamelCase } from './option-names.ts';

/** The queues of an app: `task_queues`, those made on the fly, and which of them a worker consumes. */
export class Queues {
  /** Exchange of queues that name none: `task_default_exchange`. */
  readonly defaultExchange: topology.Exchange;
  readonly defaultRoutingKey: string;

  readonly #settings: ResolvedSettings;
  readonly #configured = new Map<string, topology.Queue>();
  // Made for a route or a call; a worker does not consume them just because it sent to them.
  readonly #missing = new Map<string, topology.Queue>();
  readonly #aliases = new Map<string, string>();
  readonly #broadcasts = new Set<string>();
  #selected: Map<string, topology.Queue> | undefined;

  constructor(settings: ResolvedSettings) {
    this.#settings = settings;
    const name = settings.task_default_queue;
    this.defaultExchange = new Exchange(
      settings.task_default_exchange ?? name,
      settings.task_default_exchange_type,
    );
    this.defaultRoutingKey = settings.task_default_routing_key ?? name;
    const queues = readQueues(settings.task_queues);
    for (const queue of queues) this.add(queue);
    if (queues.length === 0) this.add(this.#defaultQueue(name));
  }

  /** Adds a queue, as if `task_queues` listed it. */
  add(queue: Queue): topology.Queue {
    const added = toTopology(queue, this.#defaults());
    this.#configured.set(queue.name, added);
    if (queue.alias !== undefined) this.#aliases.set(queue.alias, queue.name);
    if (queue instanceof Broadcast) this.#broadcasts.add(queue.name);
    return added;
  }

  /**
   * The queue of that name or alias; made on the fly when `task_create_missing_queues` allows.
   * @throws {QueueNotFound}
   */
  get(name: string): topology.Queue {
    const own = this.#aliases.get(name) ?? name;
    const known = this.#selected?.get(own) ?? this.#configured.get(own) ?? this.#missing.get(own);
    if (known !== undefined) return known;
    if (!this.#settings.task_create_missing_queues) {
      throw new QueueNotFound(
        `Queue '${name}' is not in task_queues (${[...this.#configured.keys()].join(', ')}) and ` +
          'task_create_missing_queues is off: add it to task_queues, or turn that setting on.',
      );
    }
    const made = this.#create(name);
    this.#missing.set(name, made);
    return made;
  }

  /** A queue given with a call: taken as it is, not kept. */
  describe(queue: Queue): topology.Queue {
    return toTopology(queue, { exchange: undefined, routingKey: '', maxPriority: null });
  }

  /** Whether it is a `Broadcast`: publishers declare its exchange only, the queues belong to the workers. */
  isBroadcast(queue: topology.Queue): boolean {
    return this.#broadcasts.has(queue.name);
  }

  /** All configured queues. */
  all(): readonly topology.Queue[] {
    return [...this.#configured.values()];
  }

  /** The queues that a worker consumes: all, or those selected with `-Q` and not excluded with `-X`. */
  get consumeFrom(): readonly topology.Queue[] {
    return [...(this.#selected ?? this.#configured).values()];
  }

  /**
   * Consume only these (`-Q`).
   * @throws {ImproperlyConfigured} one of them does not exist and may not be made
   */
  select(names: readonly string[]): void {
    if (names.length === 0) return;
    const selected = new Map<string, topology.Queue>();
    for (const name of names) {
      const queue = this.#selectable(name);
      selected.set(queue.name, queue);
    }
    this.#selected = selected;
  }

  /** Do not consume these (`-X`). */
  deselect(names: readonly string[]): void {
    const excluded = new Set(names.map((name) => this.#aliases.get(name) ?? name));
    const kept = [...(this.#selected ?? this.#configured)].filter(([name]) => !excluded.has(name));
    if (excluded.size > 0) this.#selected = new Map(kept);
  }

  /** The second name of a queue. */
  aliasOf(name: string): string | undefined {
    return [...this.#aliases].find(([, own]) => own === name)?.[0];
  }

  /**
   * The queue of that name, for a worker to consume from now on. One that is not there yet is made of these properties, by
   * Celery's names; its exchange and routing key are called like it when they are not given.
   * @throws {ImproperlyConfigured} a property is unknown
   */
  take(name: string, properties: Readonly<Record<string, unknown>>): topology.Queue {
    const own = this.#aliases.get(name) ?? name;
    const given = Object.entries(properties).filter(([, value]) => value !== null && value !== undefined);
    const known = this.#selected?.get(own) ?? this.#configured.get(own);
    const queue = known ?? this.add(readQueue(name, { exchange: name, ...Object.fromEntries(given) }));
    this.#selected?.set(queue.name, queue);
    return queue;
  }

  #selectable(name: string): topology.Queue {
    try {
      return this.get(name);
    } catch (error) {
      if (!(error instanceof QueueNotFound)) throw error;
      throw new ImproperlyConfigured(
        `Trying to select queue '${name}', but it isn't defined: ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }

  #defaults(): QueueDefaults {
    return {
      exchange: this.defaultExchange,
      routingKey: this.defaultRoutingKey,
      maxPriority: this.#settings.task_queue_max_priority,
    };
  }

  #defaultQueue(name: string): Queue {
    return new Queue(name, queueType(this.#settings.task_default_queue_type));
  }

  #create(name: string): topology.Queue {
    const { task_create_missing_queue_type: type, task_create_missing_queue_exchange_type: exchangeType } =
      this.#settings;
    const exchange = new Exchange(name, exchangeType ?? 'direct');
    return toTopology(new Queue(name, { exchange, routingKey: name, ...queueType(type) }), this.#defaults());
  }
}

function queueType(type: string): QueueOptions {
  return type === 'quorum' ? { queueArguments: { 'x-queue-type': 'quorum' } } : {};
}

/** `task_queues`: a list of queues, or a map of names to their properties. */
function readQueues(value: unknown): readonly Queue[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item: unknown) => readQueue(undefined, item));
  if (value instanceof Map) return [...value].map(([name, item]) => readQueue(String(name), item));
  if (isRecord(value)) return Object.entries(value).map(([name, item]) => readQueue(name, item));
  throw new ImproperlyConfigured('task_queues: expected a list of Queue, or an object of queue names');
}

function readQueue(name: string | undefined, value: unknown): Queue {
  if (value instanceof Queue) return value;
  if (typeof value === 'string' && name === undefined) return new Queue(value);
  if (!isRecord(value)) {
    throw new ImproperlyConfigured(
      `task_queues: expected a Queue or an object of its properties, got ${String(value)}`,
    );
  }
  const options = Object.fromEntries(Object.entries(value).map(([key, item]) => [toCamelCase(key), item]));
  const own = name ?? options.name;
  if (typeof own !== 'string' || own === '') {
    throw new ImproperlyConfigured("task_queues: a queue of the list has no 'name'");
  }
  return describedQueue(own, options, name !== undefined);
}

type Described = QueueOptions & {
  readonly name?: unknown;
  readonly exchangeType?: string;
  readonly exchangeDurable?: boolean;
  readonly exchangeAutoDelete?: boolean;
  readonly exchangeArguments?: Readonly<Record<string, unknown>>;
  readonly queueDurable?: boolean;
  readonly queueAutoDelete?: boolean;
  readonly deliveryMode?: 1 | 2;
  readonly bindingKey?: string;
};

const DESCRIBED: ReadonlySet<string> = new Set([
  ...['name', 'exchange', 'exchangeType', 'exchangeDurable', 'exchangeAutoDelete', 'exchangeArguments'],
  ...[
    'queueDurable',
    'queueAutoDelete',
    'queueArguments',
    'deliveryMode',
    'bindingKey',
    'routingKey',
    'durable',
  ],
  ...['autoDelete', 'exclusive', 'noAck', 'alias', 'expires', 'messageTtl', 'maxLength', 'maxLengthBytes'],
  ...['maxPriority', 'bindingArguments', 'consumerArguments', 'bindings', 'noDeclare'],
]);

function describedQueue(name: string, options: Described, keyed: boolean): Queue {
  for (const key of Object.keys(options)) {
    if (!DESCRIBED.has(key)) {
      throw new ImproperlyConfigured(`task_queues: queue '${name}' has an unknown property '${key}'`);
    }
  }
  const routingKey = options.bindingKey ?? options.routingKey ?? (keyed ? name : undefined);
  const durable = options.queueDurable ?? options.durable;
  const autoDelete = options.queueAutoDelete ?? options.autoDelete;
  return new Queue(name, {
    ...options,
    ...(routingKey !== undefined && { routingKey }),
    ...(durable !== undefined && { durable }),
    ...(autoDelete !== undefined && { autoDelete }),
    exchange: typeof options.exchange === 'object' ? options.exchange : describedExchange(options),
  });
}

function describedExchange(options: Described): Exchange {
  const name = typeof options.exchange === 'string' ? options.exchange : '';
  const durable = options.exchangeDurable ?? options.durable;
  const autoDelete = options.exchangeAutoDelete ?? options.autoDelete;
  return new Exchange(name, {
    ...(options.exchangeType !== undefined && { type: options.exchangeType }),
    ...(durable !== undefined && { durable }),
    ...(autoDelete !== undefined && { autoDelete }),
    ...(options.exchangeArguments !== undefined && { arguments: options.exchangeArguments }),
    ...(options.deliveryMode !== undefined && { deliveryMode: options.deliveryMode }),
  });
}
