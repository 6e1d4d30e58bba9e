import { importTasks } from '../app/loader.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';

/** `celery-ts config check`: does what a worker does with the configuration; what is wrong is thrown there. */
export function runConfigCheck(context: Context): Promise<number> {
  return withApp(context, async ({ app, file }) => {
    await importTasks(app, { cwd: context.cwd, file });
    print('OK');
    return EXIT.ok;
  });
}
