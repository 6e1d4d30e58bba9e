import { AccessRefused, OperationalError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { retry } from '../../core/retry.ts';
import type { Connection, Transport } from '../../transport/transport.ts';

export interface ConnectingOptions {
  readonly transport: Transport;
  readonly logger: Logger;
  /** Whether to try again. */
  readonly retry: boolean;
  /** `broker_connection_max_retries`; null and 0 = for ever. */
  readonly maxRetries: number | null;
  readonly signal: AbortSignal;
}

/**
 * Connects to the broker, trying again after 2, 4, 6 … 32 seconds.
 *
 * @throws {AccessRefused} at once: the credentials do not get better
 * @throws the last error when it may not, or not any more, try again
 */
export function connectPatiently(options: ConnectingOptions): Promise<Connection> {
  const { transport, logger, signal } = options;
  const limit = options.maxRetries === 0 ? null : options.maxRetries;
  const policy = {
    maxRetries: options.retry ? limit : 0,
    intervalStartMs: 2000,
    intervalStepMs: 2000,
    intervalMaxMs: 32_000,
  };
  return retry(() => transport.connect(signal), policy, {
    signal,
    retryIf: (error) => error instanceof OperationalError && !(error instanceof AccessRefused),
    onRetry(error, attempt, pauseMs) {
      const reason = reasonOf(error, transport.url);
      const count = limit === null ? String(attempt) : `${attempt}/${limit}`;
      logger.error(
        `consumer: ${reason.replace(/\.$/, '')}.\n` +
          `Trying again in ${(pauseMs / 1000).toFixed(2)} seconds... (${count})\n`,
      );
    },
  });
}

/** Errors of connecting mostly name the URL themselves, of a failover list the one that was tried last. */
function reasonOf(error: unknown, url: string): string {
  const reason = error instanceof Error ? error.message : String(error);
  const own = 'Cannot connect to ';
  return reason.startsWith(own) ? reason : `${own}${url}: ${reason}`;
}
