import { misspeltVariables } from '../app/environment.ts';
import { importTasks } from '../app/loader.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print, printError } from './output.ts';

/** `celery-ts config check`: does what a worker does with the configuration; what is wrong is thrown there. */
export function runConfigCheck(context: Context): Promise<number> {
  return withApp(context, async ({ app, file }) => {
    await importTasks(app, { cwd: context.cwd, file });
    for (const problem of misspeltVariables(context.env)) printError(`Warning: ${problem}`);
    print('OK');
    return EXIT.ok;
  });
}
