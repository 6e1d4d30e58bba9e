import { ImproperlyConfigured } from '../core/errors.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import type * as topology from '../transport/topology.ts';
import { Queue } from './entities.ts';
import { isRecord, toCamelCase } from './option-names.ts';
import type { ApplyOptions } from './options.ts';
import type { Queues } from './queues.ts';
import type { AnyTask } from './task.ts';

/** Options of one call while it is routed: the caller's, filled up from the task and the routes. */
export type RoutedOptions = { -readonly [Name in keyof ApplyOptions]: ApplyOptions[Name] | null } & {
  /** From a route: the type of the exchange it names. */
  exchangeType?: string | null;
};

/** Where a message goes. */
export interface PublishTarget {
  /** Declared before publishing; undefined: nothing is declared. */
  readonly queue?: topology.Queue | undefined;
  /** Declared before publishing when there is no queue to declare. */
  readonly declareExchange?: topology.Exchange | undefined;
  /** `''`: the default exchange, where the routing key is the name of a queue. */
  readonly exchange: string;
  readonly routingKey: string;
}

/** One call to route. */
export interface RouteRequest {
  /** Name of the task. */
  readonly name: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** The caller's options over the task's attributes. */
  readonly options: RoutedOptions;
  /** Undefined when this program does not define the task. */
  readonly task: AnyTask | undefined;
}

/** A routed call. */
export interface RoutedCall {
  readonly target: PublishTarget;
  /** `request.options` with what the route added. */
  readonly options: RoutedOptions;
  /** As the target's exchange asks for it. */
  readonly deliveryMode: 1 | 2 | undefined;
  /** The caller or the task named the queue and no route added to it. */
  readonly direct: boolean;
}

/** What a route says: a queue's name, or options in Celery's or our names (`routing_key`, `routingKey`). */
export type Route = string | Queue | Readonly<Record<string, unknown>>;

/** A router of one's own: returns the route of a task, or nothing to leave it to the next one. */
export type RouteFunction = (
  name: string,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
  options: Readonly<RoutedOptions>,
  task: AnyTask | undefined,
) => Route | null | undefined;

type Lookup = (request: RouteRequest) => Route | null | undefined;

/** Finds the queue, exchange and routing key of a call: the call's options, the task's, `task_routes`, the default queue. */
export class Router {
  readonly #queues: Queues;
  readonly #settings: ResolvedSettings;
  readonly #lookups: readonly Lookup[];
  readonly #targets = new WeakMap<topology.Queue, PublishTarget>();

  constructor(settings: ResolvedSettings, queues: Queues) {
    this.#settings = settings;
    this.#queues = queues;
    this.#lookups = readRoutes(settings.task_routes);
  }

  /** @throws {QueueNotFound} an unknown queue, and `task_create_missing_queues` is off */
  route(request: RouteRequest): RoutedCall {
    const options = { ...request.options };
    const named = options.queue !== undefined && options.queue !== null;
    const route = this.#lookup(request);
    if (route !== undefined) fillIn(options, route);
    else if (!named) options.queue = this.#settings.task_default_queue;
    const queue = this.#queueOf(options.queue);
    // A route that names neither queue nor exchange leaves the call to the default queue.
    const used =
      queue ?? (hasText(options.exchange) ? undefined : this.#queueOf(this.#settings.task_default_queue));
    return {
      target: this.#target(used, options),
      options,
      deliveryMode: used?.exchange?.deliveryMode,
      direct: named && route === undefined,
    };
  }

  #lookup(request: RouteRequest): Readonly<Record<string, unknown>> | undefined {
    for (const lookup of this.#lookups) {
      const route = lookup(request);
      if (route !== null && route !== undefined && route !== '') return readRoute(route);
    }
    return undefined;
  }

  #queueOf(queue: string | Queue | null | undefined): topology.Queue | undefined {
    if (queue === undefined || queue === null || queue === '') return undefined;
    if (typeof queue === 'string') return this.#queues.get(queue);
    return this.#queues.describe(queue);
  }

  #target(queue: topology.Queue | undefined, options: RoutedOptions): PublishTarget {
    const { exchange, routingKey } = options;
    const type = options.exchangeType ?? queue?.exchange?.type ?? 'direct';
    if (queue !== undefined && type === 'direct' && !(hasText(exchange) && hasText(routingKey))) {
      return this.#directly(queue);
    }
    const declare = this.#declaration(queue);
    const own = queue?.exchange?.name ?? '';
    const key = hasText(routingKey) ? routingKey : (queue?.routingKey ?? '');
    return {
      ...declare,
      exchange: hasText(exchange) ? exchange : own || this.#queues.defaultExchange.name,
      routingKey: key || this.#queues.defaultRoutingKey,
    };
  }

  /** The same for every call. */
  #directly(queue: topology.Queue): PublishTarget {
    let target = this.#targets.get(queue);
    if (target === undefined) {
      target = { ...this.#declaration(queue), exchange: '', routingKey: queue.name };
      this.#targets.set(queue, target);
    }
    return target;
  }

  #declaration(queue: topology.Queue | undefined): Pick<PublishTarget, 'queue' | 'declareExchange'> {
    if (queue === undefined) return {};
    return this.#queues.isBroadcast(queue) ? { declareExchange: queue.exchange } : { queue };
  }
}

