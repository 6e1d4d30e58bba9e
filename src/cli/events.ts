import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Celery } from '../app/celery.ts';
import type { EventHandler } from '../app/event-receiver.ts';
import { importExport } from '../app/loader.ts';
import { AccessRefused, CeleryError, OperationalError } from '../core/errors.ts';
import { Releasers } from '../core/lifecycle.ts';
import { createLogger } from '../core/logger.ts';
import type { Logger } from '../core/logger.ts';
import { retry } from '../core/retry.ts';
import { parseRate } from '../core/token-bucket.ts';
import type { Camera } from '../monitor/camera.ts';
import { Photographer } from '../monitor/camera.ts';
import { EventLines } from '../monitor/dump.ts';
import { withApp } from './app.ts';
import type { StartReport } from './background.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { cannotWrite } from './file-failure.ts';
import { print, printError } from './output.ts';
import { pythonJson } from './replies.ts';
import { claimPidFile } from './pidfile.ts';
import type { PrivilegeFlags } from './umask.ts';
import { logLevel } from './worker-options.ts';

/** Options of `celery-ts events` as commander gives them. */
export interface EventsFlags extends PrivilegeFlags {
  readonly dump?: boolean;
  readonly json?: boolean;
  readonly camera?: string;
  readonly frequency?: number;
  readonly freq?: number;
  readonly maxrate?: string;
  readonly loglevel: string;
  readonly logfile?: string;
  readonly pidfile?: string;
  readonly detach?: boolean;
  readonly executable?: string;
}

/** Pauses between attempts to reach the broker. */
const PATIENCE = {
  maxRetries: null,
  intervalStartMs: 2000,
  intervalStepMs: 2000,
  intervalMaxMs: 30_000,
} as const;

/** `celery-ts events`: runs until a signal. */
export function runEvents(context: Context, flags: EventsFlags, report: StartReport): Promise<number> {
  const { camera } = flags;
  const screen = flags.dump !== true && camera === undefined;
  if (screen && !(process.stdin.isTTY && process.stdout.isTTY)) {
    throw context.usage(
      'The screen needs a terminal. Choose what to do with the events: --dump prints them, --camera takes pictures.',
    );
  }
  return withApp(context, async ({ app }) => {
    const own = new Releasers();
    const stop = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const onSignal = (): void => stop.abort();
      process.on(signal, onSignal);
      own.push(() => process.off(signal, onSignal));
    }
    try {
      if (flags.dump === true) await dump(app, flags.json === true, stop.signal);
      else if (camera === undefined) await watch(context, app, stop);
      else await shoot(context, app, { ...flags, camera }, { own, signal: stop.signal, report });
    } finally {
      await own.release();
    }
    return EXIT.ok;
  });
}

async function dump(app: Celery, json: boolean, signal: AbortSignal): Promise<void> {
  if (json) {
    await captureForEver(app, signal, (event) => print(pythonJson(event)), printError);
    return;
  }
  const lines = new EventLines();
  print('-> evdump: starting capture...');
  await captureForEver(app, signal, (event) => print(lines.line(event)));
}

async function watch(context: Context, app: Celery, stop: AbortController): Promise<void> {
  const { runMonitor } = await import('./monitor/monitor.ts');
  const { signal } = stop;
  await runMonitor({
    app,
    color: context.global.color,
    signal,
    quit: () => stop.abort(),
    capture: (onEvent, say) => captureForEver(app, signal, onEvent, say),
  });
}

interface Surroundings {
  readonly own: Releasers;
  readonly signal: AbortSignal;
  readonly report: StartReport;
}

async function shoot(
  context: Context,
  app: Celery,
  flags: EventsFlags & { readonly camera: string },
  { own, signal, report }: Surroundings,
): Promise<void> {
  const freq = flags.frequency ?? flags.freq ?? 1;
  if (!(freq > 0)) throw context.usage("Invalid value for '-F' / '--frequency': it has to be more than 0.");
  const maxRate = rateOf(flags, context);
  const logger = loggerOf(app, flags);
  own.push(() => logger.close());
  if (flags.pidfile !== undefined) {
    const pidfile = claimPidFile(flags.pidfile, printError);
    own.push(() => pidfile.release());
  }
  const camera = await cameraOf(flags.camera, context);
  print(`-> evcam: Taking snapshots with ${flags.camera} (every ${String(freq)} secs.)`);
  const state = app.events.State();
  const photographer = new Photographer(camera, { state, freq, maxRate, logger });
  photographer.start();
  report.ready();
  try {
    await captureForEver(app, signal, (event) => state.event(event));
  } finally {
    await photographer.stop();
  }
}

function rateOf({ maxrate }: EventsFlags, context: Context): number {
  try {
    return parseRate(maxrate);
  } catch (error) {
    if (!(error instanceof CeleryError)) throw error;
    throw context.usage(`Invalid value for '-r' / '--maxrate': ${error.message} (use a rate such as 10/m)`);
  }
}

async function cameraOf(spec: string, context: Context): Promise<Camera> {
  const found = await importExport(spec, { cwd: context.cwd });
  if (typeof found !== 'function' || !('onShutter' in (found.prototype as object))) {
    throw context.usage(
      `Invalid value for '-c' / '--camera': '${spec}' is no class with a method onShutter.`,
    );
  }
  return new (found as new () => Camera)();
}

function loggerOf(app: Celery, { logfile, loglevel }: EventsFlags): Logger {
  const file = logfile === undefined ? undefined : resolve(logfile);
  if (file !== undefined) {
    try {
      closeSync(openSync(file, 'a'));
    } catch (error) {
      throw cannotWrite('log file', file, error);
    }
  }
  return createLogger({
    level: logLevel(loglevel),
    format: app.settings.worker_log_format,
    taskFormat: app.settings.worker_task_log_format,
    destination: file ?? process.stderr.fd,
    processName: 'MainProcess',
    color: false,
  });
}

/** Captures events until the signal, over a new connection after each loss. */
async function captureForEver(
  app: Celery,
  signal: AbortSignal,
  onEvent: EventHandler,
  say: (text: string) => void = print,
): Promise<void> {
  while (!signal.aborted) {
    let heard = false;
    const capture = async (): Promise<void> => {
      const receiver = app.events.Receiver({ handlers: { '*': onEvent } });
      try {
        await receiver.capture({ signal, onReady: () => (heard = true) });
      } catch (error) {
        if (!heard || !(error instanceof OperationalError)) throw error;
        say('-> Connection lost, attempting reconnect');
      }
    };
    await retry(capture, PATIENCE, {
      signal,
      retryIf: (error) => error instanceof OperationalError && !(error instanceof AccessRefused),
      onRetry: (error, _attempt, pauseMs) => {
        const reason = error instanceof Error ? error.message : String(error);
        say(`-> ${reason}\nTrying again in ${(pauseMs / 1000).toFixed(2)} seconds\n`);
      },
    }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
