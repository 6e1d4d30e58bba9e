import { Ignore, Reject, Retry } from '../core/errors.ts';
import { backoff } from '../core/retry.ts';
import type { ErrorClass, ResolvedTaskOptions } from './options.ts';
import type { RetryOptions, TaskContext } from './request.ts';

/** Whether an error is of one of the classes, or of one derived from them. */
export function isInstance(error: unknown, classes: readonly ErrorClass[]): boolean {
  return classes.some((errorClass) => error instanceof errorClass);
}

/**
 * What a task ends with that threw `error`: a `Retry` when its options ask for one, else the error itself.
 *
 * What a task throws to say how it ends (`Retry`, `Ignore`, `Reject`) never makes it retry.
 */
export function autoretry(error: unknown, self: TaskContext, options: ResolvedTaskOptions): unknown {
  if (error instanceof Retry || error instanceof Ignore || error instanceof Reject) return error;
  if (!isInstance(error, options.autoretryFor) || isInstance(error, options.dontAutoretryFor)) return error;
  try {
    return self.retry({ ...retryOptions(self.request.retries, options), exc: error });
  } catch (exhausted) {
    // The retries are used up, and this is what the task fails with.
    return exhausted;
  }
}

function retryOptions(retries: number, options: ResolvedTaskOptions): RetryOptions {
  const { retryBackoff, retryBackoffMax, retryJitter, retryKwargs } = options;
  if (retryBackoff === false || retryBackoff === 0) return retryKwargs;
  const countdown = backoff({
    factorS: Math.floor(Math.max(1, Number(retryBackoff))),
    retries,
    maxS: retryBackoffMax,
    jitter: retryJitter,
  });
  return { ...retryKwargs, countdown };
}
