/** What workers answer to remote control commands: the shapes of Celery's replies, names as on the wire. */

/** Arguments by name, as they crossed the wire. */
export type ControlArguments = Readonly<Record<string, unknown>>;

/** Done, and in what words. */
export interface Accepted {
  readonly ok: string;
}

/** Not done, and why. */
export interface Refused {
  readonly error: string;
}

/** The answer to a command that changes something. */
export type Answer = Accepted | Refused;

/** A task that a worker has in hand. */
export interface RequestInfo {
  readonly id: string;
  /** Its shadow name, if it has one. */
  readonly name: string;
  readonly args: unknown;
  readonly kwargs: unknown;
  /** Registered name. */
  readonly type: string;
  readonly hostname: string;
  /** Seconds since the epoch; null before it started. */
  readonly time_start: number | null;
  readonly acknowledged: boolean;
  readonly delivery_info: {
    readonly exchange: string;
    readonly routing_key: string;
    readonly priority: number | null;
    readonly redelivered: boolean | null;
  };
  readonly worker_pid: number | null;
}

/** A task that waits for its time, or for its rate limit. */
export interface ScheduledInfo {
  /** ISO-8601; null when it waits for a rate limit. */
  readonly eta: string | null;
  readonly priority: number;
  readonly request: RequestInfo;
}

/** A queue that a worker consumes. */
export interface QueueInfo {
  readonly name: string;
  readonly exchange: ExchangeInfo;
  readonly routing_key: string;
  readonly queue_arguments: Readonly<Record<string, unknown>> | null;
  readonly binding_arguments: Readonly<Record<string, unknown>> | null;
  readonly consumer_arguments: Readonly<Record<string, unknown>> | null;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly auto_delete: boolean;
  readonly no_ack: boolean;
  readonly alias: string | null;
  readonly bindings: readonly unknown[];
  readonly no_declare: boolean | null;
  /** Seconds, as `message_ttl`. */
  readonly expires: number | null;
  readonly message_ttl: number | null;
  readonly max_length: number | null;
  readonly max_length_bytes: number | null;
  readonly max_priority: number | null;
}

/** The exchange of a queue. */
export interface ExchangeInfo {
  readonly name: string;
  readonly type: string;
  readonly arguments: Readonly<Record<string, unknown>> | null;
  readonly durable: boolean;
  readonly passive: boolean;
  readonly auto_delete: boolean;
  readonly delivery_mode: number | null;
  readonly no_declare: boolean;
}

/** `inspect stats`. */
export interface WorkerStats {
  /** Tasks started since the worker started, by name. */
  readonly total: Readonly<Record<string, number>>;
  readonly pid: number;
  /** Logical clock, as text. */
  readonly clock: string;
  /** Whole seconds. */
  readonly uptime: number;
  readonly pool: Readonly<Record<string, unknown>>;
  readonly broker: Readonly<Record<string, unknown>>;
  readonly prefetch_count: number;
  readonly rusage: Readonly<Record<string, number>>;
  /** Only with `--autoscale`. */
  readonly autoscaler?: AutoscalerInfo;
}

/** The `autoscaler` part of `inspect stats`. */
export interface AutoscalerInfo {
  readonly max: number;
  readonly min: number;
  readonly current: number;
  /** Tasks received and not ended. */
  readonly qty: number;
}

/** Where a task is: `active` runs, `reserved` waits for a process; `ready`, which Python's workers say, has just ended. */
export type TaskWhereabouts = readonly ['active' | 'reserved' | 'ready', RequestInfo];

/** `hello`: what one worker tells another that starts. */
export interface HelloReply {
  /** Revoked ids, each with when (seconds of the worker's monotonic clock) and the id again. */
  readonly revoked: Readonly<Record<string, readonly [number, string]>>;
  readonly clock: number;
}
