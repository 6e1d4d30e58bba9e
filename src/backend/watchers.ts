import { type Deferred, deferred } from '../core/async.ts';
import { READY_STATES } from '../core/states.ts';
import type { ResultMeta } from '../message/result-meta.ts';

/** A stored state, with a number that is another one after every change. */
export interface Revision {
  readonly revision: number;
  readonly meta: ResultMeta;
}

/** Those in this process who wait for states of tasks. Each is freed when its wait ends, in whatever way. */
export class Watchers {
  readonly #waiting = new Map<string, Set<Waiter>>();
  #refusal: Error | undefined;

  /** Whether somebody waits. */
  get active(): boolean {
    return this.#waiting.size > 0;
  }

  has(taskId: string): boolean {
    return this.#waiting.has(taskId);
  }

  /** The states of one task as `look` finds them, now and whenever it is woken, ending after a ready one. */
  async *watch(
    taskId: string,
    signal: AbortSignal,
    look: () => Promise<Revision | undefined>,
  ): AsyncGenerator<ResultMeta, void, undefined> {
    const waiter = new Waiter();
    const onAbort = (): void => waiter.wake();
    this.#add(taskId, waiter);
    signal.addEventListener('abort', onAbort);
    try {
      let seen: number | undefined;
      for (;;) {
        // Armed before looking, so that a change between the look and the wait is not missed.
        const woken = waiter.arm();
        signal.throwIfAborted();
        if (this.#refusal) throw this.#refusal;
        const found = await look();
        if (found && found.revision !== seen) {
          seen = found.revision;
          yield found.meta;
          if (READY_STATES.has(found.meta.status)) return;
        } else await woken;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#remove(taskId, waiter);
    }
  }

  #add(taskId: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(taskId) ?? new Set();
    this.#waiting.set(taskId, waiters.add(waiter));
  }

  #remove(taskId: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(taskId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiting.delete(taskId);
  }

  /** The task has a new state. */
  wake(taskId: string): void {
    for (const waiter of this.#waiting.get(taskId) ?? []) waiter.wake();
  }

  /** Any task may have a new state. */
  wakeAll(): void {
    for (const waiters of this.#waiting.values()) for (const waiter of waiters) waiter.wake();
  }

  /** Ends all waits with an error, these and later ones. */
  end(error: Error): void {
    this.#refusal ??= error;
    this.wakeAll();
  }
}

class Waiter {
  #woken: Deferred<void> | undefined;

  arm(): Promise<void> {
    this.#woken = deferred();
    return this.#woken.promise;
  }

  wake(): void {
    this.#woken?.resolve();
  }
}
