import { type Deferred, deferred } from '../core/async.ts';
import type { Database } from './driver.ts';
import { explain, sqliteProblem } from './problem.ts';

export interface WriteOptions {
  /**
   * Whether the commit has to survive a loss of power (an fsync, 0.3 ms on a good disk, 10 ms on a bad one). Without it the
   * commit survives the death of this process and, with the next durable commit, everything. Default true.
   */
  readonly durable?: boolean;
  /** Whether those who wait in this process are to look again after the commit. Default true. */
  readonly wakes?: boolean;
  /** Waits for space when the disk is full, as long as the queue is open: for what must not be given up. Default false. */
  readonly patient?: boolean;
}

interface Write {
  readonly run: (database: Database) => unknown;
  readonly done: Deferred<unknown>;
  readonly durable: boolean;
  readonly wakes: boolean;
  readonly patient: boolean;
  readonly queuedAt: number;
}

export interface WriteQueueOptions {
  readonly path: string;
  readonly database: Database;
  /** After a commit: throws when the file is not the one that was opened any more. */
  verify(): void;
  /** After a commit that somebody in this process may wait for. */
  onWoken(): void;
  /** The database is damaged. */
  onBroken(error: Error): void;
}

/** How long a write waits while another process holds the lock. */
const LOCK_PATIENCE_MS = 30_000;
const RETRY_MS: readonly number[] = [1, 2, 4, 8, 15, 25, 40, 50];
const FULL_RETRY_MS = 500;
/** More writes than these are done in several turns, so that neither this process nor another waits long. */
const BATCH = 500;

/**
 * Joins all writes of one turn of the event loop into one transaction, and waits for the lock without blocking the turn.
 *
 * A write that fails takes none of the others with it. Writes run in the order they came in.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #database: Database;
  #waiting: Write[] = [];
  #turn: NodeJS.Immediate | NodeJS.Timeout | undefined;
  #retries = 0;
  #synchronous = '';
  #closed: Error | undefined;
  #idle: Deferred<void> | undefined;
  #broken = false;
  #warned = false;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
    this.#database = options.database;
  }

  /** Whether a transaction is going to run in this turn anyway. */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves with what `run` returns after the commit. `run` may be called again when the transaction has to be repeated. */
  write<T>(run: (database: Database) => T, options: WriteOptions = {}): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed);
    const done = deferred<unknown>();
    const { durable = true, wakes = true, patient = false } = options;
    this.#waiting.push({ run, done, durable, wakes, patient, queuedAt: performance.now() });
    this.#turn ??= setImmediate(() => this.#flush());
    return done.promise as Promise<T>;
  }

  /** Finishes what is waiting, trying once more what waits for the lock or for space; later writes are refused. */
  async close(error: Error): Promise<void> {
    if (this.#closed) return;
    this.#closed = error;
    if (this.#waiting.length > 0) {
      this.#idle = deferred();
      this.#schedule(0);
      await this.#idle.promise;
    }
  }

  /** Refuses everything, from now on and what is waiting. */
  fail(error: Error): void {
    this.#closed = error;
    this.#broken = true;
    clearTimeout(this.#turn as NodeJS.Timeout | undefined);
    clearImmediate(this.#turn as NodeJS.Immediate | undefined);
    this.#turn = undefined;
    for (const write of this.#waiting.splice(0)) write.done.reject(error);
    this.#idle?.resolve();
  }

  #schedule(delayMs: number): void {
    if (this.#turn !== undefined) {
      clearTimeout(this.#turn as NodeJS.Timeout);
      clearImmediate(this.#turn as NodeJS.Immediate);
    }
    this.#turn = delayMs > 0 ? setTimeout(() => this.#flush(), delayMs) : setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#turn = undefined;
    const batch = this.#waiting.splice(0, BATCH);
    let results: unknown[];
    try {
      results = this.#commit(batch);
      this.#retries = 0;
      this.#warned = false;
    } catch (error) {
      this.#failed(batch, error);
      this.#next();
      return;
    }
    this.#settle(batch, results);
    this.#next();
  }

  #settle(batch: readonly Write[], results: readonly unknown[]): void {
    batch.forEach((write, index) => write.done.resolve(results[index]));
    if (batch.some((write) => write.wakes)) this.#options.onWoken();
  }

  #next(): void {
    if (this.#waiting.length > 0) {
      if (this.#turn === undefined) this.#schedule(0);
    } else if (this.#turn === undefined) this.#idle?.resolve();
  }

  #commit(batch: readonly Write[]): unknown[] {
    this.#setSynchronous(batch.some((write) => write.durable));
    const results = this.#database.transaction(() => batch.map((write) => write.run(this.#database)));
    this.#options.verify();
    return results;
  }

  #setSynchronous(durable: boolean): void {
    const level = durable ? 'FULL' : 'NORMAL';
    if (level === this.#synchronous) return;
    this.#database.exec(`PRAGMA synchronous = ${level}`);
    this.#synchronous = level;
  }

  /** The transaction was rolled back: nothing of the batch has happened. */
  #failed(batch: readonly Write[], error: unknown): void {
    const problem = sqliteProblem(error);
    if (problem === 'locked') {
      this.#retryLocked(batch, error);
    } else if (problem === 'full' || problem === 'io') {
      const [patient, hasty] = partition(batch, (write) => write.patient && this.#closed === undefined);
      this.#reject(hasty, error);
      if (patient.length > 0) {
        this.#warn(error);
        this.#again(patient, FULL_RETRY_MS);
      }
    } else if (batch.length > 1 && !this.#broken) {
      // One of them is at fault: each by itself, so that only that one fails.
      for (const write of batch) this.#alone(write);
    } else {
      this.#reject(batch, error);
    }
    if (problem === 'corrupt' || problem === 'not-a-database') {
      this.#options.onBroken(explain(error, this.#options.path) as Error);
    }
  }

  #alone(write: Write): void {
    try {
      this.#settle([write], this.#commit([write]));
    } catch (error) {
      this.#failed([write], error);
    }
  }

  #retryLocked(batch: readonly Write[], error: unknown): void {
    const latest = performance.now() - LOCK_PATIENCE_MS;
    const closing = this.#closed !== undefined && this.#retries > RETRY_MS.length * 4;
    const [late, early] = partition(batch, (write) => closing || (write.queuedAt < latest && !write.patient));
    this.#reject(late, error);
    if (early.some((write) => write.queuedAt < latest)) this.#warn(error);
    const delayMs = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)] ?? 0;
    if (early.length > 0) this.#again(early, delayMs);
  }

  /** Says once that the patient are waiting: nobody else is told. */
  #warn(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    const reason = explain(error, this.#options.path);
    const text = reason instanceof Error ? reason.message : String(reason);
    process.emitWarning(`${text}; trying again until it works`, 'CeleryWarning');
  }

  /** Puts a batch back to the front of the line. */
  #again(batch: readonly Write[], delayMs: number): void {
    this.#waiting.unshift(...batch);
    this.#schedule(delayMs);
  }

  #reject(batch: readonly Write[], error: unknown): void {
    const reason = explain(error, this.#options.path);
    for (const write of batch) write.done.reject(reason);
  }
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
