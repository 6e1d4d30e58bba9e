import { ValueError } from '../core/errors.ts';
import { Timer } from '../core/timer.ts';
import { Waiters } from '../core/waiters.ts';
import type { Outcome } from '../message/outcome.ts';
import type { ChildrenOptions } from './children.ts';
import { Children, NOT_RUN } from './children.ts';
import { Fifo } from './fifo.ts';
import type { Job, JobEvents, Pool } from './pool.ts';
import { ReadingAhead } from './reading-ahead.ts';
import type { JobCall } from './running-job.ts';
import { SerialChild } from './serial-child.ts';
import { writeStats } from './write-stats.ts';

export interface PreforkOptions extends ChildrenOptions {
  /** Child processes, Celery's `--concurrency`. */
  readonly size: number;
}

/** A pool of child processes. */
export interface ProcessPool extends Pool {
  /** Resolves, with the reason, when children cannot be started any more; the pool then runs nothing and has to be stopped. */
  readonly failed: Promise<Error>;
}

/** A pool of child processes, each of which runs one job at a time. */
export function createPreforkPool(options: PreforkOptions): ProcessPool {
  return new Prefork(options);
}

class Prefork implements ProcessPool {
  readonly name = 'prefork';
  readonly failed: Promise<Error>;
  readonly #options: PreforkOptions;
  readonly #timer = new Timer();
  readonly #children: Children<SerialChild>;
  readonly #idle: SerialChild[] = [];
  readonly #waiting = new Fifo<JobCall>();
  readonly #busy = new Set<SerialChild>();
  /** Undefined where children are replaced after so many jobs, or so much memory: then each has one job at a time. */
  readonly #readingAhead: ReadingAhead | undefined;
  /** Jobs written to the child of each slot, for `stats`. */
  readonly #written = new Map<number, number>();
  readonly #drained = new Waiters();
  #isStarted = false;
  #stopped: Promise<void> | undefined;

  constructor(options: PreforkOptions) {
    this.#options = options;
    this.#children = new Children(options, this.#timer, {
      create: (childOptions, events) => {
        const child: SerialChild = new SerialChild(childOptions, {
          ...events,
          onReturned: (jobs) => {
            this.#onReturned(child, jobs);
          },
        });
        return child;
      },
      onReady: (child) => {
        this.#idle.push(child);
        this.#dispatch();
      },
      onGone: (child) => {
        const at = this.#idle.indexOf(child);
        if (at !== -1) this.#idle.splice(at, 1);
        if (this.#children.isOver) this.#loseErrbacks();
      },
    });
    this.failed = this.#children.failed;
    if (options.maxTasksPerChild === null && options.maxMemoryPerChildKb === null) {
      this.#readingAhead = new ReadingAhead(this.#busy, this.#timer);
    }
  }

  get size(): number {
    return this.#isStarted ? this.#children.size : this.#options.size;
  }

  get free(): number {
    return Math.max(0, this.size - this.#busy.size - this.#waiting.size);
  }

  get pids(): readonly number[] {
    return this.#children.pids;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isStarted || this.#children.isStopping) return;
    this.#isStarted = true;
    await this.#children.start(this.#options.size, signal, () => this.kill());
  }

  submit(job: Job, events: JobEvents): Promise<Outcome> {
    if (job.failure !== undefined && this.#children.isOver) return Promise.resolve(NOT_RUN);
    return new Promise((done) => {
      this.#waiting.push({ job, events, done });
      this.#dispatch();
    });
  }

  hasRoom(task: string): boolean {
    if (this.#waiting.size > 0 || this.#children.isStopping) return false;
    return this.#idle.length > 0 || this.#readingAhead?.choose(task) !== undefined;
  }

  takeWaiting(): readonly string[] {
    const ids = this.#waiting.takeAll().map(({ job }) => job.id);
    this.#checkDrained();
    return ids;
  }

  terminate(taskId: string, signal: NodeJS.Signals): boolean {
    // More than one: a message that was delivered again runs under the same id.
    const children = [...this.#busy].filter((child) => child.running?.job.id === taskId);
    for (const child of children) child.terminate(signal);
    return children.length > 0;
  }

  grow(count: number): Promise<void> {
    return this.#children.add(count);
  }

  /** @throws {ValueError} fewer than `count` children are idle, or still start; those that are have been retired. */
  async shrink(count: number): Promise<void> {
    const mayGo = (child: SerialChild): boolean => this.#idle.includes(child) || !child.isReady;
    const endings = this.#children.remove(count, mayGo);
    await Promise.all(endings);
    if (endings.length < count) throw new ValueError("Can't shrink pool. All processes busy!");
  }

  restart(): void {
    this.#children.replaceAll();
  }

  drained(): Promise<void> {
    if (this.#busy.size === 0 && this.#waiting.size === 0) return Promise.resolve();
    return this.#drained.wait();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async kill(): Promise<void> {
    this.#children.halt();
    this.takeWaiting();
    await this.#children.kill();
    await this.stop();
  }

  stats(): Readonly<Record<string, unknown>> {
    const { maxTasksPerChild, maxMemoryPerChildKb } = this.#options;
    return {
      'max-concurrency': this.size,
      processes: this.pids,
      'max-tasks-per-child': maxTasksPerChild ?? 'N/A',
      'max-memory-per-child': maxMemoryPerChildKb ?? 'N/A',
      'put-guarded-by-semaphore': false,
      writes: writeStats(
        [...this.#children.indexes].map((index) => this.#written.get(index) ?? 0),
        this.#busy.size,
      ),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#children.halt();
    this.takeWaiting();
    await this.drained();
    await this.#children.stop();
    this.#timer.clear();
  }

  #dispatch(): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      const idle = this.#idle.shift();
      const mayReadAhead = idle === undefined && !this.#children.isStopping;
      const child = mayReadAhead ? this.#readingAhead?.choose(next.job.task) : idle;
      if (child === undefined) return;
      this.#waiting.shift();
      this.#give(child, next);
      if (idle === undefined) this.#readingAhead?.watch();
    }
  }

  #give(child: SerialChild, call: JobCall): void {
    this.#busy.add(child);
    this.#written.set(child.index, (this.#written.get(child.index) ?? 0) + 1);
    child.run(call, (outcome) => {
      this.#readingAhead?.note(call.job.task, outcome);
      this.#release(child);
      call.done(outcome);
      this.#checkDrained();
    });
  }

  /** Jobs that a child had, but did not begin: they are next. */
  #onReturned(child: SerialChild, jobs: readonly JobCall[]): void {
    this.#release(child);
    if (this.#children.isStopping) {
      for (const { done } of jobs) done(NOT_RUN);
      this.#checkDrained();
      return;
    }
    this.#waiting.pushFront(jobs);
    this.#dispatch();
  }

  /** A job of the child has ended, or was given back. */
  #release(child: SerialChild): void {
    if (child.isBusy || !this.#busy.delete(child) || !this.#children.keep(child)) return;
    const { maxTasksPerChild } = this.#options;
    if (maxTasksPerChild !== null && child.jobs >= maxTasksPerChild) {
      this.#children.replace(child);
      return;
    }
    this.#idle.push(child);
    this.#dispatch();
  }

  /** Error callbacks that wait; the tasks among what waits are given back to the broker. */
  #loseErrbacks(): void {
    for (const call of this.#waiting.takeAll()) {
      if (call.job.failure === undefined) this.#waiting.push(call);
      else call.done(NOT_RUN);
    }
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#busy.size === 0 && this.#waiting.size === 0) this.#drained.wake();
  }
}
