import { TimeoutError } from '../core/errors.ts';

/** What may end a wait besides what is waited for. */
export interface WaitLimits {
  /** Seconds. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A wait that has begun; `end` must be called. */
export interface Wait {
  readonly signal: AbortSignal;
  /** Ends it for another reason. */
  stop(reason: unknown): void;
  end(): void;
}

/** One signal for the ways in which a wait ends: the caller's signal, the timeout, the app. */
export function startWait(closing: AbortSignal, { signal, timeout }: WaitLimits): Wait {
  const wait = new AbortController();
  const sources = signal === undefined ? [closing] : [closing, signal];
  const onAbort = (event: Event): void => wait.abort((event.target as AbortSignal).reason);
  for (const source of sources) {
    if (source.aborted) wait.abort(source.reason);
    else source.addEventListener('abort', onAbort, { once: true });
  }
  // setTimeout fires at once for more than 24 days; such a wait is as good as endless.
  const limitMs = timeout === undefined ? undefined : Math.min(timeout * 1000, 2 ** 31 - 1);
  const onTimeout = (): void => wait.abort(new TimeoutError('The operation timed out.'));
  const timer = limitMs === undefined ? undefined : setTimeout(onTimeout, limitMs);
  return {
    signal: wait.signal,
    stop: (reason) => wait.abort(reason),
    end: () => {
      clearTimeout(timer);
      for (const source of sources) source.removeEventListener('abort', onAbort);
    },
  };
}
