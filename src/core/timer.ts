/** One planned call. */
export interface TimerHandle {
  /** When it is due, in milliseconds since the epoch. */
  readonly atMs: number;
  /** Forgets the call; safe when it has run already, and twice. */
  cancel(): void;
}

interface Entry extends TimerHandle {
  readonly fn: () => void;
  /** Breaks ties, so that calls due at the same time run in the order they were planned. */
  readonly order: number;
  /** Position in the heap, -1 when it is no longer there. */
  index: number;
}

// Waking at least this often keeps long delays true when the system clock is set or the machine slept, and stays far
// below the 2^31 ms at which setTimeout overflows.
const LONGEST_ARM_MS = 60_000;

/**
 * Runs functions at points in time. However many are planned, one `setTimeout` is armed.
 *
 * A function that throws does not keep the others from running; its error becomes an uncaught exception.
 */
export class Timer {
  readonly #now: () => number;
  readonly #heap: Entry[] = [];
  #order = 0;
  #armed: NodeJS.Timeout | undefined;
  #armedForMs = Infinity;

  constructor(options: { readonly now?: () => number } = {}) {
    this.#now = options.now ?? Date.now;
  }

  /** How many calls are planned. */
  get size(): number {
    return this.#heap.length;
  }

  /** Plans `fn` for a time in milliseconds since the epoch; one that has passed runs in the next turn. */
  callAt(epochMs: number, fn: () => void): TimerHandle {
    const entry: Entry = {
      atMs: epochMs,
      fn,
      order: this.#order++,
      index: this.#heap.length,
      cancel: () => {
        this.#remove(entry);
      },
    };
    this.#heap.push(entry);
    this.#up(entry);
    this.#arm();
    return entry;
  }

  /** Plans `fn` for `ms` milliseconds from now. */
  callAfter(ms: number, fn: () => void): TimerHandle {
    return this.callAt(this.#now() + ms, fn);
  }

  /** Forgets a planned call. */
  cancel(handle: TimerHandle): void {
    handle.cancel();
  }

  /** Forgets all planned calls. */
  clear(): void {
    for (const entry of this.#heap.splice(0)) entry.index = -1;
    this.#arm();
  }

  #arm(): void {
    const next = this.#heap[0]?.atMs ?? Infinity;
    if (next === this.#armedForMs) return;
    clearTimeout(this.#armed);
    this.#armed = undefined;
    this.#armedForMs = next;
    if (next === Infinity) return;
    const delay = Math.max(0, Math.min(Math.ceil(next - this.#now()), LONGEST_ARM_MS));
    this.#armed = setTimeout(() => {
      this.#run();
    }, delay);
  }

  #run(): void {
    this.#armed = undefined;
    this.#armedForMs = Infinity;
    const errors: unknown[] = [];
    const now = this.#now();
    const lastOrder = this.#order;
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= now; first = this.#heap[0]) {
      // Planned by one of these calls: it waits for the next turn, so that a call that replans itself cannot starve I/O.
      if (first.order >= lastOrder) break;
      this.#remove(first);
      try {
        first.fn();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#arm();
    if (errors.length > 0) throw errors[0];
  }

  #remove(entry: Entry): void {
    const { index } = entry;
    if (index === -1) return;
    entry.index = -1;
    const last = this.#heap.pop();
    if (last !== undefined && last !== entry) {
      this.#heap[index] = last;
      last.index = index;
      this.#up(last);
      this.#down(last);
    }
    this.#arm();
  }

  #up(entry: Entry): void {
    while (entry.index > 0) {
      const parent = this.#heap[(entry.index - 1) >> 1];
      if (parent === undefined || !isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #down(entry: Entry): void {
    for (;;) {
      const left = this.#heap[2 * entry.index + 1];
      const right = this.#heap[2 * entry.index + 2];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  #swap(a: Entry, b: Entry): void {
    [a.index, b.index] = [b.index, a.index];
    this.#heap[a.index] = a;
    this.#heap[b.index] = b;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
