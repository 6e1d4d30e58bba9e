import { ValueError } from '../core/errors.ts';
import { Timer } from '../core/timer.ts';
import { Waiters } from '../core/waiters.ts';
import type { Outcome } from '../message/outcome.ts';
import { AsyncChild } from './async-child.ts';
import type { ChildrenOptions } from './children.ts';
import { Children, NOT_RUN } from './children.ts';
import { Fifo } from './fifo.ts';
import type { Job, JobEvents } from './pool.ts';
import type { ProcessPool } from './prefork.ts';
import type { JobCall } from './running-job.ts';
import { writeStats } from './write-stats.ts';

export interface AsyncPoolOptions extends ChildrenOptions {
  /** Jobs at the same time, Celery's `--concurrency`. */
  readonly size: number;
  /** Child processes that share them, unless there are fewer jobs. */
  readonly processes: number;
}

/**
 * A pool of few child processes, each of which runs many jobs at the same time: for tasks that wait, not for those that compute.
 */
export function createAsyncPool(options: AsyncPoolOptions): ProcessPool {
  return new AsyncPool(options);
}

class AsyncPool implements ProcessPool {
  readonly name = 'async';
  readonly failed: Promise<Error>;
  readonly #options: AsyncPoolOptions;
  readonly #timer = new Timer();
  readonly #children: Children<AsyncChild>;
  readonly #waiting = new Fifo<JobCall>();
  /** Jobs written to the child of each slot, for `stats`. */
  readonly #written = new Map<number, number>();
  readonly #drained = new Waiters();
  #size: number;
  #running = 0;
  #isStarted = false;
  #stopped: Promise<void> | undefined;

  constructor(options: AsyncPoolOptions) {
    this.#options = options;
    this.#size = options.size;
    this.#children = new Children(options, this.#timer, {
      create: (childOptions, events) => new AsyncChild(childOptions, events),
      onReady: () => {
        this.#dispatch();
      },
      onGone: () => {
        if (this.#children.isOver) this.#loseErrbacks();
      },
    });
    this.failed = this.#children.failed;
  }

  get size(): number {
    return this.#size;
  }

  get free(): number {
    return Math.max(0, this.#size - this.#running - this.#waiting.size);
  }

  get pids(): readonly number[] {
    return this.#children.pids;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isStarted || this.#children.isStopping) return;
    this.#isStarted = true;
    await this.#children.start(this.#processes(), signal, () => this.kill());
  }

  submit(job: Job, events: JobEvents): Promise<Outcome> {
    if (job.failure !== undefined && this.#children.isOver) return Promise.resolve(NOT_RUN);
    return new Promise((done) => {
      this.#waiting.push({ job, events, done });
      this.#dispatch();
    });
  }

  takeWaiting(): readonly string[] {
    const ids = this.#waiting.takeAll().map(({ job }) => job.id);
    this.#checkDrained();
    return ids;
  }

  /** Aborts the task's signal; the outcome is `terminated`, although code that does not heed it may go on for a while. */
  terminate(taskId: string, signal: NodeJS.Signals): boolean {
    const found = [...this.#children.all].filter((child) => child.terminate(taskId, signal));
    return found.length > 0;
  }

  async grow(count: number): Promise<void> {
    this.#size += count;
    const growing = this.#children.add(Math.max(0, this.#processes() - this.#children.size));
    this.#dispatch();
    await growing;
  }

  /** @throws {ValueError} fewer than `count` slots are free; those that are have been taken away. */
  async shrink(count: number): Promise<void> {
    const taken = Math.min(count, this.free);
    this.#size -= taken;
    const surplus = Math.max(0, this.#children.size - this.#processes());
    const idle = this.#children.remove(surplus, (child) => !child.isBusy);
    // Those that have jobs end later.
    const busy = this.#children.remove(surplus - idle.length, () => true);
    await Promise.all([...idle, ...busy]);
    if (taken < count) throw new ValueError("Can't shrink pool. All processes busy!");
  }

  restart(): void {
    this.#children.replaceAll();
  }

  drained(): Promise<void> {
    if (this.#running === 0 && this.#waiting.size === 0) return Promise.resolve();
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
    let active = 0;
    for (const child of this.#children.all) if (child.isBusy) active += 1;
    return {
      'max-concurrency': this.#size,
      processes: this.pids,
      // As the pools of greenlets call them.
      'free-threads': Math.max(0, this.#size - this.#running),
      'running-threads': this.#running,
      'max-tasks-per-child': maxTasksPerChild ?? 'N/A',
      'max-memory-per-child': maxMemoryPerChildKb ?? 'N/A',
      'put-guarded-by-semaphore': false,
      writes: writeStats(
        [...this.#children.indexes].map((index) => this.#written.get(index) ?? 0),
        active,
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

  /** Child processes for the slots that there are. */
  #processes(): number {
    return Math.min(this.#options.processes, this.#size);
  }

  #dispatch(): void {
    while (this.#waiting.size > 0 && this.#running < this.#size) {
      const child = this.#leastLoaded();
      const call = child === undefined ? undefined : this.#waiting.shift();
      if (child === undefined || call === undefined) return;
      this.#give(child, call);
    }
  }

  /** The child with most room; undefined when none has any. */
  #leastLoaded(): AsyncChild | undefined {
    // Where the processes are not ready yet, those that are do not take the share of the others.
    let most = Math.ceil(this.#size / Math.max(1, this.#children.size));
    let found: AsyncChild | undefined;
    for (const child of this.#children.all) {
      if (child.load >= most || !child.isUsable) continue;
      most = child.load;
      found = child;
    }
    return found;
  }

  #give(child: AsyncChild, call: JobCall): void {
    this.#running += 1;
    this.#written.set(child.index, (this.#written.get(child.index) ?? 0) + 1);
    child.run(call, (outcome) => {
      this.#release(child);
      call.done(outcome);
      this.#checkDrained();
    });
    const { maxTasksPerChild } = this.#options;
    if (maxTasksPerChild !== null && child.given >= maxTasksPerChild) this.#children.replace(child);
  }

  /** A job of the child has ended. */
  #release(child: AsyncChild): void {
    this.#running -= 1;
    if (!child.isBusy) this.#children.keep(child);
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
    if (this.#running === 0 && this.#waiting.size === 0) this.#drained.wake();
  }
}
