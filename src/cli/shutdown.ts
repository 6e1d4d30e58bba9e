import type { Logger } from '../core/logger.ts';
import type { StopMode } from '../worker/worker.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';

/** What the signals of this process control. */
export interface Stoppable {
  stop(how: StopMode): Promise<void>;
}

/** The handlers of a running worker. */
export interface SignalHandlers {
  /** What the signals add to the worker's own exit code: Celery ends with 1 after Ctrl-C. */
  readonly exitCode: number;
  remove(): void;
}

const WARM = 'worker: Warm shutdown (MainProcess)';
const COLD = 'worker: Cold shutdown (MainProcess)';
const FIRST_HINT = 'worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!';
const SECOND_HINT = 'worker: Hitting Ctrl+C again will terminate all running tasks!';

/**
 * SIGTERM and the first SIGINT stop the worker warmly, SIGQUIT and the second SIGINT coldly; one more ends the process at once.
 */
export function handleSignals(worker: Stoppable): SignalHandlers {
  const state = { exitCode: EXIT.ok as number, interrupts: 0, cold: false };
  const stop = (how: StopMode, ...lines: string[]) => {
    for (const line of lines) print(`\n${line}`);
    void worker.stop(how); // It never rejects; main waits for the worker's end.
  };
  const cold = (...lines: string[]) => {
    if (state.cold) process.exit(EXIT.failure);
    state.cold = true;
    stop('cold', ...lines);
  };
  const handlers = {
    SIGTERM: () => stop('warm', WARM),
    SIGINT: () => {
      state.exitCode = EXIT.failure;
      state.interrupts += 1;
      if (state.interrupts === 1 && !state.cold) stop('warm', FIRST_HINT, WARM);
      else cold(SECOND_HINT);
    },
    SIGQUIT: () => cold(SECOND_HINT, COLD),
  };
  const entries = Object.entries(handlers) as [keyof typeof handlers, () => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return {
    get exitCode() {
      return state.exitCode;
    },
    remove: () => {
      for (const [signal, handler] of entries) process.off(signal, handler);
    },
  };
}

const ENDING = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/**
 * While a worker is being made, and after its end, a signal ends the process as it would anyway, but not without this.
 * @param cleanUp must not take time
 */
export function beforeDying(cleanUp: () => void): SignalGuard {
  const guard = { isServed: false };
  const die = (signal: NodeJS.Signals): void => {
    // A worker runs, and has handlers of its own.
    if (guard.isServed) return;
    cleanUp();
    for (const each of ENDING) process.off(each, die);
    process.kill(process.pid, signal);
  };
  for (const signal of ENDING) process.on(signal, die);
  return guard;
}

/** What `beforeDying` watches. */
export interface SignalGuard {
  /** A worker runs: signals are its own. */
  isServed: boolean;
}

/** Errors that no code has caught, in a running worker. */
export interface AccidentHandlers {
  readonly happened: boolean;
  remove(): void;
}

/**
 * An error out of nowhere, mostly of a timer or promise that the app's module has left running here: it is logged, and the
 * worker stops warmly, so that no task is lost and whoever watches over it starts it anew.
 * @param ofTask takes those that are of a task running in this process
 */
export function handleAccidents(
  worker: Stoppable,
  logger: Logger,
  ofTask: (error: unknown) => boolean = () => false,
): AccidentHandlers {
  const state = { happened: false };
  const onError = (error: unknown): void => {
    if (ofTask(error)) return;
    logger.critical('An error that no code caught; the worker shuts down.', error);
    if (state.happened) return;
    state.happened = true;
    void worker.stop('warm'); // It never rejects; main waits for the worker's end.
  };
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  return {
    get happened() {
      return state.happened;
    },
    remove: () => {
      process.off('uncaughtException', onError);
      process.off('unhandledRejection', onError);
    },
  };
}
