import { setImmediate } from 'node:timers/promises';
import type { ProcessEvent } from '../app/signals.ts';
import { workerProcessInit, workerProcessShutdown } from '../app/signals.ts';
import type { Tracer } from '../app/trace.ts';
import { SoftTimeLimitExceeded, Terminated, ValueError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { Waiters } from '../core/waiters.ts';
import type { Outcome } from '../message/outcome.ts';
import { EscapeGuard } from './escape-guard.ts';
import type { Job, JobEvents, Pool } from './pool.ts';

export interface SoloOptions {
  readonly tracer: Tracer;
  readonly logger: Logger;
  /** What receivers of `workerProcessInit` and `workerProcessShutdown` are told; without it they are not. */
  readonly event?: ProcessEvent;
}

/**
 * Runs one job at a time in this process. A task that computes keeps the whole worker waiting. There is no hard time limit here,
 * and `terminate` can do no more than abort the task's signal; the soft time limit does the same.
 */
export function createSoloPool(options: SoloOptions): Pool {
  return new Solo(options);
}

interface Waiting {
  readonly job: Job;
  readonly events: JobEvents;
  readonly done: (outcome: Outcome) => void;
  readonly abort: AbortController;
  readonly escapes: EscapeGuard;
  terminatedBy: NodeJS.Signals | undefined;
}

class Solo implements Pool {
  readonly name = 'solo';
  readonly size = 1;
  readonly pids: readonly number[] = [process.pid];
  readonly #options: SoloOptions;
  readonly #waiting: Waiting[] = [];
  #running: Waiting | undefined;
  #isStopping = false;
  readonly #drained = new Waiters();

  constructor(options: SoloOptions) {
    this.#options = options;
  }

  get free(): number {
    return this.#running === undefined && this.#waiting.length === 0 ? 1 : 0;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { event, logger } = this.#options;
    if (event !== undefined) await workerProcessInit.send(event, logger);
    signal.throwIfAborted();
  }

  submit(job: Job, events: JobEvents): Promise<Outcome> {
    return new Promise((done) => {
      const abort = new AbortController();
      this.#waiting.push({ job, events, done, abort, escapes: new EscapeGuard(), terminatedBy: undefined });
      this.#next();
    });
  }

  takeWaiting(): readonly string[] {
    const ids = this.#waiting.splice(0).map(({ job }) => job.id);
    this.#checkDrained();
    return ids;
  }

  /** The outcome is `terminated` when the task fails of it; one that does not look at its signal goes on. */
  terminate(taskId: string, signal: NodeJS.Signals): boolean {
    const running = this.#running;
    if (running?.job.id !== taskId) return false;
    running.terminatedBy = signal;
    running.abort.abort(new Terminated());
    return true;
  }

  /** @throws {ValueError} there is one process, this one. */
  grow(): Promise<void> {
    return Promise.reject(new ValueError('The solo pool cannot grow.'));
  }

  /** @throws {ValueError} there is one process, this one. */
  shrink(): Promise<void> {
    return Promise.reject(new ValueError('The solo pool cannot shrink.'));
  }

  drained(): Promise<void> {
    if (this.#running === undefined && this.#waiting.length === 0) return Promise.resolve();
    return this.#drained.wait();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.takeWaiting();
    await this.drained();
    const { event, logger } = this.#options;
    if (event !== undefined) await workerProcessShutdown.send(event, logger);
  }

  /** Gives up what runs: its outcome is `lost`, although its code goes on until the process ends. */
  kill(): Promise<void> {
    this.#isStopping = true;
    this.takeWaiting();
    this.#running?.abort.abort(new Terminated());
    this.#finish({ kind: 'lost', exitCode: null, signal: null });
    return Promise.resolve();
  }

  takeEscaped(error: unknown): boolean {
    if (this.#running?.escapes.fail(error) === true) return true;
    this.#options.logger.error('An error that no task caught, in code that one left running.', error);
    return true;
  }

  stats(): Readonly<Record<string, unknown>> {
    return {
      'max-concurrency': 1,
      processes: this.pids,
      'max-tasks-per-child': null,
      'put-guarded-by-semaphore': true,
      timeouts: [],
    };
  }

  #next(): void {
    if (this.#running !== undefined || this.#isStopping) return;
    this.#running = this.#waiting.shift();
    if (this.#running !== undefined) void this.#run(this.#running);
  }

  async #run(running: Waiting): Promise<void> {
    const { job, events, abort, escapes } = running;
    events.onAccepted({ pid: process.pid, name: 'MainProcess' });
    // The early acknowledgement is written in this turn and the next; a task that blocks must not hold it back.
    await setImmediate();
    await setImmediate();
    const limit = this.#startSoftLimit(running);
    const hooks = {
      signal: abort.signal,
      onState: (update: Parameters<JobEvents['onState']>[0]) => events.onState(update),
      guard: (run: Promise<unknown>) => escapes.guard(run),
    };
    const outcome = await this.#options.tracer(job, hooks);
    clearTimeout(limit);
    if (this.#running !== running) return;
    const { terminatedBy } = running;
    const isTerminated = terminatedBy !== undefined && outcome.kind === 'failure';
    this.#finish(isTerminated ? { kind: 'terminated', signal: terminatedBy } : outcome);
  }

  #startSoftLimit({ job, events, abort }: Waiting): NodeJS.Timeout | undefined {
    const seconds = job.softTimeLimit;
    if (seconds === undefined || seconds <= 0) return undefined;
    return setTimeout(() => {
      abort.abort(new SoftTimeLimitExceeded('', seconds));
      events.onSoftTimeout(seconds);
    }, seconds * 1000);
  }

  #finish(outcome: Outcome): void {
    const running = this.#running;
    this.#running = undefined;
    running?.done(outcome);
    this.#next();
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#running === undefined && this.#waiting.length === 0) this.#drained.wake();
  }
}
