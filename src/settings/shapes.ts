import { didYouMean } from '../core/nearest.ts';
import type { Kind, Reading } from './kinds.ts';
import {
  accept,
  anything,
  boolean,
  choice,
  integer,
  isObject,
  kind,
  nullable,
  number,
  object,
  oneOf,
  refuse,
  seconds,
  text,
  within,
} from './kinds.ts';
import type {
  AnnotationFunction,
  AnnotationMap,
  BeatEntry,
  DeliveryMode,
  FailoverStrategy,
  NamedEntity,
  PublishRetryPolicy,
  QueueOptions,
  RouteFunction,
  RouteMap,
  RouteOptions,
  RoutePair,
  RouteRule,
  RouteTarget,
  TaskAnnotation,
  TaskAnnotations,
  TaskAnnotator,
  TaskQueues,
  TaskRoutes,
} from './types.ts';

/** An object with the keys of `fields`, all optional but those in `required`; others are refused with the nearest name. */
function shape<Value extends object>(
  takes: string,
  fields: { readonly [Key in keyof Value]-?: Kind<unknown> },
  required: readonly (keyof Value & string)[] = [],
): Kind<Value> {
  const known = new Map<string, Kind<unknown>>(Object.entries(fields));
  return {
    takes,
    read(value) {
      if (!isObject(value)) return refuse(takes, value);
      const missing = required.find((key) => value[key] === undefined);
      if (missing !== undefined) return refuse(takes, value, '', `${missing} is missing.`);
      for (const [key, member] of Object.entries(value)) {
        if (member === undefined) continue;
        const field = known.get(key);
        if (field === undefined) return refuse(null, member, step(key), didYouMean(key, known.keys()).trim());
        const reading = field.read(member);
        if (!reading.ok) return within(step(key), reading);
      }
      return accept(value as Value);
    },
    cast: (source) => object.cast(source),
  };
}

/** An object with any keys whose values are of one kind. */
function mapping<Value>(takes: string, values: Kind<Value>): Kind<Readonly<Record<string, Value>>> {
  return {
    takes,
    read(value) {
      if (!isObject(value)) return refuse(takes, value);
      for (const [key, member] of Object.entries(value)) {
        const reading = values.read(member);
        if (!reading.ok) return within(`[${JSON.stringify(key)}]`, reading);
      }
      return accept(value as Readonly<Record<string, Value>>);
    },
    cast: (source) => object.cast(source),
  };
}

function list<Value>(takes: string, members: Kind<Value>): Kind<readonly Value[]> {
  return {
    takes,
    read(value) {
      if (!Array.isArray(value)) return refuse(takes, value);
      for (const [index, member] of value.entries()) {
        const reading = members.read(member);
        if (!reading.ok) return within(`[${index}]`, reading);
      }
      return accept(value as readonly Value[]);
    },
    cast: (source) => object.cast(source),
  };
}

