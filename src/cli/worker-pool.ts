import os from 'node:os';
import { ImproperlyConfigured } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { EarlyChildren } from '../pool/early-children.ts';
import type { Pool } from '../pool/pool.ts';
import { createPreforkPool } from '../pool/prefork.ts';
import type { PreforkOptions } from '../pool/prefork.ts';
import type { OpenedApp } from './app.ts';
import type { Context } from './context.ts';
import { poolKind, poolProblem } from './worker-options.ts';

/** What a pool needs beside the app. */
export interface PoolSetup {
  readonly context: Context;
  readonly opened: OpenedApp;
  readonly logger: Logger;
  readonly hostname: string;
  /** As given to `-f`: children fill in their numbers. */
  readonly logfile: string | undefined;
  readonly color: boolean;
  readonly early: EarlyChildren | undefined;
}

/** The pool of `worker_pool`, which `-P` has set. */
export async function createPool(setup: PoolSetup): Promise<Pool> {
  const { opened, logger, hostname } = setup;
  const { worker_pool: name } = opened.app.settings;
  switch (poolKind(name)) {
    case 'prefork':
      return createPreforkPool(childrenOf(setup));
    case 'async': {
      const { createAsyncPool } = await import('../pool/async-pool.ts');
      return createAsyncPool({ ...childrenOf(setup), processes: os.availableParallelism() });
    }
    case 'solo': {
      setup.early?.close();
      const [{ createTracer }, { createSoloPool }] = await Promise.all([
        import('../app/trace.ts'),
        import('../pool/solo.ts'),
      ]);
      const { app } = opened;
      const event = { sender: hostname, app, pid: process.pid };
      return createSoloPool({ tracer: createTracer(app, { logger }), logger, event });
    }
    default:
      throw new ImproperlyConfigured(`worker_pool: ${poolProblem(name)}`);
  }
}

/** What the pools of child processes have in common. */
function childrenOf(setup: PoolSetup): PreforkOptions {
  const { context, opened, logger, hostname, logfile, color, early } = setup;
  const { settings } = opened.app;
  return {
    size: settings.worker_concurrency ?? os.availableParallelism(),
    child: {
      appSpec: context.global.app,
      cwd: context.cwd,
      environment: opened.environment,
      commandLine: opened.commandLine,
      configFile: opened.configFile,
      hostname,
      log: {
        level: logger.level,
        format: settings.worker_log_format,
        taskFormat: settings.worker_task_log_format,
        destination: logfile,
        color,
      },
      redirectStdouts: settings.worker_redirect_stdouts,
      redirectLevel: settings.worker_redirect_stdouts_level,
    },
    early,
    logger,
    maxTasksPerChild: settings.worker_max_tasks_per_child,
    maxMemoryPerChildKb: settings.worker_max_memory_per_child,
    aliveTimeoutMs: settings.worker_proc_alive_timeout * 1000,
  };
}
