import type { SignatureLike } from '../canvas/signature.ts';
import type { SignatureJson } from '../message/message.ts';
import type { Queue } from './entities.ts';

/** Classes of errors, as in `autoretryFor: [TypeError]`. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** Numbers of `task_publish_retry_policy`, in seconds. */
export interface PublishRetryPolicy {
  /** Retries after the first attempt; null = for ever. Default 3. */
  readonly maxRetries?: number | null;
  /** Pause before the first retry. Default 0. */
  readonly intervalStart?: number;
  /** Added to the pause at each further retry. Default 0.2. */
  readonly intervalStep?: number;
  /** Longest pause. Default 1. */
  readonly intervalMax?: number;
}

/** Where and how a message goes; common to a call and to a retry. */
export interface PublishOptions {
  /** When the task is not worth running any more: seconds from now, or a time. It is then revoked. */
  readonly expires?: number | Date | string | null;
  /** Try again when the broker cannot be reached. Default: `task_publish_retry`. */
  readonly retry?: boolean;
  /** How often and how patiently. Default: `task_publish_retry_policy`. */
  readonly retryPolicy?: PublishRetryPolicy;
  /** Name of a queue, or a queue of your own. */
  readonly queue?: string | Queue;
  /** Name of an exchange that exists, instead of a queue. */
  readonly exchange?: string;
  readonly routingKey?: string;
  /** 0-255; on RabbitMQ the highest goes first, and the queue needs `x-max-priority`. */
  readonly priority?: number;
  /** Name of a serializer. Default: `task_serializer`. */
  readonly serializer?: string;
  /** Name of a compression: `zlib`, `gzip`. */
  readonly compression?: string;
  /** 2 survives a restart of the broker, 1 does not. Default: `task_default_delivery_mode`. */
  readonly deliveryMode?: 1 | 2;
  /** Headers of your own, read as `self.request.headers`. */
  readonly headers?: Readonly<Record<string, unknown>>;
  /** Called with the result as first argument when the task succeeds. */
  readonly link?: SignatureLike | readonly SignatureLike[];
  /** Called when the task fails. */
  readonly linkError?: SignatureLike | readonly SignatureLike[];
  /** Name shown in logs and events instead of the task's. */
  readonly shadow?: string;
  /** Hard limit in seconds: the process of the task is killed. */
  readonly timeLimit?: number;
  /** Soft limit in seconds: the task is told. */
  readonly softTimeLimit?: number;
  readonly ignoreResult?: boolean;
  /** Queue that results are sent to (rpc). */
  readonly replyTo?: string;
  /** Shown instead of the arguments in logs and events: hides secrets. */
  readonly argsrepr?: string;
  /** Shown instead of the keyword arguments. */
  readonly kwargsrepr?: string;
}

/** Options of `applyAsync`: Celery's `apply_async` options in camelCase. */
export interface ApplyOptions extends PublishOptions {
  /** Keyword arguments, bound to the parameters of the same name. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** Seconds from now before which the task does not run. */
  readonly countdown?: number;
  /** Time before which the task does not run; text is sent as it is. */
  readonly eta?: Date | string;
  /** Id of the task; a new UUID by default. */
  readonly taskId?: string;
  readonly rootId?: string;
  readonly parentId?: string;
  readonly groupId?: string;
  readonly groupIndex?: number;
  /** Count of runs before this one. */
  readonly retries?: number;
  readonly chain?: readonly SignatureJson[];
  readonly chord?: SignatureJson;
  /** Marks of the task: its headers `stamped_headers` and `stamps`. */
  readonly stamps?: Readonly<Record<string, unknown>>;
  readonly replacedTaskNesting?: number;
  /** Remember the call among the children of the task that is running. Default true. */
  readonly addToParent?: boolean;
  /** Gives up sending. */
  readonly signal?: AbortSignal;
}

