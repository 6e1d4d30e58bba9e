import os from 'node:os';
import { findApp } from '../app/app-spec.ts';
import { EarlyChildren } from '../pool/early-children.ts';
import type { Context } from './context.ts';
import { hostnameOf, poolKind } from './worker-options.ts';
import type { WorkerFlags } from './worker-options.ts';

/**
 * Child processes that start while this one loads the worker's code and the app, one for each core that is left:
 * more of them would only keep each other waiting, and the worker is ready with the first.
 *
 * Undefined where the app is no file, or another pool is asked for. Settings in files are not known yet: if they say otherwise,
 * these processes end unused.
 */
export function startEarly(context: Context, flags: WorkerFlags): EarlyChildren | undefined {
  const { app } = context.global;
  const { file } = app === undefined ? {} : findApp(app, context.cwd);
  const kind = poolKind(flags.pool ?? 'prefork');
  if (file === undefined || (kind !== 'prefork' && kind !== 'async')) return undefined;
  const free = Math.max(1, os.availableParallelism() - 1);
  return new EarlyChildren({
    count: Math.min(flags.concurrency ?? free, free),
    hostname: hostnameOf(flags, context),
    file,
  });
}
