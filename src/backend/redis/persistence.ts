import { sleep } from '../../core/async.ts';
import { ImproperlyConfigured, OperationalError, TimeoutError } from '../../core/errors.ts';
import { retry, type RetryPolicy } from '../../core/retry.ts';
import type { ResolvedSettings } from '../../settings/settings.ts';

/** What a server says when the same command may well succeed a little later. */
const PASSING = /^(LOADING|READONLY|MASTERDOWN|NOREPLICAS|MISCONF|OOM|BUSY|TRYAGAIN|CLUSTERDOWN)\b/;

/** Celery's, for about 20 seconds; seconds. `timeout` ends it whatever the number of retries. */
const DEFAULT_POLICY = { max_retries: 20, interval_start: 0, interval_step: 1, interval_max: 1, timeout: 0 };

/** One more attempt, for a connection that was found closed. */
const ONCE_MORE: RetryPolicy = { maxRetries: 1, intervalStartMs: 0, intervalStepMs: 0, intervalMaxMs: 0 };

/** How long operations of the Redis backend are tried. */
export class Persistence {
  readonly #policy: RetryPolicy;
  readonly #limitMs: number;
  readonly #settings: ResolvedSettings;
  readonly #signal: AbortSignal;

  /**
   * @param signal ends all trying
   * @throws {@link ImproperlyConfigured} a `retry_policy` that is none
   */
  constructor(settings: ResolvedSettings, signal: AbortSignal) {
    const policy = policyOf(settings.result_backend_transport_options['retry_policy']);
    this.#policy = {
      maxRetries: policy.max_retries,
      intervalStartMs: policy.interval_start * 1000,
      intervalStepMs: policy.interval_step * 1000,
      intervalMaxMs: policy.interval_max * 1000,
    };
    this.#limitMs = policy.timeout > 0 ? policy.timeout * 1000 : Infinity;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** As long as `retry_policy` says: for what must not be lost, and for those who wait. */
  long<T>(fn: () => Promise<T>): Promise<T> {
    return this.#always(() => this.#retry(fn, this.#policy, this.#limitMs));
  }

  /** Once more at most: for somebody who wants to know now. */
  short<T>(fn: () => Promise<T>): Promise<T> {
    return this.#always(() => this.#retry(fn, ONCE_MORE, Infinity));
  }

  #retry<T>(fn: () => Promise<T>, policy: RetryPolicy, limitMs: number): Promise<T> {
    const end = performance.now() + limitMs;
    return retry(fn, policy, {
      signal: this.#signal,
      retryIf: (error) => performance.now() < end && this.#passes(error),
    });
  }

  /** `result_backend_always_retry`: again and again, with pauses that grow. */
  async #always<T>(fn: () => Promise<T>): Promise<T> {
    const {
      result_backend_always_retry: always,
      result_backend_max_retries: maxRetries,
      result_backend_base_sleep_between_retries_ms: baseMs,
      result_backend_max_sleep_between_retries_ms: maxMs,
    } = this.#settings;
    for (let retries = 0; ; retries += 1) {
      try {
        return await fn();
      } catch (error) {
        if (!always || retries >= maxRetries || this.#signal.aborted || !this.#passes(error)) throw error;
        await sleep(Math.random() * Math.min(maxMs, baseMs * 2 ** (retries + 1)), this.#signal);
      }
    }
  }

  #passes(error: unknown): boolean {
    if (!(error instanceof OperationalError) || error.code !== 'CELERY_OPERATIONAL') return false;
    if (isTimeout(error)) return this.#settings.redis_retry_on_timeout;
    const reply = replyOf(error);
    return reply === undefined || isPassing(reply);
  }
}

/** Whether a command answered with an error that may be gone a little later. */
export function isPassing(reply: unknown): reply is string {
  return typeof reply === 'string' && PASSING.test(reply);
}

/** The error for a reply that is one although the command as a whole was none. */
export function replyError(reply: string): OperationalError {
  const cause = new Error(reply);
  cause.name = 'ReplyError';
  return new OperationalError(reply, { cause });
}

/** The server's own words, when it is they that made an operation fail. */
export function replyOf({ cause }: OperationalError): string | undefined {
  return cause instanceof Error && cause.name === 'ReplyError' ? cause.message : undefined;
}

function isTimeout(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause)
    if (each instanceof TimeoutError) return true;
  return false;
}

function policyOf(given: unknown): typeof DEFAULT_POLICY & { max_retries: number | null } {
  const policy: Record<string, unknown> = { ...DEFAULT_POLICY, ...(given as object | undefined) };
  for (const [name, value] of Object.entries(policy)) {
    const fits = (typeof value === 'number' && value >= 0) || (name === 'max_retries' && value === null);
    if (!(name in DEFAULT_POLICY) || !fits) {
      throw new ImproperlyConfigured(
        `result_backend_transport_options.retry_policy: ${name} is ${JSON.stringify(value)}; it takes ` +
          `${Object.keys(DEFAULT_POLICY).join(', ')}, each a number of at least 0`,
      );
    }
  }
  return policy as typeof DEFAULT_POLICY;
}
