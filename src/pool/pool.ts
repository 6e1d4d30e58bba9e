import type { TraceJob } from '../app/run.ts';
import type { Service } from '../core/lifecycle.ts';
import type { EncodedValue, Outcome } from '../message/outcome.ts';

/** One task to run: headers read, body as the bytes that arrived. */
export interface Job extends Omit<TraceJob, 'isEager'> {
  /** The headers as the broker carried them, see `Envelope`: passed on as they are. */
  readonly headerBytes?: Buffer | undefined;
  /** Seconds from the start in the child; undefined = no limit. */
  readonly timeLimit: number | undefined;
  /**
   * Seconds after which `self.signal` is aborted. JavaScript cannot be interrupted: a task that does not look at its signal,
   * or never gives the event loop a turn, goes on until the hard limit.
   */
  readonly softTimeLimit: number | undefined;
}

/** A state that a running task stores about itself: `self.updateState('PROGRESS', …)`. */
export interface StateUpdate {
  readonly taskId: string;
  readonly state: string;
  readonly meta: EncodedValue;
}

/** A process that runs tasks, as logs name it: `ForkPoolWorker-1`, or `MainProcess` in the solo pool. */
export interface PoolProcess {
  readonly pid: number;
  readonly name: string;
}

/** What a pool tells about a job while it runs. */
export interface JobEvents {
  /** A process has the job; early acknowledgement happens here. */
  onAccepted(process: PoolProcess): void;
  /** Resolves when the state is stored; the task waits for it. */
  onState(update: StateUpdate): Promise<void>;
  /** The soft time limit passed and the task was told. */
  onSoftTimeout(seconds: number): void;
}

/** Runs jobs, as many at the same time as it has slots. Knows no broker. */
export interface Pool extends Service {
  /** As the banner prints it: `prefork`, `async`, `solo`. */
  readonly name: string;
  /** Slots. */
  readonly size: number;
  /** Slots without a job. */
  readonly free: number;
  /** Resolves, with the reason, when jobs cannot be run any more; absent where that cannot happen. */
  readonly failed?: Promise<Error>;
  /** Pids that run tasks. */
  readonly pids: readonly number[];
  /** Runs the job, or waits for a slot. Never rejects: whatever happens to the process is an outcome. */
  submit(job: Job, events: JobEvents): Promise<Outcome>;
  /** Whether a job of this task would come to a process at once although each slot has one. Absent where that cannot be. */
  hasRoom?(task: string): boolean;
  /** Takes back jobs that wait for a slot (shutdown): their `submit` never settles; returns their ids. */
  takeWaiting(): readonly string[];
  /** Ends a running job, with its process where it has one of its own; false when the job is not running here. */
  terminate(taskId: string, signal: NodeJS.Signals): boolean;
  grow(count: number): Promise<void>;
  shrink(count: number): Promise<void>;
  /** Replaces all processes: idle ones now, others after their job. Absent where there are none. */
  restart?(): void;
  /** Resolves when no job runs or waits. */
  drained(): Promise<void>;
  /** Kills what runs, at once; `stop()` lets it finish. */
  kill(): Promise<void>;
  /**
   * Takes an error that nothing in this process has caught: it may be of a task. Absent where tasks run in other processes.
   * @returns false when it cannot be
   */
  takeEscaped?(error: unknown): boolean;
  /** The `pool` part of `inspect stats`. */
  stats(): Readonly<Record<string, unknown>>;
}
