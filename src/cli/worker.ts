import { closeSync, openSync } from 'node:fs';
import os from 'node:os';
import { resolve } from 'node:path';
import type { Celery } from '../app/celery.ts';
import { misspeltVariables } from '../app/environment.ts';
import { ImproperlyConfigured } from '../core/errors.ts';
import { Releasers } from '../core/lifecycle.ts';
import { createLogger } from '../core/logger.ts';
import type { Logger } from '../core/logger.ts';
import type { EarlyChildren } from '../pool/early-children.ts';
import type { Pool } from '../pool/pool.ts';
import { unsupportedSettings } from '../settings/resolve.ts';
import { StateDb } from '../worker/statedb.ts';
import { Worker } from '../worker/worker.ts';
import { importAll, openApp } from './app.ts';
import type { OpenedApp } from './app.ts';
import type { StartReport } from './background.ts';
import { banner, taskList } from './banner.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { cannotWrite } from './file-failure.ts';
import { COLORS, count, createPaint, print, printError } from './output.ts';
import { claimPidFile } from './pidfile.ts';
import { beforeDying, handleAccidents, handleSignals, type SignalGuard } from './shutdown.ts';
import { commandLineSettings, eventOptions, expandPath, hostnameOf, logLevel } from './worker-options.ts';
import type { WorkerFlags } from './worker-options.ts';
import { createPool } from './worker-pool.ts';

/** `celery-ts worker`: runs until a signal, or an error that trying again does not help. */
export async function runWorker(context: Context, start: Start): Promise<number> {
  const own = new Releasers();
  const { early } = start;
  if (early !== undefined) own.push(() => early.close());
  try {
    return await serve(context, start, own);
  } finally {
    await own.release();
  }
}

/** What the command line gives a worker to start with. */
export interface Start {
  readonly words: readonly string[];
  readonly flags: WorkerFlags;
  readonly early: EarlyChildren | undefined;
  readonly report: StartReport;
}

async function serve(context: Context, start: Start, own: Releasers): Promise<number> {
  const { words, flags, early, report } = start;
  const settings = commandLineSettings(flags, words, context);
  const hostname = hostnameOf(flags, context);
  const files = claimFiles(context, start, hostname, own);
  const opened = await openApp(context, settings);
  const { app } = opened;
  own.push(() => app.close());
  await importAll(opened, context);
  const stateDb = openStateDb(app, hostname, context);
  warnRoot();
  if (context.global.app === undefined) {
    printError('Warning: no app was named with -A: this worker knows no tasks of yours.');
  }

  const color =
    context.global.color &&
    files.log === undefined &&
    (app.settings.worker_log_color ?? process.stderr.isTTY);
  const logger = createLogger({
    level: logLevel(flags.loglevel),
    format: app.settings.worker_log_format,
    taskFormat: app.settings.worker_task_log_format,
    destination: files.log ?? process.stderr.fd,
    processName: 'MainProcess',
    color,
  });
  own.push(() => logger.close());
  const pool = await createPool({ context, opened, logger, hostname, logfile: files.childLog, color, early });
  const worker = new Worker(app, {
    hostname,
    pool,
    logger,
    ...(flags.queues !== undefined && { queues: flags.queues }),
    ...(flags.excludeQueues !== undefined && { excludeQueues: flags.excludeQueues }),
    ...(flags.autoscale !== undefined && { autoscale: flags.autoscale }),
    ...eventOptions(flags),
    ...(stateDb !== undefined && { stateDb }),
    purge: flags.purge === true || flags.discard === true,
    listener: {
      onPurged: (purged) => {
        if (purged > 0) print(`purge: Erased ${count(purged, 'message')} from the queue.`);
      },
    },
  });
  if (context.global.quiet !== true) {
    const { autoscale } = flags;
    const size = autoscale === undefined ? String(pool.size) : `{min=${autoscale.min}, max=${autoscale.max}}`;
    printBanner(context, { opened, worker, logger, concurrency: `${size} (${pool.name})` });
  }
  warnOfSettings(app, logger);
  for (const problem of misspeltVariables(context.env)) logger.warning(problem);
  if (pool.name === 'solo' && app.settings.worker_redirect_stdouts) {
    const { redirectOutput } = await import('../pool/redirect.ts');
    const redirection = redirectOutput(logger, app.settings.worker_redirect_stdouts_level);
    own.push(() => redirection.flush());
  }
  report.ready();
  if (files.guard !== undefined) files.guard.isServed = true;
  try {
    return await run(worker, logger, pool);
  } finally {
    if (files.guard !== undefined) files.guard.isServed = false;
  }
}

