import type { Deferred } from '../core/async.ts';
import { deferred } from '../core/async.ts';
import { ValueError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Timer } from '../core/timer.ts';
import { Waiters } from '../core/waiters.ts';
import type { Outcome } from '../message/outcome.ts';
import type { ChildInit } from './child-init.ts';
import type { ChildExit, ChildOptions } from './child-process.ts';
import type { EarlyChildren } from './early-children.ts';
import { Guardian } from './guardian.ts';
import type { ChildEvents, PoolChild } from './pool-child.ts';
import { RespawnPolicy } from './respawn.ts';
import { describeExit } from './spawn-child.ts';

/** What a pool of child processes is made of. */
export interface ChildrenOptions {
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

export interface ChildrenHooks<C extends PoolChild> {
  create(options: ChildOptions, events: ChildEvents): C;
  /** It takes jobs from now on. */
  onReady(child: C): void;
  /** It takes no jobs from now on. */
  onGone(child: C): void;
}

/** How long the first child has the cores for itself. */
const LATER_MS = 300;
/** Of a job that no process has begun, or will. */
export const NOT_RUN: Outcome = { kind: 'lost', exitCode: null, signal: null };

/** One place for a child, which changes. */
interface Slot<C> {
  readonly index: number;
  child: C | undefined;
  /** Not to be given another child. */
  isRetired: boolean;
}

/** The child processes of a pool: as many as it has slots, each replaced when it ends. */
export class Children<C extends PoolChild> {
  /** Resolves, with the reason, when children cannot be started any more. */
  readonly failed: Promise<Error>;
  readonly #options: ChildrenOptions;
  readonly #timer: Timer;
  readonly #hooks: ChildrenHooks<C>;
  readonly #guardian: Guardian;
  readonly #respawn = new RespawnPolicy();
  readonly #failure: Deferred<Error>;
  /** By number, from 1. */
  readonly #slots = new Map<number, Slot<C>>();
  /** Those of the slots, and those that are on their way out. */
  readonly #living = new Set<C>();
  /** Slots that get their first child when another's is ready. */
  readonly #later: Slot<C>[] = [];
  /** A child became ready, or none will. */
  readonly #readiness = new Waiters();
  #names = 0;
  #isStopping = false;

  /** @param timer shared by all children */
  constructor(options: ChildrenOptions, timer: Timer, hooks: ChildrenHooks<C>) {
    this.#options = options;
    this.#timer = timer;
    this.#hooks = hooks;
    this.#guardian = new Guardian(options.logger);
    this.#failure = deferred<Error>();
    this.failed = this.#failure.promise;
  }

  /** Slots. */
  get size(): number {
    return this.#slots.size;
  }

  /** Numbers of the slots. */
  get indexes(): Iterable<number> {
    return this.#slots.keys();
  }

  /** Those that live. */
  get all(): ReadonlySet<C> {
    return this.#living;
  }

