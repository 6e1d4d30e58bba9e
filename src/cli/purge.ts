import { createInterface } from 'node:readline/promises';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { count, print } from './output.ts';

/** Options of `celery-ts purge` as commander gives them. */
export interface PurgeOptions {
  readonly force?: boolean;
  readonly queues?: readonly string[];
  readonly excludeQueues?: readonly string[];
}

/** `celery-ts purge`: asks, then removes the messages that wait in the queues. */
export function runPurge(context: Context, options: PurgeOptions): Promise<number> {
  return withApp(context, async ({ app }) => {
    const configured = app.queues.all().map((queue) => queue.name);
    const excluded = new Set(options.excludeQueues);
    const names = [...new Set(options.queues ?? configured)].filter((name) => !excluded.has(name)).sort();
    if (options.force !== true && names.length > 0) await confirm(names);
    const purged = await app.control.purge(names);
    print(
      purged === 0
        ? `No messages purged from ${count(names.length, 'queue')}.`
        : `Purged ${count(purged, 'message')} from ${count(names.length, 'known task queue')}.`,
    );
    return EXIT.ok;
  });
}

async function confirm(names: readonly string[]): Promise<void> {
  print(
    `WARNING:This will remove all tasks from ${names.length === 1 ? 'queue' : 'queues'}: ${names.join(', ')}.\n` +
      '         There is no undo for this operation!\n\n(to skip this prompt use the -f option)',
  );
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  try {
    const question = 'Are you sure you want to delete all tasks? [y/N]: ';
    const answer = await Promise.race([terminal.question(question), closed]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliFailure('Aborted!');
  } finally {
    terminal.close();
  }
}
