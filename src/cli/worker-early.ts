import os from 'node:os';
import { findApp } from '../app/app-spec.ts';
import { EarlyChildren } from '../pool/early-children.ts';
import type { Context } from './context.ts';
import { hostnameOf, poolKind } from './worker-options.ts';
import type { WorkerFlags } from './worker-options.ts';

/**
 * Child processes that start while this one loads the worker's code and the app, as many as the pool is likely to have.
 *
 * Undefined where the app is no file, or another pool is asked for. Settings in files are not known yet: if they say otherwise,
 * these processes end unused.
 */
export function startEarly(context: Context, flags: WorkerFlags): EarlyChildren | undefined {
  const { app } = context.global;
  const { file } = app === undefined ? {} : findApp(app, context.cwd);
  const kind = poolKind(flags.pool ?? 'prefork');
  if (file === undefined || (kind !== 'prefork' && kind !== 'async')) return undefined;
  const cores = os.availableParallelism();
  return new EarlyChildren({
    count: Math.min(flags.concurrency ?? cores, cores),
    hostname: hostnameOf(flags, context),
    file,
  });
}
