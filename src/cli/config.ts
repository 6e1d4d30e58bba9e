import { misspeltVariables } from '../app/environment.ts';
import { importAll, withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print, printError } from './output.ts';

/** `celery-ts config check`: does what a worker does with the configuration; what is wrong is thrown there. */
export function runConfigCheck(context: Context): Promise<number> {
  return withApp(context, async (opened) => {
    await importAll(opened, context);
    await opened.app.transport().check?.();
    // Made, not connected: its URL is read.
    opened.app.backendFor(null);
    for (const problem of misspeltVariables(context.env)) printError(`Warning: ${problem}`);
    print('OK');
    return EXIT.ok;
  });
}
