import { pythonRepr } from '../core/python-repr.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print, printError } from './output.ts';

/** Options of `celery-ts result` as commander gives them. */
export interface ResultOptions {
  readonly task?: string;
  readonly traceback?: boolean;
}

/** `celery-ts result`: waits for a result and prints it; a failed task ends it with 1 and its traceback on stderr. */
export function runResult(
  context: Context,
  [id = '']: readonly string[],
  options: ResultOptions,
): Promise<number> {
  return withApp(context, async ({ app }) => {
    const result =
      (options.task === undefined ? undefined : app.tasks.get(options.task))?.AsyncResult(id) ??
      app.AsyncResult(id);
    if (options.traceback === true) {
      print((await result.traceback()) ?? '');
      return EXIT.ok;
    }
    const value = await result.get({ propagate: false });
    if (await result.failed()) {
      printError(((await result.traceback()) ?? String(value)).trimEnd());
      return EXIT.failure;
    }
    print(typeof value === 'string' ? value : pythonRepr(value));
    return EXIT.ok;
  });
}
