/**
 * Every error that celery-ts throws on purpose: Celery's exception names, each with a stable `code`.
 *
 * The `name` is what crosses the wire as `exc_type`; the `module` as `exc_module`, so that a Python client raises its own
 * class of that name.
 */

/** Options that every error takes: the error that caused it. */
export interface CeleryErrorOptions {
  readonly cause?: unknown;
}

/** Base of all errors of celery-ts. */
export class CeleryError extends Error {
  /** Stable identifier, `CELERY_…`, for programs that branch on the error. */
  readonly code: string = 'CELERY_ERROR';
  /** Python module of the exception of the same name, as sent in `exc_module`. */
  readonly module: string = 'celery.exceptions';

  constructor(message?: string, options?: CeleryErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The configuration, a URL or an option cannot be used; the message says which and what it takes. */
export class ImproperlyConfigured extends CeleryError {
  override readonly code = 'CELERY_IMPROPERLY_CONFIGURED';
}

/** A message was refused for its origin or content type. */
export class SecurityError extends CeleryError {
  override readonly code: string = 'CELERY_SECURITY';
}

/** The content type of a message is not in `accept_content`. */
export class ContentDisallowed extends SecurityError {
  override readonly code = 'CELERY_CONTENT_DISALLOWED';
  override readonly module = 'kombu.exceptions';
}

/** The bytes of a message could not be decoded. */
export class DecodeError extends CeleryError {
  override readonly code = 'CELERY_DECODE';
  override readonly module = 'kombu.exceptions';
}

/** A value could not be encoded by the serializer. */
export class EncodeError extends CeleryError {
  override readonly code = 'CELERY_ENCODE';
  override readonly module = 'kombu.exceptions';
}

/** The broker or result backend could not be reached, or refused an operation. */
export class OperationalError extends CeleryError {
  override readonly code: string = 'CELERY_OPERATIONAL';
  override readonly module = 'kombu.exceptions';
}

/** The broker refused the credentials or the virtual host; trying again does not help. */
export class AccessRefused extends OperationalError {
  override readonly code = 'CELERY_ACCESS_REFUSED';
}

/** Base of the errors about one task. */
export class TaskError extends CeleryError {
  override readonly code: string = 'CELERY_TASK';
}

/** A queue named by a route or by `-Q` does not exist and `task_create_missing_queues` is off. */
export class QueueNotFound extends TaskError {
  override readonly code = 'CELERY_QUEUE_NOT_FOUND';
}

/** No task of that name is registered here. */
export class NotRegistered extends TaskError {
  override readonly code = 'CELERY_NOT_REGISTERED';
}

/** A task of that name is registered already. */
export class AlreadyRegistered extends TaskError {
  override readonly code = 'CELERY_ALREADY_REGISTERED';
}

/** An operation took longer than the caller allows. */
export class TimeoutError extends TaskError {
  override readonly code = 'CELERY_TIMEOUT';
}

/** The task has been retried `maxRetries` times. */
export class MaxRetriesExceededError extends TaskError {
  override readonly code = 'CELERY_MAX_RETRIES_EXCEEDED';
}

/** The task was revoked, expired or terminated. */
export class TaskRevokedError extends TaskError {
  override readonly code = 'CELERY_TASK_REVOKED';
}

/** A message claims to be a task but its parts are missing or of the wrong kind. */
export class InvalidTaskError extends TaskError {
  override readonly code = 'CELERY_INVALID_TASK';
}

/** A member of a chord failed, so its body cannot run. */
export class ChordError extends TaskError {
  override readonly code = 'CELERY_CHORD';
}

/** A task of a tree has not ended, so what it sends is not known. */
export class IncompleteStream extends TaskError {
  override readonly code = 'CELERY_INCOMPLETE_STREAM';
}

/** Base of result backend errors. */
export class BackendError extends CeleryError {
  override readonly code: string = 'CELERY_BACKEND';
}

/** A result could not be read. */
export class BackendGetMetaError extends BackendError {
  override readonly code = 'CELERY_BACKEND_GET';
}

/** A result could not be stored. */
export class BackendStoreError extends BackendError {
  override readonly code = 'CELERY_BACKEND_STORE';
}

/** The soft time limit of the running task has passed; catch it to clean up. */
export class SoftTimeLimitExceeded extends CeleryError {
  override readonly code = 'CELERY_SOFT_TIME_LIMIT';
  override readonly module = 'billiard.exceptions';
  /** Arguments of the exception, as stored: none, as in Celery, but what it was made with. */
  readonly args: readonly unknown[];

  /** @param message - in place of the text that says which limit it was, of `seconds` */
  constructor(message = '', seconds?: number) {
    const limit = seconds === undefined ? '' : ` of ${seconds} s`;
    super(message === '' ? `The soft time limit${limit} of the task has passed.` : message);
    this.args = message === '' ? [] : [message];
  }
}

/** The hard time limit passed and the process of the task was killed. */
export class TimeLimitExceeded extends CeleryError {
  override readonly code = 'CELERY_TIME_LIMIT';
  override readonly module = 'billiard.exceptions';
}

/** The process that ran the task ended before the task did. */
export class WorkerLostError extends CeleryError {
  override readonly code = 'CELERY_WORKER_LOST';
  override readonly module = 'billiard.exceptions';
}

/**
 * The worker ends the task: `revoke({ terminate: true })`, the hard time limit, a cold shutdown. It is the reason of `self.signal`,
 * and there is no more than a moment to clean up.
 */
export class Terminated extends CeleryError {
  override readonly code = 'CELERY_TERMINATED';
  override readonly module = 'billiard.exceptions';

  constructor(message = 'The worker ends this task: its process is about to be killed.') {
    super(message);
  }
}

/** A task raises it to end without a state, event or result. */
export class Ignore extends CeleryError {
  override readonly code: string = 'CELERY_IGNORE';
}

/** The task goes on as another: `self.replace()`. */
export class Replaced extends Ignore {
  override readonly code = 'CELERY_REPLACED';
  /** The JSON form of the signature that takes its place. */
  readonly signature: object;

  constructor(message: string, signature: object) {
    super(message);
    this.signature = signature;
  }
}

/** A task raises it to reject its message; has an effect only with `acksLate`. */
export class Reject extends CeleryError {
  override readonly code = 'CELERY_REJECT';

  readonly reason: string;
  readonly requeue: boolean;

  constructor(reason = '', requeue = false) {
    super(reason);
    this.reason = reason;
    this.requeue = requeue;
  }
}

/** What `Retry` carries: where and when the task runs next. */
export interface RetryDetails {
  /** The error that made the task retry, if any. */
  readonly exc?: unknown;
  /** When the task runs again. */
  readonly when: Date;
  /** Arguments of the next run; those of this run when absent. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** `applyAsync` options that differ from those of this run. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Made by `self.retry()`; throw it to have the task run again. */
export class Retry extends CeleryError {
  override readonly code = 'CELERY_RETRY';

  readonly details: RetryDetails;

  constructor(message: string, details: RetryDetails) {
    super(message, details.exc === undefined ? undefined : { cause: details.exc });
    this.details = details;
  }
}

/** The app module of `-A` cannot be found, throws when imported, or holds no app; the message says what was tried. */
export class AppLoadError extends CeleryError {
  override readonly code = 'CELERY_APP_LOAD';
}

/** Python's error of that name, where Celery's own texts show it: a value that cannot be used. */
export class ValueError extends CeleryError {
  override readonly code = 'CELERY_VALUE';
  override readonly module = 'builtins';
}

/** Python's error of that name, where Celery's own texts show it: a name that is not known. */
export class KeyError extends CeleryError {
  override readonly code = 'CELERY_KEY';
  override readonly module = 'builtins';
}

/** Python's error of that name, where Celery throws it: an operation that must not be done here and now. */
export class RuntimeError extends CeleryError {
  override readonly code = 'CELERY_RUNTIME';
  override readonly module = 'builtins';
}
