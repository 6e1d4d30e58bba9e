import type { Timer, TimerHandle } from '../core/timer.ts';
import type { Outcome } from '../message/outcome.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import type { ChildMessage, ParentMessage } from './messages.ts';
import type { Job, JobEvents } from './pool.ts';

/** A job, whom to tell of its run, and what to call with its end. */
export interface JobCall {
  readonly job: Job;
  readonly events: JobEvents;
  /** Called once with its end, whatever happens. */
  readonly done: (outcome: Outcome) => void;
}

/** What happens at the limits of a job. */
export interface LimitActions {
  onSoftLimit(seconds: number): void;
  onHardLimit(): void;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A job that a child process has: its time limits, and how it ends when its process does. */
export class RunningJob {
  /** Counts the jobs of one child, so that both sides speak of the same. */
  readonly number: number;
  readonly call: JobCall;
  readonly onEnd: (outcome: Outcome) => void;
  /** When it became the one that runs, on the clock of `performance.now()`. */
  startedMs = 0;
  isTimedOut = false;
  /** The signal that was sent to end it. */
  terminatedBy: NodeJS.Signals | undefined;
  #softLimit: TimerHandle | undefined;
  #hardLimit: TimerHandle | undefined;

  constructor(number: number, call: JobCall, onEnd: (outcome: Outcome) => void) {
    this.number = number;
    this.call = call;
    this.onEnd = onEnd;
  }

  get job(): Job {
    return this.call.job;
  }

  start(timer: Timer, actions: LimitActions): void {
    this.startedMs = performance.now();
    const { softTimeLimit, timeLimit } = this.job;
    if (isLimit(softTimeLimit)) {
      this.#softLimit = timer.callAfter(softTimeLimit * 1000, () => {
        actions.onSoftLimit(softTimeLimit);
      });
    }
    if (isLimit(timeLimit)) {
      this.#hardLimit = timer.callAfter(timeLimit * 1000, () => {
        actions.onHardLimit();
      });
    }
  }

  /** In place of its hard limit. */
  endAfter(timer: Timer, ms: number, end: () => void): void {
    this.cancelLimits();
    this.#hardLimit = timer.callAfter(ms, end);
  }

  cancelLimits(): void {
    this.#softLimit?.cancel();
    this.#hardLimit?.cancel();
  }

  /** Whether the end of its process was our doing. */
  get isEndedByUs(): boolean {
    return this.isTimedOut || this.terminatedBy !== undefined;
  }

  /** What it is when it ends without an outcome of its own. @param exit - how its process ended */
  outcomeOfEnd({ code, signal }: ProcessExit): Outcome {
    if (this.isTimedOut) return { kind: 'timeout', seconds: this.job.timeLimit ?? 0 };
    if (this.terminatedBy !== undefined) return { kind: 'terminated', signal: this.terminatedBy };
    return { kind: 'lost', exitCode: code, signal };
  }
}

function isLimit(seconds: number | undefined): seconds is number {
  return seconds !== undefined && seconds > 0;
}

/** Stores a state that a job tells about itself; a job that has ended has nothing to tell. */
export async function answerState(
  { sequence, update }: Extract<ChildMessage, { kind: 'state' }>,
  running: RunningJob | undefined,
): Promise<ParentMessage> {
  try {
    await running?.call.events.onState(update);
    return { kind: 'stored', sequence, error: null };
  } catch (error) {
    return { kind: 'stored', sequence, error: error instanceof Error ? error.message : String(error) };
  }
}

/** The outcome of a job that cannot be passed on to a child. */
export function unsendable(error: unknown): Outcome {
  return {
    kind: 'failure',
    seconds: 0,
    children: [],
    embed: null,
    error: toRemoteError(error),
    expected: false,
    repr: errorRepr(error),
  };
}
