import type { Celery } from '../app/celery.ts';
import type { AsyncResult } from '../app/result.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { print, printError } from './output.ts';
import { pythonJson } from './replies.ts';

/** Options of `celery-ts result` as commander gives them. */
export interface ResultOptions {
  readonly task?: string;
  readonly traceback?: boolean;
  readonly json?: boolean;
}

/** `celery-ts result`: waits for a result and prints it; a failed task ends it with 1 and its traceback on stderr. */
export function runResult(
  context: Context,
  [id = '']: readonly string[],
  options: ResultOptions,
): Promise<number> {
  return withApp(context, async ({ app }) => {
    await refuseForeign(app, id);
    const result =
      (options.task === undefined ? undefined : app.tasks.get(options.task))?.AsyncResult(id) ??
      app.AsyncResult(id);
    if (options.traceback === true) {
      const traceback = await result.traceback();
      print(options.json === true ? pythonJson({ id, traceback: traceback ?? null }) : (traceback ?? ''));
      return EXIT.ok;
    }
    const value = await result.get({ propagate: false });
    if (options.json === true) return printJson(result, value);
    if (await result.failed()) {
      printError(((await result.traceback()) ?? String(value)).trimEnd());
      return EXIT.failure;
    }
    print(typeof value === 'string' ? value : pythonRepr(value));
    return EXIT.ok;
  });
}

/** A failure is told by its exception, as Celery's result backends keep it. */
async function printJson(result: AsyncResult, value: unknown): Promise<number> {
  const failed = await result.failed();
  const told =
    value instanceof Error ? { exc_type: value.name, exc_message: value.message } : (value ?? null);
  const traceback = failed ? ((await result.traceback()) ?? null) : null;
  print(pythonJson({ id: result.id, status: await result.state(), result: told, traceback }));
  return failed ? EXIT.failure : EXIT.ok;
}

/** A result that only the process which sent the task can read would be waited for in vain. */
async function refuseForeign({ backend }: Celery, id: string): Promise<void> {
  if ((await backend.fetch(id)) !== undefined || backend.can.crossProcess) return;
  throw new CliFailure(
    `Error: the results of ${String(backend)} go to the process that sent the task, and to no other. ` +
      'Read them there, or set result_backend to one that keeps them: redis://… or sqlite:///….',
  );
}
