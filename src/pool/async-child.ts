import type { Outcome } from '../message/outcome.ts';
import type { ChildExit, ChildOptions, JobMessage } from './child-process.ts';
import { ChildProcess, KILL_AFTER_MS, TERMINATE_GRACE_MS } from './child-process.ts';
import type { ChildEvents, PoolChild } from './pool-child.ts';
import type { JobCall } from './running-job.ts';
import { answerState, RunningJob, unsendable } from './running-job.ts';

/** Who does not answer for so long, while a job is given up, has code that keeps its event loop from running anything. */
const BLOCKED_MS = 5_000;

/** Jobs that wait for the end of the turn, so that they leave in one write. */
const FLUSH_JOBS = 8;

/**
 * A child process that runs many jobs at the same time, with their time limits.
 *
 * It cannot be killed for one of them. A job that has to end is given up: its signal is aborted, and it is settled when its code
 * has ended, or at once when it never asked for its signal, or after a moment of grace. If its code then still runs, the child
 * gets no more jobs, and ends when the others have.
 */
export class AsyncChild implements PoolChild {
  readonly index: number;
  readonly #options: ChildOptions;
  readonly #events: ChildEvents;
  readonly #process: ChildProcess;
  /** Those whose code runs. */
  readonly #runs = new Map<number, GivenJob>();
  #jobs = 0;
  #numbers = 0;
  /** Jobs whose end somebody waits for. */
  #load = 0;
  #isRetired = false;

  constructor(options: ChildOptions, events: ChildEvents) {
    this.#options = options;
    this.#events = events;
    this.index = options.index;
    this.#process = new ChildProcess(options, true, {
      onReady: () => {
        events.onReady();
      },
      onMessage: (message) => {
        this.#onMessage(message);
      },
      isEndExpected: () => false,
      onExit: (exit) => {
        this.#onExit(exit);
      },
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get jobs(): number {
    return this.#jobs;
  }

  /** Jobs that it was ever given. */
  get given(): number {
    return this.#numbers;
  }

  /** Jobs that it has. */
  get load(): number {
    return this.#load;
  }

  get isReady(): boolean {
    return this.#process.isReady;
  }

  /** Whether it may be given a job. */
  get isUsable(): boolean {
    return this.isReady && !this.#isRetired && !this.#process.isClosing;
  }

  get isBusy(): boolean {
    return this.#load > 0;
  }

  run(call: JobCall, onEnd: (outcome: Outcome) => void): void {
    this.#numbers += 1;
    const number = this.#numbers;
    const { timer, maxMemoryKb } = this.#options;
    this.#load += 1;
    const job = new GivenJob(number, call, (outcome) => {
      this.#load -= 1;
      onEnd(outcome);
    });
    try {
      this.#process.send({ kind: 'job', number, job: call.job, reportMemory: maxMemoryKb !== null });
    } catch (error) {
      job.settle(unsendable(error));
      return;
    }
    // As many tasks end together as began together: the first of the next ones do not wait for the last.
    if (number % FLUSH_JOBS === 0) this.#process.flush();
    this.#runs.set(number, job);
    job.start(timer, {
      onSoftLimit: (seconds) => {
        this.#process.send({ kind: 'soft-limit', number, seconds });
        call.events.onSoftTimeout(seconds);
      },
      onHardLimit: () => {
        job.isTimedOut = true;
        this.#giveUp(job, KILL_AFTER_MS);
      },
    });
    call.events.onAccepted(this.#process);
  }

  retire(): void {
    this.#isRetired = true;
  }

  /** Gives up its jobs of that id, as the signal would end a process: KILL leaves no moment to clean up. @returns whether it has one */
  terminate(taskId: string, signal: NodeJS.Signals): boolean {
    let isFound = false;
    for (const job of this.#runs.values()) {
      if (job.job.id !== taskId || job.isSettled) continue;
      isFound = true;
      if (job.isTimedOut) continue;
      job.terminatedBy = signal;
      this.#giveUp(job, signal === 'SIGKILL' ? 0 : TERMINATE_GRACE_MS);
    }
    return isFound;
  }

  close(): Promise<void> {
    return this.#process.close();
  }

  kill(): Promise<void> {
    return this.#process.kill(this.isBusy);
  }

  #giveUp(job: GivenJob, graceMs: number): void {
    this.#process.send({ kind: 'abort', number: job.number });
    job.endAfter(this.#options.timer, graceMs, () => {
      this.#overrun(job);
    });
  }

  /** The code of a job that was given up still runs. */
  #overrun(job: GivenJob): void {
    this.#events.onBroken();
    this.#settle(job);
    if (job.isAborted) return;
    // It has not even heard of it.
    if (!this.isBusy) this.#process.signal('SIGKILL');
    this.#options.timer.callAfter(BLOCKED_MS, () => {
      if (this.#runs.has(job.number) && !job.isAborted) {
        this.#process.giveUp('a task keeps its event loop from running anything else.');
      }
    });
  }

  #settle(job: GivenJob, outcome: Outcome = job.outcomeOfEnd({ code: null, signal: null })): void {
    job.settle(outcome);
  }

  #onMessage(message: JobMessage): void {
    switch (message.kind) {
      case 'state':
        void this.#storeState(message);
        break;
      case 'outcome':
        this.#finish(message);
        break;
      case 'aborted':
        this.#onAborted(message.number, message.isListening);
        break;
      case 'ended':
        this.#end(message.number);
        break;
      case 'returned':
        break; // It begins what it is given at once.
      case 'broken':
        this.#events.onBroken();
        break;
      default:
        message satisfies never;
    }
  }

  #finish({ number, outcome, memoryKb, isBroken }: Extract<JobMessage, { kind: 'outcome' }>): void {
    const { maxMemoryKb } = this.#options;
    const isTooLarge = maxMemoryKb !== null && memoryKb !== null && memoryKb > maxMemoryKb;
    if (isBroken || isTooLarge) this.#events.onBroken();
    this.#end(number, outcome);
  }

  /** The code of a job has ended. @param outcome - undefined when it was given up */
  #end(number: number, outcome?: Outcome): void {
    const job = this.#runs.get(number);
    if (job === undefined) return;
    this.#runs.delete(number);
    this.#jobs += 1;
    job.cancelLimits();
    // Too late at the hard limit: that is how the task ended.
    this.#settle(job, job.isTimedOut ? undefined : outcome);
  }

  #onAborted(number: number, isListening: boolean): void {
    const job = this.#runs.get(number);
    if (job === undefined) return;
    job.isAborted = true;
    if (!isListening) this.#settle(job);
  }

  async #storeState(message: Extract<JobMessage, { kind: 'state' }>): Promise<void> {
    const job = this.#runs.get(message.number);
    this.#process.send(await answerState(message, job?.isSettled === false ? job : undefined));
  }

  #onExit(exit: ChildExit): void {
    // The pool first: it counts this child out before the outcomes bring the next jobs.
    this.#events.onExit(exit);
    for (const job of this.#runs.values()) {
      job.cancelLimits();
      this.#settle(job, job.outcomeOfEnd(exit));
    }
    this.#runs.clear();
  }
}

/** A job of a child, whose end may be told before its code ends. */
class GivenJob extends RunningJob {
  #isSettled = false;
  /** The child has aborted its signal. */
  isAborted = false;

  get isSettled(): boolean {
    return this.#isSettled;
  }

  settle(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.onEnd(outcome);
  }
}
