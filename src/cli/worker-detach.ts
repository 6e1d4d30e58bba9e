import type { Context } from './context.ts';
import { detach } from './detach.ts';
import { commandLineSettings, expandPath, hostnameOf } from './worker-options.ts';
import type { WorkerFlags } from './worker-options.ts';

/** `celery-ts worker --detach`: ends when the worker in the background has loaded its app. */
export function detachWorker(
  context: Context,
  words: readonly string[],
  { logfile, executable, ...flags }: WorkerFlags,
): Promise<number> {
  commandLineSettings(flags, words, context);
  const hostname = hostnameOf(flags, context);
  return detach(context, {
    logfile: logfile === undefined ? undefined : expandPath("'-f' / '--logfile'", logfile, hostname, context),
    executable,
  });
}
