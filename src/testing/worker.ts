import { hostname as hostOfMachine } from 'node:os';
import type { Celery } from '../app/celery.ts';
import { createTracer } from '../app/trace.ts';
import { createLogger, nullLogger } from '../core/logger.ts';
import type { Logger, LogLevel } from '../core/logger.ts';
import { nodename } from '../core/nodename.ts';
import { createSoloPool } from '../pool/solo.ts';
import type { StopMode } from '../worker/worker.ts';
import { Worker } from '../worker/worker.ts';

/** Options of `startWorker`; each may be left out. */
export interface TestWorkerOptions {
  /** Node name as for `-n`: `w1` is `celery@w1`. Default: `celery@` and the name of this machine. */
  readonly hostname?: string;
  /** Names of the queues to consume. Default: all of `task_queues`. */
  readonly queues?: readonly string[];
  /** Lines of the worker's log from this level on go to stderr. Default: none. */
  readonly loglevel?: LogLevel;
  /** Gives up starting, for instance when the broker cannot be reached. */
  readonly signal?: AbortSignal;
}

/** A worker in this process. */
export interface TestWorker extends AsyncDisposable {
  /** Its full node name. */
  readonly hostname: string;
  /**
   * Stops it; `warm`, the default, waits for the running task. The app stays open.
   * @throws the error that ended the worker by itself
   */
  stop(how?: StopMode): Promise<void>;
}

/**
 * Starts a worker in this process that runs the app's tasks one at a time, as `celery-ts worker --pool=solo` does: messages are
 * encoded, sent, received and decoded as in production. It resolves when the worker is ready.
 *
 * With `memory://` as broker and `cache+memory://` as result backend nothing outside this process is needed. Time limits that
 * kill a process do not exist here. A task that waits for another task waits for ever, as there is one slot.
 *
 * @throws {OperationalError} the broker cannot be reached
 */
export async function startWorker(app: Celery, options: TestWorkerOptions = {}): Promise<TestWorker> {
  await app.ready();
  const logger = options.loglevel === undefined ? nullLogger : stderrLogger(app, options.loglevel);
  const hostname = nodename(options.hostname, hostOfMachine());
  const event = { sender: hostname, app, pid: process.pid };
  const worker = new Worker(app, {
    hostname,
    pool: createSoloPool({ tracer: createTracer(app, { logger }), logger, event }),
    logger,
    ...(options.queues !== undefined && { queues: options.queues }),
  });
  await worker.start(options.signal ?? new AbortController().signal);
  options.signal?.throwIfAborted();
  const stop = async (how: StopMode = 'warm'): Promise<void> => {
    await worker.stop(how);
    const { error } = await worker.finished;
    if (error !== undefined) throw error;
  };
  return { hostname: worker.hostname, stop, [Symbol.asyncDispose]: () => stop() };
}

function stderrLogger(app: Celery, level: LogLevel): Logger {
  const { worker_log_format: format, worker_task_log_format: taskFormat } = app.settings;
  return createLogger({
    level,
    format,
    taskFormat,
    destination: 2,
    processName: 'MainProcess',
    color: false,
  });
}
