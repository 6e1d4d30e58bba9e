/** The shapes of the settings that are more than a number, a text or a list. Their keys are Celery's, in snake_case. */

/** A queue or exchange made with the classes `Queue`, `Exchange` or `Broadcast`. */
export interface NamedEntity {
  readonly name: string;
}

/** What a route says about a message: where it goes and how it is sent. What it leaves out is left to the defaults. */
export interface RouteOptions {
  readonly queue?: string | NamedEntity | undefined;
  readonly exchange?: string | NamedEntity | undefined;
  readonly exchange_type?: string | undefined;
  readonly routing_key?: string | undefined;
  /** 0 to 255; RabbitMQ serves high numbers first. */
  readonly priority?: number | undefined;
  readonly serializer?: string | undefined;
  readonly compression?: string | undefined;
  readonly delivery_mode?: DeliveryMode | undefined;
  /** Seconds, or the moment, after which the task is not run any more. */
  readonly expires?: number | Date | undefined;
  /** Seconds. */
  readonly countdown?: number | undefined;
  /** Seconds. */
  readonly time_limit?: number | undefined;
  /** Seconds. */
  readonly soft_time_limit?: number | undefined;
  readonly ignore_result?: boolean | undefined;
  readonly retry?: boolean | undefined;
  readonly retry_policy?: PublishRetryOptions | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  readonly shadow?: string | undefined;
  readonly reply_to?: string | undefined;
}

/** A queue name, or more. */
export type RouteTarget = string | RouteOptions;

/** Decides for each message; `null` or nothing leaves it to the next route. */
export type RouteFunction = (
  name: string,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
  task?: unknown,
  // A function that falls off its end is common in JavaScript, as is `return None` in Python.
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type
) => RouteTarget | null | undefined | void;

/** Task name, glob with `*`, or regular expression, and where such tasks go. */
export type RoutePair = readonly [pattern: string | RegExp, target: RouteTarget];

/** Task names or globs with `*`; a Map may have regular expressions as keys. Exact names are tried first. */
export type RouteMap = Readonly<Record<string, RouteTarget>> | ReadonlyMap<string | RegExp, RouteTarget>;

export type RouteRule = RouteMap | readonly RoutePair[] | RouteFunction;

/** A map, a function, or a list of maps, functions and lists of pairs; the first that answers decides. */
export type TaskRoutes = RouteMap | RouteFunction | readonly RouteRule[];

/** Attributes of a queue in the object form of `task_queues`. */
export interface QueueOptions {
  readonly exchange?: string | NamedEntity | undefined;
  readonly exchange_type?: string | undefined;
  readonly routing_key?: string | undefined;
  readonly binding_key?: string | undefined;
  readonly durable?: boolean | undefined;
  readonly exclusive?: boolean | undefined;
  readonly auto_delete?: boolean | undefined;
  readonly no_ack?: boolean | undefined;
  readonly no_declare?: boolean | undefined;
  readonly delivery_mode?: DeliveryMode | undefined;
  readonly alias?: string | undefined;
  /** Seconds of disuse after which the broker deletes the queue. */
  readonly expires?: number | undefined;
  /** Seconds a message may wait. */
  readonly message_ttl?: number | undefined;
  readonly max_length?: number | undefined;
  readonly max_length_bytes?: number | undefined;
  readonly max_priority?: number | undefined;
  readonly queue_arguments?: Readonly<Record<string, unknown>> | undefined;
  readonly binding_arguments?: Readonly<Record<string, unknown>> | undefined;
  readonly consumer_arguments?: Readonly<Record<string, unknown>> | undefined;
  readonly exchange_durable?: boolean | undefined;
  readonly exchange_auto_delete?: boolean | undefined;
  readonly exchange_arguments?: Readonly<Record<string, unknown>> | undefined;
}

/** Queues by name, or a list of `Queue` and `Broadcast`. */
export type TaskQueues = Readonly<Record<string, QueueOptions>> | readonly NamedEntity[];

