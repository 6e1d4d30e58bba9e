import type { Retry } from '../core/errors.ts';
import type { TaskLogger } from '../core/logger.ts';
import type { State } from '../core/states.ts';
import type { SignatureLike } from '../canvas/signature.ts';
import type { DeliveryInfo, SignatureJson } from '../message/message.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { Celery } from './celery.ts';
import type { PublishOptions } from './options.ts';
import type { AnyResult } from './result-options.ts';

/** What is known of the run in progress: Celery's `self.request`, names in camelCase. */
export interface TaskRequest {
  readonly id: string;
  /** Name of the task. */
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Runs before this one. */
  readonly retries: number;
  /** The first task of the workflow; its own id when it is the first. */
  readonly rootId: string;
  /** The task that sent this one. */
  readonly parentId: string | null;
  readonly group: string | null;
  readonly groupIndex: number | null;
  /** ISO-8601, as sent. */
  readonly eta: string | null;
  /** ISO-8601, as sent. */
  readonly expires: string | null;
  /** `[hard, soft]` in seconds, as sent with the message. */
  readonly timeLimit: readonly [number | null, number | null];
  readonly deliveryInfo: DeliveryInfo;
  readonly replyTo: string | null;
  readonly correlationId: string | null;
  /** Headers that the caller added: `applyAsync(args, { headers })`. */
  readonly headers: Readonly<Record<string, unknown>> | null;
  /** Who sent it: `gen<pid>@<host>`. */
  readonly origin: string;
  /** Name shown in logs instead of the task's. */
  readonly shadow: string | null;
  /** Language of the sender: `py`, `js`. */
  readonly lang: string;
  readonly argsrepr: string;
  readonly kwargsrepr: string;
  readonly ignoreResult: boolean;
  readonly replacedTaskNesting: number;
  readonly stampedHeaders: readonly string[] | null;
  readonly stamps: Readonly<Record<string, unknown>>;
  /** Node name of the worker. */
  readonly hostname: string;
  /** Runs in the caller's process (`task_always_eager`). */
  readonly isEager: boolean;
  /** False in a worker and in eager mode. */
  readonly calledDirectly: boolean;
  /** Sent when this task succeeds. */
  readonly callbacks: readonly SignatureJson[] | null;
  /** Sent when it fails. */
  readonly errbacks: readonly SignatureJson[] | null;
  readonly chain: readonly SignatureJson[] | null;
  readonly chord: SignatureJson | null;
  /** Tasks that this run has sent so far. */
  readonly children: readonly ResultTuple[];
}

/** Options of `self.retry()`: when and how the task runs again. */
export interface RetryOptions extends PublishOptions {
  /** Arguments of the next run; those of this run when absent. */
  readonly args?: readonly unknown[];
  /** Keyword arguments of the next run; those of this run when absent. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** Why: stored with the state RETRY, and thrown instead of `MaxRetriesExceededError` when retries are used up. */
  readonly exc?: unknown;
  /** Seconds until the next run. Default: the task's `defaultRetryDelay`, 180. */
  readonly countdown?: number;
  /** When to run again, instead of `countdown`. */
  readonly eta?: Date | string;
  /** Overrides the task's `maxRetries`; null retries for ever. */
  readonly maxRetries?: number | null;
}

/** The running task: `self`, the first parameter of a task with `bind: true`. */
export interface TaskContext {
  /** Registered name of the task. */
  readonly name: string;
  readonly app: Celery;
  readonly request: TaskRequest;
  /** Aborted by `revoke({ terminate: true })`, the soft time limit and a cold shutdown; give it to what waits. */
  readonly signal: AbortSignal;
  /** Writes to the worker's log, each line with the task's name and id. */
  readonly logger: TaskLogger;
  /**
   * Makes the error that has this task run again; throw it: `throw self.retry({ countdown: 5 })`.
   * @throws {MaxRetriesExceededError} the retries are used up and no `exc` was given
   * @throws `exc` when it was given and the retries are used up
   */
  retry(options?: RetryOptions): Retry;
  /**
   * Ends the run, and goes on as another signature under the same id: `return self.replace(add.s(2, 2))`. Whoever waits for the
   * task gets that one's result; what was to follow the task follows it.
   * @throws always: what throws it must not be caught
   * @throws {ImproperlyConfigured} the signature is in a chord already, or is an empty chain
   */
  replace(signature: SignatureLike): never;
  /**
   * Adds a signature to the chord that the running task is a member of, and sends it: the body then waits for it too.
   * @throws {ValueError} the task is no member of a chord
   */
  addToChord(signature: SignatureLike): Promise<AnyResult>;
  /** Stores a state of the running task, built-in or of your own, and what goes with it. */
  updateState(state: State, meta?: unknown): Promise<void>;
  /**
   * Sends an event about this task to whoever monitors: `self.sendEvent('task-progress', { percent: 40 })`. It is sent whether or
   * not the worker sends events of its own.
   * @throws {OperationalError} the broker cannot be reached
   * @throws {EncodeError} a field has no form in `event_serializer`
   */
  sendEvent(type: string, fields?: Readonly<Record<string, unknown>>): Promise<void>;
}