async function run(worker: Worker, logger: Logger, pool: Pool): Promise<number> {
  const signals = handleSignals(worker);
  const accidents = handleAccidents(worker, logger, (error) => pool.takeEscaped?.(error) === true);
  // A worker on the memory broker with the solo pool holds nothing that would keep Node running.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const aborted = new AbortController();
    // What it throws is the end that `finished` tells of as well.
    worker.start(aborted.signal).catch(() => undefined);
    const { how } = await worker.finished;
    return how === 'failed' || accidents.happened ? EXIT.failure : signals.exitCode;
  } finally {
    clearInterval(alive);
    signals.remove();
    accidents.remove();
  }
}

interface ClaimedFiles {
  readonly log: string | undefined;
  readonly childLog: string | undefined;
  /** Absent where there is no pidfile. */
  readonly guard?: SignalGuard;
}

/** Before anything is started: a file that cannot be written ends the worker with one line. */
function claimFiles(
  context: Context,
  { flags, report }: Start,
  hostname: string,
  own: Releasers,
): ClaimedFiles {
  const logfile = flags.logfile ?? (report.inBackground ? os.devNull : undefined);
  const log =
    logfile === undefined ? undefined : expandPath("'-f' / '--logfile'", logfile, hostname, context);
  if (log !== undefined) {
    try {
      closeSync(openSync(log, 'a'));
    } catch (error) {
      throw cannotWrite('log file', resolve(log), error);
    }
  }
  const childLog = logfile === undefined ? undefined : resolve(logfile);
  if (flags.pidfile === undefined) return { log, childLog };
  const pidfile = claimPidFile(expandPath("'--pidfile'", flags.pidfile, hostname, context), printError);
  const release = () => pidfile.release();
  process.once('exit', release);
  own.push(release);
  return { log, childLog, guard: beforeDying(release) };
}

/** Before anything is started, too. */
function openStateDb({ settings }: Celery, hostname: string, context: Context): StateDb | undefined {
  if (settings.worker_state_db === null) return undefined;
  const path = resolve(expandPath("'-S' / '--statedb'", settings.worker_state_db, hostname, context));
  try {
    return StateDb.open(path);
  } catch (error) {
    throw error instanceof ImproperlyConfigured
      ? new CliFailure(`Error: ${error.message}`, EXIT.failure, { cause: error })
      : cannotWrite('state file', path, error);
  }
}

function warnOfSettings(app: Celery, logger: Logger): void {
  const names = unsupportedSettings(app.settingsLayers);
  if (names.length > 0)
    logger.warning(`These settings are known but have no effect yet: ${names.join(', ')}`);
}

function warnRoot(): void {
  if (process.getuid?.() !== 0) return;
  printError(
    'Warning: this worker runs as root, and so does every task it is sent. Better start it as a user of its own.',
  );
}

interface BannerParts {
  readonly opened: OpenedApp;
  readonly worker: Worker;
  readonly logger: Logger;
  readonly concurrency: string;
}

function printBanner(context: Context, { opened, worker, logger, concurrency }: BannerParts): void {
  const { app, file } = opened;
  const paint = createPaint(context.global.color);
  const text = banner({
    hostname: worker.hostname,
    version: context.version,
    app: app.main,
    file,
    transport: app.transport().url,
    results: app.backend.url,
    concurrency,
    taskEvents: app.settings.worker_send_task_events,
    queues: worker.queues,
    now: new Date(),
  });
  print(paint(text, COLORS.boldCyan));
  if (!logger.isEnabled('INFO')) return;
  const names = [...app.tasks.keys()].filter(
    (name) => logger.isEnabled('DEBUG') || !name.startsWith('celery.'),
  );
  print(taskList(names));
}