function hasText(value: string | null | undefined): value is string {
  return value !== undefined && value !== null && value !== '';
}

/** A route fills only what the caller and the task left open. */
function fillIn(options: RoutedOptions, route: Readonly<Record<string, unknown>>): void {
  const open = options as Record<string, unknown>;
  for (const [name, value] of Object.entries(route)) open[name] ??= value;
}

const ROUTE_OPTIONS: ReadonlySet<string> = new Set<keyof RoutedOptions>([
  ...([
    'queue',
    'exchange',
    'exchangeType',
    'routingKey',
    'priority',
    'serializer',
    'compression',
    'deliveryMode',
  ] as const),
  ...([
    'expires',
    'countdown',
    'eta',
    'headers',
    'shadow',
    'timeLimit',
    'softTimeLimit',
    'ignoreResult',
  ] as const),
  ...(['retry', 'retryPolicy', 'replyTo', 'link', 'linkError', 'argsrepr', 'kwargsrepr'] as const),
]);

function readRoute(route: Route): Readonly<Record<string, unknown>> {
  if (typeof route === 'string' || route instanceof Queue) return { queue: route };
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(route)) {
    const name = toCamelCase(key);
    if (!ROUTE_OPTIONS.has(name)) {
      throw new ImproperlyConfigured(
        `task_routes: a route has an unknown option '${key}'; it takes queue, exchange, routing_key, priority and other applyAsync options`,
      );
    }
    options[name] = readOption(name, value);
  }
  return options;
}

/** Celery's forms of an option in a route, as `applyAsync` takes them. */
function readOption(name: string, value: unknown): unknown {
  if (name === 'exchange' && isRecord(value)) return value.name;
  if (name === 'deliveryMode') return value === 'transient' ? 1 : value === 'persistent' ? 2 : value;
  if (name !== 'retryPolicy' || !isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [toCamelCase(key), item]));
}

/** `task_routes` in each of its forms: a map, a function, or a list of these and of lists of pairs. */
function readRoutes(value: unknown): readonly Lookup[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((router: unknown) => readRouter(router));
  return [readRouter(value)];
}

function isPair(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length === 2 && (typeof value[0] === 'string' || value[0] instanceof RegExp)
  );
}

function readRouter(value: unknown): Lookup {
  if (typeof value === 'function') {
    const call = value as RouteFunction;
    return ({ name, args, kwargs, options, task }) => call(name, args, kwargs, options, task);
  }
  if (value instanceof Map) return mapLookup([...(value as Map<unknown, unknown>)]);
  if (Array.isArray(value) && value.every(isPair)) return mapLookup(value as [unknown, unknown][]);
  if (isRecord(value)) return mapLookup(Object.entries(value));
  throw new ImproperlyConfigured(
    'task_routes: expected an object of task names, a list of [pattern, route] pairs, a function, or a list of these; ' +
      `got ${typeof value === 'string' ? `'${value}' (import the function and give it itself)` : String(value)}`,
  );
}

function mapLookup(entries: readonly (readonly [unknown, unknown])[]): Lookup {
  const exact = new Map<string, Route>();
  const patterns: { readonly pattern: RegExp; readonly route: Route }[] = [];
  for (const [key, value] of entries) {
    const route = checkedRoute(key, value);
    if (key instanceof RegExp)
      patterns.push({ pattern: new RegExp(key.source, key.flags.replace(/[gy]/g, '')), route });
    else if (String(key).includes('*')) patterns.push({ pattern: globPattern(String(key)), route });
    else exact.set(String(key), route);
  }
  return ({ name }) => exact.get(name) ?? patterns.find(({ pattern }) => pattern.test(name))?.route;
}

function checkedRoute(key: unknown, value: unknown): Route {
  if (typeof value === 'string' || value instanceof Queue) return value;
  if (!isRecord(value)) {
    throw new ImproperlyConfigured(
      `task_routes: the route of '${String(key)}' must be the name of a queue or an object such as { queue: 'video' }`,
    );
  }
  readRoute(value);
  return value;
}

/** Shell patterns as Python's fnmatch reads them: `*`, `?`, `[seq]`, `[!seq]`. */
function globPattern(glob: string): RegExp {
  const source = glob.replace(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (match: string, negated?: string, chars?: string) => {
      if (chars !== undefined) return `[${negated === '!' ? '^' : ''}${chars.replace(/[\\\]^]/g, '\\$&')}]`;
      if (match === '*') return '[\\s\\S]*';
      return match === '?' ? '[\\s\\S]' : match.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    },
  );
  return new RegExp(`^${source}$`);
}
