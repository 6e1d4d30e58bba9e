import { createInterface } from 'node:readline/promises';
import type { Celery } from '../app/celery.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { count, print } from './output.ts';
import { Progress } from './progress.ts';
import { pythonJson } from './replies.ts';

/** Options of `celery-ts purge` as commander gives them. */
export interface PurgeOptions {
  readonly force?: boolean;
  readonly queues?: readonly string[];
  readonly excludeQueues?: readonly string[];
  readonly json?: boolean;
}

/** `celery-ts purge`: asks, then removes the messages that wait in the queues. */
export function runPurge(context: Context, options: PurgeOptions): Promise<number> {
  return withApp(context, async ({ app }) => {
    const configured = app.queues.all().map((queue) => queue.name);
    const excluded = new Set(options.excludeQueues);
    const names = [...new Set(options.queues ?? configured)].filter((name) => !excluded.has(name)).sort();
    const json = options.json === true;
    if (names.length === 0 && !json) return EXIT.ok;
    if (options.force !== true && names.length > 0)
      await confirm(names, json ? process.stderr : process.stdout);
    const queues: Record<string, number> = {};
    const purged = await purge(app, names, context.global.quiet !== true, (name, messages) => {
      queues[name] = messages;
    });
    if (json) {
      print(pythonJson({ purged, queues }));
      return EXIT.ok;
    }
    print(
      purged === 0
        ? `No messages purged from ${count(names.length, 'queue')}.`
        : `Purged ${count(purged, 'message')} from ${count(names.length, 'known task queue')}.`,
    );
    return EXIT.ok;
  });
}

async function purge(
  app: Celery,
  names: readonly string[],
  showsProgress: boolean,
  onPurged: (queue: string, messages: number) => void,
): Promise<number> {
  using progress = new Progress(showsProgress && names.length > 0);
  let done = 0;
  let purged = 0;
  const show = (): void =>
    progress.show(
      `Purging queue ${String(done + 1)}/${String(names.length)}: ${names[done] ?? ''} (${count(purged, 'message')})`,
    );
  show();
  return await app.control.purge(names, (name, messages) => {
    onPurged(name, messages);
    purged += messages;
    done += 1;
    if (done < names.length) show();
  });
}

async function confirm(names: readonly string[], output: NodeJS.WriteStream): Promise<void> {
  output.write(
    `WARNING:This will remove all tasks from ${names.length === 1 ? 'queue' : 'queues'}: ${names.join(', ')}.\n` +
      '         There is no undo for this operation!\n\n(to skip this prompt use the -f option)\n',
  );
  const terminal = createInterface({ input: process.stdin, output });
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  try {
    const question = 'Are you sure you want to delete all tasks? [y/N]: ';
    const answer = await Promise.race([terminal.question(question), closed]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliFailure('Aborted!');
  } finally {
    terminal.close();
  }
}