/** Options of `app.task`: Celery's task attributes in camelCase. What is left out comes from the settings. */
export interface TaskOptions {
  /** True: the function takes the running task, `self`, as its first parameter; see `BoundTaskOptions`. Default false. */
  readonly bind?: false;
  /** Retries before the task fails; null = endless. Default 3. */
  readonly maxRetries?: number | null;
  /** Seconds before a retry that names no time. Default 180. */
  readonly defaultRetryDelay?: number;
  /** Errors that make the task retry by itself. */
  readonly autoretryFor?: readonly ErrorClass[];
  /** Errors that do not, although `autoretryFor` lists a parent of theirs. */
  readonly dontAutoretryFor?: readonly ErrorClass[];
  /** Options of those retries. */
  readonly retryKwargs?: { readonly maxRetries?: number | null; readonly countdown?: number };
  /** Double the wait at each retry: true starts with 1 second, a number with so many. Default false. */
  readonly retryBackoff?: boolean | number;
  /** Longest wait of the back-off in seconds. Default 600. */
  readonly retryBackoffMax?: number;
  /** Spread the wait at random between 0 and its length. Default true. */
  readonly retryJitter?: boolean;
  /** Runs per worker and time: `'10/s'`, `'10/m'`, `'10/h'`, or a number per second. Default: `task_default_rate_limit`. */
  readonly rateLimit?: string | number | null;
  /** Hard limit in seconds: the process is killed. Default: `task_time_limit`. */
  readonly timeLimit?: number | null;
  /** Soft limit in seconds: `self.signal` is aborted with `SoftTimeLimitExceeded`. Default: `task_soft_time_limit`. */
  readonly softTimeLimit?: number | null;
  /** Do not store the result. Default: `task_ignore_result`. */
  readonly ignoreResult?: boolean;
  /** Store errors all the same. Default: `task_store_errors_even_if_ignored`. */
  readonly storeErrorsEvenIfIgnored?: boolean;
  /** Default: `task_serializer`. */
  readonly serializer?: string;
  /** Default: `task_compression`. */
  readonly compression?: string | null;
  /** URL of a result backend of its own. Default: `result_backend`. */
  readonly backend?: string;
  /** Acknowledge the message after the run. Default: `task_acks_late`. */
  readonly acksLate?: boolean;
  /** With `acksLate`: acknowledge failed and timed-out runs too. Default: `task_acks_on_failure_or_timeout`. */
  readonly acksOnFailureOrTimeout?: boolean;
  /** With `acksLate`: give the message back when the process of the task dies. Default: `task_reject_on_worker_lost`. */
  readonly rejectOnWorkerLost?: boolean;
  /** Store the state STARTED. Default: `task_track_started`. */
  readonly trackStarted?: boolean;
  /** Send events about the task, where the worker sends any. Default true. */
  readonly sendEvents?: boolean;
  /** Errors that are expected: logged in one line, without a stack. */
  readonly throws?: readonly ErrorClass[];
  /** Seconds after sending, or a time, after which a call is revoked. */
  readonly expires?: number | Date | string | null;
  /** Default: `task_default_priority`. */
  readonly priority?: number | null;
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  /** Check arguments against the function's parameters when calling and when running. Default true. */
  readonly typing?: boolean;
  /** Name shown in logs and events instead of the task's. */
  readonly shadow?: string;
}

/** `TaskOptions` of a function whose first parameter is the running task. */
export interface BoundTaskOptions extends Omit<TaskOptions, 'bind'> {
  readonly bind: true;
}

/** Options of either kind of task. */
export type AnyTaskOptions = TaskOptions | BoundTaskOptions;

/** Task options with everything filled in: from the task, `task_annotations` and the settings. */
export interface ResolvedTaskOptions {
  readonly bind: boolean;
  readonly maxRetries: number | null;
  readonly defaultRetryDelay: number;
  readonly autoretryFor: readonly ErrorClass[];
  readonly dontAutoretryFor: readonly ErrorClass[];
  readonly retryKwargs: { readonly maxRetries?: number | null; readonly countdown?: number };
  readonly retryBackoff: boolean | number;
  readonly retryBackoffMax: number;
  readonly retryJitter: boolean;
  readonly rateLimit: string | number | null;
  readonly timeLimit: number | null;
  readonly softTimeLimit: number | null;
  readonly ignoreResult: boolean;
  readonly storeErrorsEvenIfIgnored: boolean;
  readonly serializer: string;
  readonly compression: string | null;
  readonly backend: string | null;
  readonly acksLate: boolean;
  readonly acksOnFailureOrTimeout: boolean;
  readonly rejectOnWorkerLost: boolean;
  readonly trackStarted: boolean;
  readonly sendEvents: boolean;
  readonly throws: readonly ErrorClass[];
  readonly expires: number | Date | string | null;
  readonly priority: number | null;
  readonly queue: string | null;
  readonly exchange: string | null;
  readonly routingKey: string | null;
  readonly typing: boolean;
  readonly shadow: string | null;
}