/** Task options that `task_annotations` overrides. Times are seconds. */
export interface TaskAnnotation {
  readonly max_retries?: number | null | undefined;
  readonly default_retry_delay?: number | undefined;
  readonly autoretry_for?: readonly unknown[] | undefined;
  readonly dont_autoretry_for?: readonly unknown[] | undefined;
  readonly retry_backoff?: boolean | number | undefined;
  readonly retry_backoff_max?: number | undefined;
  readonly retry_jitter?: boolean | undefined;
  readonly retry_kwargs?: Readonly<Record<string, unknown>> | undefined;
  /** `'10/s'`, `'10/m'`, `'10/h'`, a number per second, or `null` for none. */
  readonly rate_limit?: string | number | null | undefined;
  readonly time_limit?: number | null | undefined;
  readonly soft_time_limit?: number | null | undefined;
  readonly ignore_result?: boolean | undefined;
  readonly store_errors_even_if_ignored?: boolean | undefined;
  readonly serializer?: string | undefined;
  readonly compression?: string | null | undefined;
  readonly acks_late?: boolean | undefined;
  readonly acks_on_failure_or_timeout?: boolean | undefined;
  readonly reject_on_worker_lost?: boolean | undefined;
  readonly track_started?: boolean | undefined;
  readonly throws?: readonly unknown[] | undefined;
  readonly expires?: number | Date | null | undefined;
  readonly priority?: number | null | undefined;
  readonly queue?: string | undefined;
  readonly exchange?: string | undefined;
  readonly routing_key?: string | undefined;
  readonly typing?: boolean | undefined;
}

/** Chooses annotations by looking at the task. */
export interface TaskAnnotator {
  /** For every task. */
  annotateAny?(): TaskAnnotation | null | undefined;
  /** For this task. */
  annotate?(task: { readonly name: string }): TaskAnnotation | null | undefined;
}

/** Task name or `'*'` and the options to override. */
export type AnnotationMap = Readonly<Record<string, TaskAnnotation>>;

/** Chooses annotations by looking at the task; `null` or undefined leaves it as it is. */
export type AnnotationFunction = (task: { readonly name: string }) => TaskAnnotation | null | undefined;

/** A map, or a list of maps, annotators and functions; a later one goes before an earlier one. */
export type TaskAnnotations = AnnotationMap | readonly (AnnotationMap | TaskAnnotator | AnnotationFunction)[];

/** When to run: `crontab(…)`, `solar(…)`, `schedule(…)` or an object of one's own with the same method. */
export interface ScheduleLike {
  isDue(lastRunAt: Date): { readonly due: boolean; readonly nextSeconds: number };
}

/** One entry of `beat_schedule`. */
export interface BeatEntry {
  /** Name of the task. */
  readonly task: string;
  /** Seconds between runs, or a schedule. */
  readonly schedule: number | ScheduleLike;
  readonly args?: readonly unknown[] | undefined;
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
  /** `apply_async` options. */
  readonly options?: RouteOptions | undefined;
  /** Round the intervals to the clock. */
  readonly relative?: boolean | undefined;
}

/** How publishing is tried again; a key left out keeps its default. */
export type PublishRetryOptions = {
  readonly [Key in keyof PublishRetryPolicy]?: PublishRetryPolicy[Key] | undefined;
};

/** `task_publish_retry_policy` with all its keys. */
export interface PublishRetryPolicy {
  /** `null` goes on for ever. */
  readonly max_retries: number | null;
  /** Seconds before the first retry. */
  readonly interval_start: number;
  /** Seconds that each further retry adds. */
  readonly interval_step: number;
  /** Longest pause in seconds. */
  readonly interval_max: number;
}

/** 1 or `transient`: lost when the broker restarts; 2 or `persistent`: kept. */
export type DeliveryMode = 1 | 2 | 'transient' | 'persistent';

/** Order in which a failover list is tried: a name, or a function that is given the URLs and yields them in turn. */
export type FailoverStrategy = 'round-robin' | 'shuffle' | ((urls: readonly string[]) => Iterable<string>);

/** Name of a pool. */
export type PoolName = 'prefork' | 'async' | 'solo' | (string & {});