function step(key: string): string {
  return /^[a-z_$][\w$]*$/i.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

const entity = kind(
  'a Queue or an Exchange',
  (value): value is NamedEntity => isObject(value) && typeof value['name'] === 'string',
);

const destination = oneOf<[string, NamedEntity]>(text, entity);
const moment = oneOf<[number, Date]>(
  seconds,
  kind('a Date', (value) => value instanceof Date),
);
const priority = integer(0, 255);
const rate = oneOf<[string, number]>(text, number(0));
const errors = list('a list of error classes', anything);

export const rateLimit: Kind<string | number> = {
  takes: 'a rate such as "10/s", "10/m" or "10/h", or a number per second',
  read(value) {
    const fits =
      rate.read(value).ok && (typeof value === 'number' || /^\s*[\d.]+\s*(\/[smh]?)?$/.test(String(value)));
    return fits ? accept(value as string | number) : refuse(this.takes, value);
  },
  cast: (source) => source,
};

export const deliveryMode: Kind<DeliveryMode> = choice(1, 2, 'transient', 'persistent');

const RETRY_DEFAULTS: PublishRetryPolicy = {
  max_retries: 3,
  interval_start: 0,
  interval_max: 1,
  interval_step: 0.2,
};

const retryKeys = shape<PublishRetryPolicy>(
  'an object with max_retries, interval_start, interval_step, interval_max',
  {
    max_retries: nullable(integer(0)),
    interval_start: seconds,
    interval_step: seconds,
    interval_max: seconds,
  },
);

export const publishRetryPolicy: Kind<PublishRetryPolicy> & { readonly defaults: PublishRetryPolicy } = {
  takes: retryKeys.takes,
  defaults: RETRY_DEFAULTS,
  read(value) {
    const reading = retryKeys.read(value);
    return reading.ok ? accept({ ...RETRY_DEFAULTS, ...reading.value }) : reading;
  },
  cast: (source) => retryKeys.cast(source),
};

const routeOptions = shape<RouteOptions>('an object with queue, exchange, routing_key, priority, …', {
  queue: destination,
  exchange: destination,
  exchange_type: text,
  routing_key: text,
  priority,
  serializer: text,
  compression: text,
  delivery_mode: deliveryMode,
  expires: moment,
  countdown: seconds,
  time_limit: seconds,
  soft_time_limit: seconds,
  ignore_result: boolean,
  retry: boolean,
  retry_policy: retryKeys,
  headers: object,
  shadow: text,
  reply_to: text,
});

const routeTarget: Kind<RouteTarget> = oneOf<[string, RouteOptions]>(
  { ...text, takes: 'a queue name' },
  routeOptions,
);

const routeObject = mapping('an object of task names and routes', routeTarget);

const routeMap: Kind<RouteMap> = {
  takes: routeObject.takes,
  read: (value) => (value instanceof Map ? readRouteMap(value) : routeObject.read(value)),
  cast: (source) => object.cast(source),
};

function readRouteMap(map: ReadonlyMap<unknown, unknown>): Reading<RouteMap> {
  for (const [pattern, target] of map) {
    if (!isPattern(pattern)) return refuse('task names, globs and RegExps as keys', pattern);
    const reading = routeTarget.read(target);
    if (!reading.ok)
      return within(`[${typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern)}]`, reading);
  }
  return accept(map as ReadonlyMap<string | RegExp, RouteTarget>);
}

function isPattern(value: unknown): value is string | RegExp {
  return typeof value === 'string' || value instanceof RegExp;
}

const routePair: Kind<RoutePair> = {
  takes: 'a pair of a task name, glob or RegExp and a route',
  read(value) {
    if (!Array.isArray(value) || value.length !== 2) return refuse(this.takes, value);
    const [pattern, target] = value as [unknown, unknown];
    if (!isPattern(pattern)) return refuse(this.takes, value);
    const reading = routeTarget.read(target);
    return reading.ok ? accept([pattern, reading.value]) : within('[1]', reading);
  },
  cast: (source) => source,
};

const routeFunction = kind('a function', (value): value is RouteFunction => typeof value === 'function');

const routeRule: Kind<RouteRule> = oneOf<[RouteMap, RouteFunction, readonly RoutePair[]]>(
  routeMap,
  routeFunction,
  list('a list of pairs', routePair),
);

const anyRoutes: Kind<TaskRoutes> = oneOf<[RouteMap, RouteFunction, readonly RouteRule[]]>(
  routeMap,
  routeFunction,
  list('a list of these', routeRule),
);

export const taskRoutes: Kind<TaskRoutes> = {
  ...anyRoutes,
  read(value) {
    // Celery takes no bare list of pairs either: its list is of routers, one of which may be a list of pairs.
    if (!Array.isArray(value) || value.length === 0 || !value.every((each) => routePair.read(each).ok)) {
      return anyRoutes.read(value);
    }
    return refuse(
      anyRoutes.takes,
      value,
      '',
      `Put the pairs in a list of their own: [[['feed.*', 'feeds'], ['web.*', 'web']]]`,
    );
  },
};

const queueOptions = shape<QueueOptions>('an object with exchange, exchange_type, routing_key, …', {
  exchange: destination,
  exchange_type: text,
  routing_key: text,
  binding_key: text,
  durable: boolean,
  exclusive: boolean,
  auto_delete: boolean,
  no_ack: boolean,
  no_declare: boolean,
  delivery_mode: deliveryMode,
  alias: text,
  expires: seconds,
  message_ttl: seconds,
  max_length: integer(0),
  max_length_bytes: integer(0),
  max_priority: priority,
  queue_arguments: object,
  binding_arguments: object,
  consumer_arguments: object,
  exchange_durable: boolean,
  exchange_auto_delete: boolean,
  exchange_arguments: object,
});

export const taskQueues: Kind<TaskQueues> = oneOf<
  [Readonly<Record<string, QueueOptions>>, readonly NamedEntity[]]
>(mapping('an object of queue names and their options', queueOptions), list('a list of Queue', entity));

const taskAnnotation = shape<TaskAnnotation>('an object of task options', {
  max_retries: nullable(integer(0)),
  default_retry_delay: seconds,
  autoretry_for: errors,
  dont_autoretry_for: errors,
  retry_backoff: oneOf<[boolean, number]>(boolean, seconds),
  retry_backoff_max: seconds,
  retry_jitter: boolean,
  retry_kwargs: object,
  rate_limit: nullable(rateLimit),
  time_limit: nullable(seconds),
  soft_time_limit: nullable(seconds),
  ignore_result: boolean,
  store_errors_even_if_ignored: boolean,
  serializer: text,
  compression: nullable(text),
  acks_late: boolean,
  acks_on_failure_or_timeout: boolean,
  reject_on_worker_lost: boolean,
  track_started: boolean,
  throws: errors,
  expires: nullable(moment),
  priority: nullable(priority),
  queue: text,
  exchange: text,
  routing_key: text,
  typing: boolean,
});

const annotationMap = mapping('an object of task names and task options', taskAnnotation);

const annotator = kind(
  'a function, or an object with annotate or annotateAny',
  (value): value is TaskAnnotator | AnnotationFunction =>
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && ('annotate' in value || 'annotateAny' in value)),
);

export const taskAnnotations: Kind<TaskAnnotations> = oneOf<
  [AnnotationMap, readonly (AnnotationMap | TaskAnnotator | AnnotationFunction)[]]
>(
  annotationMap,
  list(
    'a list of these',
    oneOf<[TaskAnnotator | AnnotationFunction, AnnotationMap]>(annotator, annotationMap),
  ),
);

const beatEntry = shape<BeatEntry>(
  'an object with task and schedule',
  {
    task: text,
    schedule: oneOf<[number, object]>(
      seconds,
      kind('a schedule', (value): value is object => isObject(value) && typeof value['isDue'] === 'function'),
    ),
    args: list('a list', anything),
    kwargs: object,
    options: routeOptions,
    relative: boolean,
  },
  ['task', 'schedule'],
);

export const beatSchedule: Kind<Readonly<Record<string, BeatEntry>>> = mapping(
  'an object of entry names and entries',
  beatEntry,
);

export const failoverStrategy: Kind<FailoverStrategy> = oneOf<
  ['round-robin' | 'shuffle', (urls: readonly string[]) => Iterable<string>]
>(
  choice('round-robin', 'shuffle'),
  kind(
    'a function',
    (value): value is (urls: readonly string[]) => Iterable<string> => typeof value === 'function',
  ),
);