  get pids(): readonly number[] {
    return [...this.#living].map((child) => child.pid).filter((pid) => pid !== 0);
  }

  /** No child is started any more. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** There are none any more, and none will be started: a job would wait for ever. */
  get isOver(): boolean {
    return this.#isStopping && this.#countReady() === 0;
  }

  /**
   * Starts the first children; resolves when one of them has loaded the app, and jobs can run.
   *
   * @param signal gives it up
   * @param kill kills the pool
   */
  async start(count: number, signal: AbortSignal, kill: () => Promise<void>): Promise<void> {
    signal.throwIfAborted();
    const abort = (): void => {
      void kill();
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      this.#startSlots(this.#addSlots(count));
      if (this.#slots.size > 0) await this.#whenReady(() => this.#countReady() > 0);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Starts more; resolves when they have loaded the app. */
  async add(count: number): Promise<void> {
    const slots = this.#addSlots(count);
    for (const slot of slots) this.#fill(slot);
    await this.#whenReady(() => slots.every((slot) => slot.isRetired || slot.child?.isReady === true));
  }

  /**
   * Takes slots away whose children may go, newest first; also those that wait for their child.
   *
   * @returns how the processes end, for each slot that was taken away
   */
  remove(count: number, mayGo: (child: C) => boolean): Promise<void>[] {
    const endings: Promise<void>[] = [];
    for (const slot of [...this.#slots.values()].reverse()) {
      if (endings.length === count) break;
      const { child } = slot;
      if (child !== undefined && !mayGo(child)) continue;
      slot.isRetired = true;
      this.#slots.delete(slot.index);
      endings.push(child === undefined ? Promise.resolve() : this.#retire(child));
    }
    this.#readiness.wake();
    return endings;
  }

  /** Resolves when it has ended; at once when it ends later, with its work or when it has loaded the app. */
  #retire(child: C): Promise<void> {
    child.retire();
    if (child.isBusy) return Promise.resolve();
    const ended = this.#dismiss(child);
    return child.isReady ? ended : Promise.resolve();
  }

  /** Gives its slot a new child; the old one ends when it has nothing to do any more. */
  replace(child: C): void {
    const slot = this.#slots.get(child.index);
    if (slot?.child !== child) return;
    slot.child = undefined;
    child.retire();
    if (!child.isBusy) void this.#dismiss(child);
    this.#fill(slot);
  }

  replaceAll(): void {
    for (const { child } of [...this.#slots.values()]) if (child !== undefined) this.replace(child);
  }

  /** The child has nothing to do any more, or is gone. @returns whether it stays */
  keep(child: C): boolean {
    if (child.jobs > 0) this.#respawn.worked();
    if (this.#slots.get(child.index)?.child === child && child.isReady) return true;
    if (child.isReady) void child.close();
    return false;
  }

  /** Starts no more. */
  halt(): void {
    this.#isStopping = true;
  }

  /** Ends them; they have nothing to do. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#living].map((child) => child.close()));
    this.#slots.clear();
    this.#readiness.wake();
    await this.#guardian.close();
  }

  /** Ends them, and what they run. */
  async kill(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#living].map((child) => child.kill()));
  }

  #addSlots(count: number): Slot<C>[] {
    const added: Slot<C>[] = [];
    for (let index = 1; added.length < count; index += 1) {
      if (this.#slots.has(index)) continue;
      const slot: Slot<C> = { index, child: undefined, isRetired: false };
      this.#slots.set(index, slot);
      added.push(slot);
    }
    return added;
  }

  /**
   * Takes over the processes that were started early, one for each core that is left. More at once would take the cores from those,
   * and from this process: they follow when the first is ready, or soon, where loading the app takes long.
   */
  #startSlots(slots: readonly Slot<C>[]): void {
    const { early } = this.#options;
    const atOnce = early === undefined || early.size === 0 ? slots.length : early.size;
    for (const slot of slots.slice(0, atOnce)) this.#fill(slot);
    this.#later.push(...slots.slice(atOnce));
    if (this.#later.length > 0) this.#timer.callAfter(LATER_MS, () => this.#startLater());
    early?.close();
  }

  #startLater(): void {
    for (const slot of this.#later.splice(0)) this.#fill(slot);
  }

  /** Takes a child that has nothing to do out of service. */
  #dismiss(child: C): Promise<void> {
    this.#hooks.onGone(child);
    return child.close();
  }

  /** Starts a child for a slot. */
  #fill(slot: Slot<C>): void {
    if (slot.isRetired || this.#isStopping) return;
    this.#names += 1;
    const { early, child: init, logger, aliveTimeoutMs, maxMemoryPerChildKb } = this.#options;
    const options: ChildOptions = {
      name: `ForkPoolWorker-${this.#names}`,
      index: slot.index,
      early: early?.take(),
      init,
      logger,
      timer: this.#timer,
      aliveTimeoutMs,
      maxMemoryKb: maxMemoryPerChildKb,
    };
    try {
      const child: C = this.#hooks.create(options, {
        onReady: () => {
          this.#onReady(slot, child);
        },
        onBroken: () => {
          this.replace(child);
        },
        onExit: (exit) => {
          this.#onExit(slot, child, exit);
        },
      });
      slot.child = child;
      this.#living.add(child);
      if (child.pid !== 0) this.#guardian.add(child.pid);
    } catch (error) {
      this.#startFailed(slot, error instanceof Error ? error : new Error(String(error)), false);
    }
  }

  #onReady(slot: Slot<C>, child: C): void {
    this.#respawn.ready();
    if (slot.child !== child || slot.isRetired || this.#isStopping) {
      void child.close();
      return;
    }
    this.#readiness.wake();
    this.#hooks.onReady(child);
    this.#startLater();
  }

  #onExit(slot: Slot<C>, child: C, exit: ChildExit): void {
    this.#living.delete(child);
    this.#guardian.remove(child.pid);
    this.#hooks.onGone(child);
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

  #startFailed(slot: Slot<C>, error: Error, isExplained: boolean): void {
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
    for (const child of this.#living) if (child.isReady) count += 1;
    return count;
  }

  async #whenReady(isReady: () => boolean): Promise<void> {
    while (!isReady() && !this.#isStopping) await this.#readiness.wait();
    if (!isReady()) {
      const stopped = new ValueError('The pool was stopped before its child processes were ready.');
      throw await Promise.race([this.failed, Promise.resolve(stopped)]);
    }
  }
}
