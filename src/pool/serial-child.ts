import type { Outcome } from '../message/outcome.ts';
import type { ChildExit, ChildOptions, JobMessage } from './child-process.ts';
import { ChildProcess, KILL_AFTER_MS, TERMINATE_GRACE_MS } from './child-process.ts';
import type { ChildEvents, PoolChild } from './pool-child.ts';
import type { JobCall } from './running-job.ts';
import { answerState, RunningJob, unsendable } from './running-job.ts';

export interface SerialChildEvents extends ChildEvents {
  /** It did not begin these jobs, and will not. */
  onReturned(jobs: readonly JobCall[]): void;
}

/** A child process that runs one job after the other, with their time limits. */
export class SerialChild implements PoolChild {
  readonly index: number;
  readonly #options: ChildOptions;
  readonly #events: SerialChildEvents;
  readonly #process: ChildProcess;
  /** The one that runs, and those that were given ahead. */
  readonly #queue: RunningJob[] = [];
  #jobs = 0;
  #numbers = 0;
  /** Begins no job any more. */
  #isBroken = false;
  /** Gets no job any more. */
  #isRetired = false;

  constructor(options: ChildOptions, events: SerialChildEvents) {
    this.#options = options;
    this.#events = events;
    this.index = options.index;
    this.#process = new ChildProcess(options, false, {
      onReady: () => {
        events.onReady();
      },
      onMessage: (message) => {
        this.#onMessage(message);
      },
      isEndExpected: () => this.running?.isEndedByUs === true,
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

  get isReady(): boolean {
    return this.#process.isReady;
  }

  /** Whether it may be given another job. */
  get isUsable(): boolean {
    return this.isReady && !this.#isBroken && !this.#isRetired && !this.#process.isClosing;
  }

  get isBusy(): boolean {
    return this.#queue.length > 0;
  }

  get running(): RunningJob | undefined {
    return this.#queue[0];
  }

  /** Jobs that wait behind the one that runs. */
  get ahead(): number {
    return Math.max(0, this.#queue.length - 1);
  }

  /** Gives the child a job; one that is busy runs it after those that it has. */
  run(call: JobCall, onEnd: (outcome: Outcome) => void): void {
    this.#numbers += 1;
    const number = this.#numbers;
    const reportMemory = this.#options.maxMemoryKb !== null;
    try {
      this.#process.send({ kind: 'job', number, job: call.job, reportMemory });
    } catch (error) {
      // Headers or a body that cannot be passed on, such as a date out of range: no fault of this process.
      onEnd(unsendable(error));
      return;
    }
    const running = new RunningJob(number, call, onEnd);
    if (this.#queue.push(running) === 1) this.#begin(running);
  }

  #begin(running: RunningJob): void {
    const { number } = running;
    const { events } = running.call;
    running.start(this.#options.timer, {
      onSoftLimit: (seconds) => {
        this.#process.send({ kind: 'soft-limit', number, seconds });
        events.onSoftTimeout(seconds);
      },
      onHardLimit: () => {
        running.isTimedOut = true;
        this.#end(running, KILL_AFTER_MS);
      },
    });
    events.onAccepted(this.#process);
  }

  retire(): void {
    this.#isRetired = true;
  }

  /** Asks for the jobs back that it has not begun. */
  recall(): void {
    this.#process.send({ kind: 'recall' });
  }

  /** Sends a signal to the process for its running task, whose outcome is `terminated` if the process ends of it. */
  terminate(signal: NodeJS.Signals): void {
    const { running } = this;
    this.#isBroken = true;
    if (this.ahead > 0) this.recall();
    if (running !== undefined) running.terminatedBy = signal;
    if (running !== undefined && signal === 'SIGTERM') this.#end(running, TERMINATE_GRACE_MS);
    else this.#process.signal(signal);
  }

  close(): Promise<void> {
    return this.#process.close();
  }

  kill(): Promise<void> {
    return this.#process.kill(this.isBusy);
  }

  #onMessage(message: JobMessage): void {
    switch (message.kind) {
      case 'state':
        void this.#storeState(message);
        break;
      case 'outcome':
        this.#finish(message);
        break;
      case 'returned':
        this.#onReturned(message.number);
        break;
      case 'broken':
        this.#isBroken = true;
        this.#events.onBroken();
        break;
      case 'aborted':
      case 'ended':
        break; // Its jobs are never aborted: the process ends instead.
      default:
        message satisfies never;
    }
  }

  #finish(message: Extract<JobMessage, { kind: 'outcome' }>): void {
    this.#jobs += 1;
    const { maxMemoryKb } = this.#options;
    const isTooLarge = maxMemoryKb !== null && message.memoryKb !== null && message.memoryKb > maxMemoryKb;
    const { running } = this;
    // Too late: it is being killed at its hard limit, and that is how the task ended.
    if (running?.isTimedOut === true) return;
    // The signal for this task may end the process only now, and would take the next one with it.
    const isSignalled = running?.terminatedBy !== undefined;
    if (message.isBroken || isTooLarge || isSignalled) {
      this.#isBroken = true;
      this.#events.onBroken();
    }
    this.#settle(message.outcome);
  }

  /** The running job has ended; the next one begins, unless the child will not run it any more. */
  #settle(outcome: Outcome): void {
    const ended = this.#queue.shift();
    if (ended === undefined) return;
    ended.cancelLimits();
    const next = this.running;
    if (next !== undefined && !this.#isBroken) this.#begin(next);
    ended.onEnd(outcome);
  }

  #onReturned(number: number): void {
    const at = this.#queue.findIndex((each) => each.number === number);
    const [returned] = at === -1 ? [] : this.#queue.splice(at, 1);
    if (returned === undefined) return;
    returned.cancelLimits();
    const next = this.running;
    if (at === 0 && next !== undefined && !this.#isBroken) this.#begin(next);
    this.#events.onReturned([returned.call]);
  }

  async #storeState(message: Extract<JobMessage, { kind: 'state' }>): Promise<void> {
    const { running } = this;
    const answer = await answerState(message, running?.number === message.number ? running : undefined);
    this.#process.send(answer);
  }

  /** Tells the child to die: it aborts the task's signal first. A task that does not listen to it is not waited for. */
  #end(running: RunningJob, graceMs: number): void {
    this.#process.signal('SIGTERM');
    running.endAfter(this.#options.timer, graceMs, () => {
      this.#process.signal('SIGKILL');
    });
  }

  #onExit(exit: ChildExit): void {
    // The listener first: it counts this child out before the outcome brings the next job.
    this.#events.onExit(exit);
    // It tells of each end before it begins the next job: those behind the running one have not begun.
    const unstarted = this.#queue.splice(1).map(({ call }) => call);
    if (this.running !== undefined) this.#settle(this.running.outcomeOfEnd(exit));
    if (unstarted.length > 0) this.#events.onReturned(unstarted);
  }
}
