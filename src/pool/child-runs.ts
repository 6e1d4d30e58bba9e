import { AsyncLocalStorage } from 'node:async_hooks';
import type { TraceHooks, Tracer } from '../app/trace.ts';
import { OperationalError, SoftTimeLimitExceeded, Terminated } from '../core/errors.ts';
import type { Outcome } from '../message/outcome.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import { EscapeGuard } from './escape-guard.ts';
import type { ArrivedMessage } from './job-frames.ts';
import type { ChildMessage } from './messages.ts';
import type { StateUpdate } from './pool.ts';

type QueuedJob = ArrivedMessage;

type StoreState = (number: number, update: StateUpdate) => Promise<void>;

/** A job that runs, and how it is reached from outside. */
class Run implements TraceHooks {
  readonly number: number;
  readonly escapes = new EscapeGuard();
  #abort: AbortController | undefined;
  #reason: Error | undefined;
  isBroken = false;
  /** The supervisor has given it up. */
  isGivenUp = false;
  readonly #storeState: StoreState;

  constructor(number: number, storeState: StoreState) {
    this.number = number;
    this.#storeState = storeState;
  }

  onState(update: StateUpdate): Promise<void> {
    return this.#storeState(this.number, update);
  }

  guard(called: Promise<unknown>): Promise<unknown> {
    return this.escapes.guard(called);
  }

  // Made when the task asks for it: most never do.
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** Whether the task has taken its signal, so that it may end by itself. */
  get isListening(): boolean {
    return this.#abort !== undefined;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#abort?.abort(reason);
  }
}

export interface ChildRunsOptions {
  readonly tracer: Tracer;
  /** Jobs run at the same time; else one after the other. */
  readonly isConcurrent: boolean;
  readonly send: (message: ChildMessage) => void;
  /** Writes what was sent, now. */
  readonly flush: () => void;
  /** No job runs at the moment; what the last one has printed is due. */
  readonly onIdle: () => void;
  /** After `terminate`: nobody is waited for any more. */
  readonly onTerminated: () => void;
}

/** The jobs of a child process: one after the other, or all at the same time. */
export class ChildRuns {
  readonly #options: ChildRunsOptions;
  readonly #running = new Map<number, Run>();
  readonly #queue: QueuedJob[] = [];
  readonly #states = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  /** Whose code it is, where there is more than one. */
  readonly #owner = new AsyncLocalStorage<Run>();
  #sequence = 0;
  #isWorking = false;
  /** Not to be trusted with another job. */
  #isBroken = false;
  #isTerminated = false;

  constructor(options: ChildRunsOptions) {
    this.#options = options;
  }

  take(job: QueuedJob): void {
    if (this.#options.isConcurrent) {
      void this.#runAside(job);
      return;
    }
    this.#queue.push(job);
    if (!this.#isWorking) void this.#work();
  }

  /** Gives back the jobs that have not begun. */
  recall(): void {
    for (const job of this.#queue.splice(0)) this.#return(job);
  }

  softLimit(number: number, seconds: number): void {
    this.#running.get(number)?.abort(new SoftTimeLimitExceeded('', seconds));
  }

  /** The supervisor gives the job up: what it returns counts for nothing. */
  giveUp(number: number): void {
    const run = this.#running.get(number);
    // Its outcome is on the way.
    if (run === undefined) return;
    run.isGivenUp = true;
    this.#options.send({ kind: 'aborted', number, isListening: run.isListening });
    run.abort(new Terminated());
  }

  stored(sequence: number, error: string | null): void {
    const waiting = this.#states.get(sequence);
    this.#states.delete(sequence);
    if (error === null) waiting?.resolve();
    else waiting?.reject(new OperationalError(`The state could not be stored: ${error}`));
  }

  /**
   * An error that no code caught: the task whose code it is fails with it.
   *
   * @returns false when it is of none that runs, or nobody knows of which; this process then begins no job of a queue any more
   */
  takeEscaped(error: unknown): boolean {
    const run = this.#guilty();
    if (run?.escapes.fail(error) === true) {
      run.isBroken = true;
      return true;
    }
    this.#isBroken = true;
    this.#options.send({ kind: 'broken' });
    this.recall();
    return false;
  }

  /** The process has to end: tasks that have their signal may clean up, until it is killed. */
  terminate(): void {
    this.#isTerminated = true;
    for (const run of this.#running.values()) {
      if (!run.isListening) continue;
      run.isGivenUp = true;
      run.abort(new Terminated());
    }
    this.#endIfTerminated();
  }

  #guilty(): Run | undefined {
    const owner = this.#owner.getStore();
    if (owner !== undefined) return this.#running.get(owner.number);
    // Without an owner it may be code of the app that serves several tasks.
    return this.#running.size === 1 ? [...this.#running.values()][0] : undefined;
  }

  #endIfTerminated(): boolean {
    if (!this.#isTerminated) return false;
    for (const run of this.#running.values()) if (run.isGivenUp) return false;
    this.#options.onTerminated();
    return true;
  }

  /** Runs what it was given, one job after the other. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (this.#isBroken) {
        this.#return(next);
        continue;
      }
      await this.#run(next, new Run(next.number, this.#storeState));
      if (this.#isTerminated) return;
      // Before the next one begins: should this process end of it, the supervisor knows what was done.
      this.#options.flush();
    }
    this.#isWorking = false;
  }

  /** Runs it beside the others. */
  async #runAside(job: QueuedJob): Promise<void> {
    const run = new Run(job.number, this.#storeState);
    await this.#owner.run(run, () => this.#run(job, run));
  }

  async #run({ number, job, reportMemory }: QueuedJob, run: Run): Promise<void> {
    this.#running.set(number, run);
    const outcome = await this.#options.tracer(job, run);
    this.#running.delete(number);
    if (this.#running.size === 0) this.#options.onIdle();
    this.#isBroken ||= run.isBroken;
    if (!run.isGivenUp) this.#finish(number, outcome, reportMemory, run.isBroken);
    else if (!this.#isTerminated) this.#options.send({ kind: 'ended', number });
    this.#endIfTerminated();
  }

  #finish(number: number, outcome: Outcome, reportMemory: boolean, isBroken: boolean): void {
    const memoryKb = reportMemory ? Math.ceil(process.memoryUsage.rss() / 1024) : null;
    const { send } = this.#options;
    try {
      send({ kind: 'outcome', number, outcome, memoryKb, isBroken });
    } catch (error) {
      // Too large for a frame.
      send({ kind: 'outcome', number, outcome: failureInstead(outcome, error), memoryKb, isBroken });
    }
  }

  #return({ number }: QueuedJob): void {
    this.#options.send({ kind: 'returned', number });
  }

  readonly #storeState: StoreState = (number, update) => {
    this.#sequence += 1;
    const sequence = this.#sequence;
    return new Promise((resolve, reject) => {
      this.#states.set(sequence, { resolve, reject });
      this.#options.send({ kind: 'state', number, sequence, update });
    });
  };
}

function failureInstead(outcome: Outcome, error: unknown): Outcome {
  const seconds = 'children' in outcome ? outcome.seconds : 0;
  return {
    kind: 'failure',
    seconds,
    children: [],
    embed: null,
    error: toRemoteError(error),
    expected: false,
    repr: errorRepr(error),
  };
}
