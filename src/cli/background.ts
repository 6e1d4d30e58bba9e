import { closeSync, writeSync } from 'node:fs';
import type { Context } from './context.ts';

/** Tells a process in the background that its starter reads this descriptor. */
export const READY = '_CELERY_TS_READY_FD';
export const READY_FD = 3;
/** Sent when the start has succeeded; what comes before is what was written to stderr. */
export const READY_MARK = '\0';

/** Whether this process was started by `--detach`. */
export function isInBackground(env: Context['env']): boolean {
  return env[READY] !== undefined;
}

/** What a process in the background says to its starter. */
export interface StartReport {
  /** Whether anybody waits for it: this process has no terminal. */
  readonly inBackground: boolean;
  /** It has started: the starter may go. */
  ready(): void;
}

/** Shows the starter of this process what is written to stderr, until `ready`. Does nothing in the foreground. */
export function reportStart(env: Context['env']): StartReport {
  if (!isInBackground(env)) return { inBackground: false, ready: () => undefined };
  // Nobody else is to take this process for their starter's.
  delete process.env._CELERY_TS_READY_FD;
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
    tell(text);
    return write(text, ...(rest as []));
  };
  return {
    inBackground: true,
    ready: () => {
      process.stderr.write = write;
      tell(READY_MARK);
      closeSync(READY_FD);
    },
  };
}

function tell(text: string | Uint8Array): void {
  try {
    writeSync(READY_FD, Buffer.from(text));
  } catch {
    // Whoever has started it is gone.
  }
}
