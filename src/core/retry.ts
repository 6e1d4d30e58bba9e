import { sleep } from './async.ts';

/** How often and after what pauses something is tried again. Times are milliseconds. */
export interface RetryPolicy {
  /** Retries after the first attempt; `null` goes on for ever, 0 does not retry. */
  readonly maxRetries: number | null;
  /** Pause before the first retry. */
  readonly intervalStartMs: number;
  /** What each further retry adds to the pause. */
  readonly intervalStepMs: number;
  /** Longest pause. */
  readonly intervalMaxMs: number;
}

/** Pause in milliseconds before retry number `attempt`, the first being 1. */
export function delayMs(policy: RetryPolicy, attempt: number): number {
  const wanted = policy.intervalStartMs + policy.intervalStepMs * Math.max(0, attempt - 1);
  return Math.max(0, Math.min(wanted, policy.intervalMaxMs));
}

export interface RetryOptions {
  /** Ends the pauses, and with them the retrying. */
  readonly signal?: AbortSignal | undefined;
  /** Which errors are worth another attempt; the others are thrown at once. */
  retryIf(error: unknown): boolean;
  /** Told before each pause; `attempt` counts the retries from 1. */
  onRetry?(error: unknown, attempt: number, delayMs: number): void;
}

/**
 * Calls `fn` until it succeeds; `fn` is told the number of retries before, 0 at first.
 *
 * @throws the error of the last attempt, or `signal.reason` when aborted.
 */
export async function retry<T>(
  fn: (attempt: number) => Promise<T>,
  policy: RetryPolicy,
  options: RetryOptions,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    options.signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      const exhausted = policy.maxRetries !== null && attempt >= policy.maxRetries;
      if (exhausted || options.signal?.aborted === true || !options.retryIf(error)) throw error;
      const pauseMs = delayMs(policy, attempt + 1);
      options.onRetry?.(error, attempt + 1, pauseMs);
      await sleep(pauseMs, options.signal);
    }
  }
}

export interface BackoffOptions {
  /** Seconds before the first retry; each further one doubles it. */
  readonly factorS: number;
  /** Retries so far. */
  readonly retries: number;
  /** Longest wait in seconds. */
  readonly maxS: number;
  /** Spread evenly between 0 and the computed wait, in whole seconds. */
  readonly jitter: boolean;
}

/** Seconds to wait before a task with `retryBackoff` runs again. */
export function backoff({ factorS, retries, maxS, jitter }: BackoffOptions): number {
  const wait = Math.min(maxS, factorS * 2 ** retries);
  const chosen = jitter ? Math.floor(Math.random() * (Math.floor(wait) + 1)) : wait;
  return Math.max(0, chosen);
}
