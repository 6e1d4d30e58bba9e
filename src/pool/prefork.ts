import { deferred } from '../core/async.ts';
import type { Deferred } from '../core/async.ts';
import { ValueError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { Timer } from '../core/timer.ts';
import { Waiters } from '../core/waiters.ts';
import type { Outcome } from '../message/outcome.ts';
import type { ChildInit } from './child-init.ts';
import type { ChildExit } from './child-process.ts';
import { ChildProcess } from './child-process.ts';
import type { EarlyChildren } from './early-children.ts';
import { Fifo } from './fifo.ts';
import { Guardian } from './guardian.ts';
import type { Job, JobEvents, Pool } from './pool.ts';
import { ReadingAhead } from './reading-ahead.ts';
import { RespawnPolicy } from './respawn.ts';
import type { JobCall } from './running-job.ts';
import { describeExit } from './spawn-child.ts';
import { writeStats } from './write-stats.ts';

export interface PreforkOptions {
  /** Child processes, Celery's `--concurrency`. */
  readonly size: number;
  /** What children need to load the app. */
  readonly child: ChildInit;
  /** Processes that were started before: taken first; what the pool's size leaves of them is ended. */
  readonly early?: EarlyChildren | undefined;
  readonly logger: Logger;
  /** Jobs after which a child is replaced; null = never. */
  readonly maxTasksPerChild: number | null;
  /** Resident memory in KiB after which a child is replaced, looked at when a job ends; null = never. */
  readonly maxMemoryPerChildKb: number | null;
  /** Milliseconds within which a new process has to show up, `worker_proc_alive_timeout`; loading the app may take 15 times as long. */
  readonly aliveTimeoutMs: number;
}

/** A pool of child processes, each of which runs one job at a time. */
export interface PreforkPool extends Pool {
  /** Resolves, with the reason, when children cannot be started any more; the pool then runs nothing and has to be stopped. */
  readonly failed: Promise<Error>;
}

export function createPreforkPool(options: PreforkOptions): PreforkPool {
  return new Prefork(options);
}

/** One place in which a job can run; its child changes. */
interface Slot {
  readonly index: number;
  child: ChildProcess | undefined;
  /** Not to be given another child. */
  isRetired: boolean;
}

class Prefork implements PreforkPool {
  readonly name = 'prefork';
  readonly failed: Promise<Error>;
  readonly #options: PreforkOptions;
  readonly #timer = new Timer();
  readonly #guardian: Guardian;
  readonly #respawn = new RespawnPolicy();
  readonly #failure: Deferred<Error>;
  /** By number, from 1. */
  readonly #slots = new Map<number, Slot>();
  /** Living children: those of the slots, and those that are on their way out. */
  readonly #children = new Set<ChildProcess>();
  readonly #idle: ChildProcess[] = [];
  readonly #waiting = new Fifo<JobCall>();
  readonly #busy = new Set<ChildProcess>();
  /** Undefined where children are replaced after so many jobs, or so much memory: then each has one job at a time. */
  readonly #readingAhead: ReadingAhead | undefined;
  /** Jobs written to the child of each slot, for `stats`. */
  readonly #written = new Map<number, number>();
  /** A child became ready, or none will. */
  readonly #readiness = new Waiters();
  readonly #drained = new Waiters();
  #names = 0;
  #isStarted = false;
  #isStopping = false;
  #stopped: Promise<void> | undefined;

  constructor(options: PreforkOptions) {
    this.#options = options;
    this.#guardian = new Guardian(options.logger);
    this.#failure = deferred<Error>();
    this.failed = this.#failure.promise;
    if (options.maxTasksPerChild === null && options.maxMemoryPerChildKb === null) {
      this.#readingAhead = new ReadingAhead(this.#busy, this.#timer);
    }
  }

  get size(): number {
    return this.#isStarted ? this.#slots.size : this.#options.size;
  }

  get free(): number {
    return Math.max(0, this.size - this.#busy.size - this.#waiting.size);
  }

  get pids(): readonly number[] {
    return [...this.#children].map((child) => child.pid).filter((pid) => pid !== 0);
  }

  /** Starts the children; resolves when the first of them has loaded the app, and jobs can run. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isStarted || this.#isStopping) return;
    this.#isStarted = true;
    const abort = (): void => {
      void this.kill();
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      this.#addSlots(this.#options.size);
      this.#options.early?.close();
      if (this.#slots.size > 0) await this.#whenReady(() => this.#countReady() > 0);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  submit(job: Job, events: JobEvents): Promise<Outcome> {
    return new Promise((done) => {
      this.#waiting.push({ job, events, done });
      this.#dispatch();
    });
  }

  hasRoom(task: string): boolean {
    if (this.#waiting.size > 0 || this.#isStopping) return false;
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

  async grow(count: number): Promise<void> {
    const slots = this.#addSlots(count);
    await this.#whenReady(() => slots.every((slot) => slot.isRetired || slot.child?.isReady === true));
  }

  /** @throws {ValueError} fewer than `count` children are idle; those that are have been retired. */
  async shrink(count: number): Promise<void> {
    const endings: Promise<void>[] = [];
    for (const slot of [...this.#slots.values()].reverse()) {
      if (endings.length === count) break;
      if (slot.child !== undefined && this.#idle.includes(slot.child)) endings.push(this.#retire(slot));
    }
    await Promise.all(endings);
    if (endings.length < count) throw new ValueError("Can't shrink pool. All processes busy!");
  }

  restart(): void {
    for (const slot of this.#slots.values()) if (slot.child !== undefined) this.#replace(slot, slot.child);
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
    this.#isStopping = true;
    this.takeWaiting();
    await Promise.all([...this.#children].map((child) => child.kill()));
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
        [...this.#slots.keys()].map((index) => this.#written.get(index) ?? 0),
        this.#busy.size,
      ),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    this.takeWaiting();
    await this.drained();
    await Promise.all([...this.#children].map((child) => child.close()));
    this.#slots.clear();
    this.#timer.clear();
    this.#readiness.wake();
    await this.#guardian.close();
  }

  #addSlots(count: number): Slot[] {
    const added: Slot[] = [];
    for (let index = 1; added.length < count; index += 1) {
      if (this.#slots.has(index)) continue;
      const slot: Slot = { index, child: undefined, isRetired: false };
      this.#slots.set(index, slot);
      added.push(slot);
    }
    for (const slot of added) this.#fill(slot);
    return added;
  }

  async #retire(slot: Slot): Promise<void> {
    slot.isRetired = true;
    this.#slots.delete(slot.index);
    if (slot.child !== undefined) await this.#dismiss(slot.child);
  }

  /** Takes a child that has no job out of service. */
  #dismiss(child: ChildProcess): Promise<void> {
    this.#removeIdle(child);
    return child.close();
  }

  #removeIdle(child: ChildProcess): void {
    const at = this.#idle.indexOf(child);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** Starts a child for a slot. */
  #fill(slot: Slot): void {
    if (slot.isRetired || this.#isStopping) return;
    this.#names += 1;
    try {
      const child = new ChildProcess(
        {
          name: `ForkPoolWorker-${this.#names}`,
          index: slot.index,
          early: this.#options.early?.take(),
          init: this.#options.child,
          logger: this.#options.logger,
          timer: this.#timer,
          aliveTimeoutMs: this.#options.aliveTimeoutMs,
          maxMemoryKb: this.#options.maxMemoryPerChildKb,
        },
        {
          onReady: () => {
            this.#onReady(slot, child);
          },
          onBroken: () => {
            this.#replace(slot, child);
          },
          onReturned: (_, jobs) => {
            this.#onReturned(child, jobs);
          },
          onExit: (_, exit) => {
            this.#onExit(slot, child, exit);
          },
        },
      );
      slot.child = child;
      this.#children.add(child);
      if (child.pid !== 0) this.#guardian.add(child.pid);
    } catch (error) {
      this.#startFailed(slot, error instanceof Error ? error : new Error(String(error)), false);
    }
  }

  #onReady(slot: Slot, child: ChildProcess): void {
    this.#respawn.ready();
    if (slot.child !== child || slot.isRetired || this.#isStopping) {
      void child.close();
      return;
    }
    this.#idle.push(child);
    this.#readiness.wake();
    this.#dispatch();
  }

  /** Gives the slot a new child; the old one ends after its job. */
  #replace(slot: Slot, child: ChildProcess): void {
    if (slot.child !== child) return;
    slot.child = undefined;
    child.retire();
    if (!child.isBusy) void this.#dismiss(child);
    this.#fill(slot);
  }

  #onExit(slot: Slot, child: ChildProcess, exit: ChildExit): void {
    this.#children.delete(child);
    this.#guardian.remove(child.pid);
    this.#removeIdle(child);
    if (slot.child !== child) return;
    slot.child = undefined;
    if (slot.isRetired || this.#isStopping) return;
    if (exit.bootError === undefined && (child.jobs > 0 || child.isBusy)) {
      this.#fill(slot);
      return;
    }
    const error =
      exit.bootError ??
      new Error(`A child process ended with ${describeExit(exit.code, exit.signal)} before its first job.`);
    this.#startFailed(slot, error, exit.bootError?.name === 'AppLoadError');
  }

  #startFailed(slot: Slot, error: Error, isExplained: boolean): void {
    const waitMs = this.#respawn.failed(isExplained, this.#countReady() === 0);
    if (waitMs === undefined) {
      this.#isStopping = true;
      this.#failure.resolve(error);
      this.#readiness.wake();
      return;
    }
    this.#options.logger.error(
      `A child process could not be started, trying again in ${waitMs / 1000}s: ${error.message}`,
    );
    this.#timer.callAfter(waitMs, () => {
      this.#fill(slot);
    });
  }

  #countReady(): number {
    let count = 0;
    for (const child of this.#children) if (child.isReady) count += 1;
    return count;
  }

  async #whenReady(isReady: () => boolean): Promise<void> {
    while (!isReady() && !this.#isStopping) await this.#readiness.wait();
    if (!isReady()) {
      const stopped = new ValueError('The pool was stopped before its child processes were ready.');
      throw await Promise.race([this.failed, Promise.resolve(stopped)]);
    }
  }

  #dispatch(): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      const idle = this.#idle.shift();
      const child = idle ?? (this.#isStopping ? undefined : this.#readingAhead?.choose(next.job.task));
      if (child === undefined) return;
      this.#waiting.shift();
      this.#give(child, next);
      if (idle === undefined) this.#readingAhead?.watch();
    }
  }

  #give(child: ChildProcess, call: JobCall): void {
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
  #onReturned(child: ChildProcess, jobs: readonly JobCall[]): void {
    this.#release(child);
    if (this.#isStopping) {
      for (const { done } of jobs) done({ kind: 'lost', exitCode: null, signal: null });
      this.#checkDrained();
      return;
    }
    this.#waiting.pushFront(jobs);
    this.#dispatch();
  }

  /** A job of the child has ended, or was given back. */
  #release(child: ChildProcess): void {
    if (child.isBusy || !this.#busy.delete(child)) return;
    this.#takeBack(child);
  }

  /** The child is without a job again, or gone. */
  #takeBack(child: ChildProcess): void {
    if (child.jobs > 0) this.#respawn.worked();
    const slot = this.#slots.get(child.index);
    if (slot?.child !== child || !child.isReady) {
      if (child.isReady) void child.close();
      return;
    }
    const { maxTasksPerChild } = this.#options;
    if (maxTasksPerChild !== null && child.jobs >= maxTasksPerChild) {
      this.#replace(slot, child);
      return;
    }
    this.#idle.push(child);
    this.#dispatch();
  }

  #checkDrained(): void {
    if (this.#busy.size === 0 && this.#waiting.size === 0) this.#drained.wake();
  }
}
