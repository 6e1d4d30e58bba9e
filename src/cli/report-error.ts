import { inspect } from 'node:util';
import { AppLoadError, CeleryError } from '../core/errors.ts';
import { maskText } from '../core/url.ts';
import { EXIT } from './failure.ts';
import { printError } from './output.ts';

/**
 * Prints an error that ended a command; returns the exit code.
 *
 * Errors that say themselves what to do are shown as they are, anything else with its stack. Passwords are masked.
 */
export function reportError(error: unknown, verbose: boolean): number {
  if (error instanceof CeleryError) {
    printError(maskText(`Error: ${error.message}`));
    if (verbose) printError(maskText(inspect(error.cause ?? error)));
    return error instanceof AppLoadError ? EXIT.usage : EXIT.failure;
  }
  printError(maskText(inspect(error)));
  return EXIT.failure;
}

/** Whether the command line asks for stacks: `--loglevel=DEBUG`. */
export function wantsStacks(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const words = `${argv.join(' ')} `;
  return (
    /(^|\s)(-l|--loglevel)[ =]?debug\s/i.test(words) || /^debug$/i.test(env.CELERY_WORKER_LOGLEVEL ?? '')
  );
}
