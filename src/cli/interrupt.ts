import { CliFailure } from './failure.ts';

/**
 * Runs something that Ctrl-C or SIGTERM ends in good order.
 * @throws {CliFailure} `Aborted!`, when it was ended and has thrown for that
 */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal);
  try {
    return await run(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) throw new CliFailure('Aborted!');
    throw error;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
  }
}
