import type { ChildExit } from './child-process.ts';

/** A child process with its jobs. */
export interface PoolChild {
  /** Number of its slot, from 1. */
  readonly index: number;
  /** 0 when the process could not even be started. */
  readonly pid: number;
  /** Jobs it has finished. */
  readonly jobs: number;
  /** It has loaded the app, and lives. */
  readonly isReady: boolean;
  /** It has jobs whose end somebody waits for. */
  readonly isBusy: boolean;
  /** It finishes what it has, and gets no more. */
  retire(): void;
  /** Lets it end by itself when it has nothing to do any more; resolves when the process is gone. */
  close(): Promise<void>;
  /** Ends it, and what it runs, at once. */
  kill(): Promise<void>;
}

/** What a child tells the pool about itself. */
export interface ChildEvents {
  /** The app is loaded: it takes a job. */
  onReady(): void;
  /** It may finish what it runs, but is not to get another job. */
  onBroken(): void;
  onExit(exit: ChildExit): void;
}
