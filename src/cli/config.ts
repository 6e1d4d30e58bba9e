import { misspeltVariables } from '../app/environment.ts';
import { importAll, withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print, printError } from './output.ts';
import { pythonJson } from './replies.ts';

/** `celery-ts config check`: does what a worker does with the configuration; what is wrong is thrown there. */
export function runConfigCheck(context: Context, { json }: { readonly json?: boolean }): Promise<number> {
  return withApp(context, async (opened) => {
    await importAll(opened, context);
    await opened.app.transport().check?.();
    // Made, not connected: its URL is read.
    opened.app.backendFor(null);
    const warnings = misspeltVariables(context.env);
    if (json === true) {
      print(pythonJson({ ok: true, warnings }));
      return EXIT.ok;
    }
    for (const problem of warnings) printError(`Warning: ${problem}`);
    print('OK');
    return EXIT.ok;
  });
}
