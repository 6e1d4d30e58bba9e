import { start } from 'node:repl';
import { inspect } from 'node:util';
import { createContext, Script } from 'node:vm';
import type { Celery } from '../app/celery.ts';
import { importAll, withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';

/** Options of `celery-ts shell` as commander gives them. */
export interface ShellOptions {
  readonly eval?: string;
  readonly withoutTasks?: boolean;
}

// By name, so that the prompt has the same classes as the user's modules.
const PACKAGE: string = 'celery-ts';

/** `celery-ts shell`: a Node.js prompt, or one piece of code, with the app, its tasks and what the package exports. */
export function runShell(context: Context, options: ShellOptions): Promise<number> {
  return withApp(context, async (opened) => {
    await importAll(opened, context);
    const names = await namesOf(opened.app, options.withoutTasks !== true);
    if (options.eval !== undefined) await evaluate(options.eval, names);
    else await prompt(context, opened.app, names);
    return EXIT.ok;
  });
}

type Names = Readonly<Record<string, unknown>>;

async function namesOf(app: Celery, withTasks: boolean): Promise<Names> {
  const exported = (await import(PACKAGE)) as Names;
  const tasks = [...app.tasks].filter(([name]) => !name.startsWith('celery.'));
  const byName = tasks.map(([name, task]) => [name.slice(name.lastIndexOf('.') + 1), task] as const);
  return { ...exported, app, celery: app, ...(withTasks && Object.fromEntries(byName)) };
}

/** Code may be an expression or statements, and may await. Its value is printed unless it is undefined. */
async function evaluate(code: string, names: Names): Promise<void> {
  const sandbox = createContext(Object.assign(Object.create(globalThis) as object, names));
  const wrapped = (body: string): string => `(async () => { ${body}\n})()`;
  let script: Script;
  try {
    script = new Script(wrapped(`return (\n${code}\n);`), { filename: 'shell' });
  } catch {
    script = new Script(wrapped(code), { filename: 'shell' });
  }
  const value: unknown = await script.runInContext(sandbox);
  if (value !== undefined) print(typeof value === 'string' ? value : inspect(value));
}

async function prompt(context: Context, app: Celery, names: Names): Promise<void> {
  const tasks = [...app.tasks.keys()].filter((name) => !name.startsWith('celery.'));
  if (process.stdin.isTTY && context.global.quiet !== true) {
    print(`celery-ts ${context.version}, Node.js ${process.version}; app: ${app.main}`);
    print(
      `tasks: ${tasks.sort().join(', ') || 'none'}. Results come with await: await (await add.delay(2, 2)).get()`,
    );
  }
  const terminal = start({ prompt: process.stdin.isTTY ? '> ' : '', breakEvalOnSigint: process.stdin.isTTY });
  Object.assign(terminal.context, names);
  await new Promise<void>((resolve) => terminal.once('exit', resolve));
}
