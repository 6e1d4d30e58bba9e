import { statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Deferred, deferred, sleep } from '../core/async.ts';
import { OperationalError } from '../core/errors.ts';
import { type Database, openDatabase } from './driver.ts';
import { checkPlace, explain, sqliteProblem } from './problem.ts';
import { watchDatabase } from './watch.ts';
import { type WriteOptions, WriteQueue } from './write-queue.ts';

/** A database file as one user of it in this process holds it; all users of one path share one connection. */
export interface SqliteFile extends AsyncDisposable {
  readonly path: string;
  /** Whether a transaction is going to run in this turn, which one more write would join. */
  readonly writing: boolean;
  /** Settles with what made the file unusable (removed, replaced, damaged), or undefined once `this` is disposed. */
  readonly closed: Promise<Error | undefined>;
  /** @throws {OperationalError} the file cannot be read, or was locked for 30 s */
  read<T>(query: (database: Database) => T): Promise<T>;
  /**
   * Runs `change` in the transaction of this turn and resolves after its commit. `change` must have no other effects: it is
   * called again when the transaction has to be repeated.
   * @throws {OperationalError} the disk is full, the file is damaged, or was locked for 30 s: nothing was written
   */
  write<T>(change: (database: Database) => T, options?: WriteOptions): Promise<T>;
  /** Calls back, within 50 ms, after commits of any process; more often than needed. Keeps the process alive. */
  onChange(listener: () => void): Disposable;
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds between looks for changes, in place of the operating system's file events. */
  readonly pollMs?: number | undefined;
}

// One connection per file and process: SQLite's locks work between connections, so two would wait for each other, and one
// transaction then carries the results, acks and publishes of a turn together. Emptied as files are closed.
const open = new Map<string, Promise<SharedFile>>();

/**
 * Opens a database file, or joins those who have it open in this process.
 *
 * @throws {ImproperlyConfigured} the path cannot be a database, naming the path and, for permissions, the user
 * @throws {ImproperlyConfigured} no driver that works
 * @throws {OperationalError} damaged, or locked for 30 s
 */
export async function openSqliteFile(path: string, options: OpenOptions = {}): Promise<SqliteFile> {
  options.signal?.throwIfAborted();
  const place = resolve(path);
  await checkPlace(place);
  const key = await canonical(place);
  for (;;) {
    let shared = open.get(key);
    if (!shared) {
      shared = SharedFile.open(key);
      open.set(key, shared);
      shared.catch(() => open.delete(key));
    }
    const handle = (await shared).join(options);
    if (handle) return handle;
    // It was closing: wait until it is gone from the map.
    await (
      await shared
    ).gone;
  }
}

/** One name for a file however it is spelt, also before it exists. */
async function canonical(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return join(await realpath(dirname(path)), basename(path));
  }
}

const OPEN_PATIENCE_MS = 30_000;

async function openPatiently(path: string): Promise<Database> {
  const until = performance.now() + OPEN_PATIENCE_MS;
  for (;;) {
    let database: Database | undefined;
    try {
      database = openDatabase(path);
      prepareDatabase(database);
      return database;
    } catch (error) {
      database?.close();
      if (sqliteProblem(error) !== 'locked' || performance.now() > until) throw explain(error, path);
      await sleep(25);
    }
  }
}

function prepareDatabase(database: Database): void {
  // Longer waits for a lock are done without blocking the event loop, by the write queue.
  database.exec('PRAGMA busy_timeout = 10');
  // kombu's rows refer to each other, but nobody relies on the check; it costs a look-up for each row.
  database.exec('PRAGMA foreign_keys = OFF');
  // WAL: readers and the writer do not wait for each other, and a commit is one append. Where the file system cannot do it
  // the mode stays what it is, which works as well, only slower.
  if (database.prepare('PRAGMA journal_mode').get()?.journal_mode !== 'wal') {
    database.prepare('PRAGMA journal_mode = WAL').get();
  }
}

/** The connection behind all handles of one file. */
class SharedFile {
  readonly path: string;
  readonly gone: Promise<void>;
  readonly queue: WriteQueue;
  readonly #database: Database;
  readonly #identity: string;
  readonly #handles = new Set<Handle>();
  readonly #listeners = new Set<() => void>();
  readonly #end: Deferred<void>;
  #watch: Disposable | undefined;
  #pollMs: number | undefined;
  #closing = false;
  #dataVersion: unknown;

  private constructor(path: string, database: Database) {
    this.path = path;
    this.#database = database;
    this.#identity = identity(path) ?? '';
    this.#end = deferred();
    this.gone = this.#end.promise;
    this.queue = new WriteQueue({
      path,
      database,
      verify: () => {
        const lost = this.#lost();
        if (!lost) return;
        this.#break(lost);
        throw lost;
      },
      onWoken: () => this.#notify(),
      onBroken: (error) => this.#break(error),
    });
  }

  static async open(path: string): Promise<SharedFile> {
    return new SharedFile(path, await openPatiently(path));
  }

  join({ pollMs }: OpenOptions): SqliteFile | undefined {
    if (this.#closing) return undefined;
    this.#pollMs ??= pollMs;
    const handle = new Handle(this);
    this.#handles.add(handle);
    return handle;
  }

  async leave(handle: Handle): Promise<void> {
    if (!this.#handles.delete(handle) || this.#handles.size > 0 || this.#closing) return;
    this.#closing = true;
    await this.queue.close(new OperationalError(`SQLite database ${this.path}: closed`));
    this.#close();
  }

  async read<T>(query: (database: Database) => T): Promise<T> {
    const until = performance.now() + OPEN_PATIENCE_MS;
    for (;;) {
      try {
        return query(this.#database);
      } catch (error) {
        const problem = sqliteProblem(error);
        const reason = explain(error, this.path);
        if (problem === 'corrupt' || problem === 'not-a-database') this.#break(reason as Error);
        if (problem !== 'locked' || performance.now() > until) throw reason;
      }
      await sleep(25);
    }
  }

  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    if (!this.#watch) {
      this.#changedByOthers();
      this.#watch = watchDatabase(this.path, { look: () => this.#look(), pollMs: this.#pollMs });
    }
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) this.#unwatch();
      },
    };
  }

  #unwatch(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }

  #look(): void {
    const lost = this.#lost();
    if (lost) this.#break(lost);
    else if (this.#changedByOthers()) this.#notify();
  }

  /** SQLite's own number of the state that this connection sees; its own commits do not change it. */
  #changedByOthers(): boolean {
    try {
      const version = this.#database.prepare('PRAGMA data_version').get()?.data_version;
      const changed = version !== this.#dataVersion;
      this.#dataVersion = version;
      return changed;
    } catch {
      // Locked or damaged: those who wait find out when they read, and report it.
      return true;
    }
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #lost(): OperationalError | undefined {
    if (identity(this.path) === this.#identity) return undefined;
    return new OperationalError(
      `SQLite database ${this.path}: the file was removed or replaced while it was open; connect again to use what is there now`,
    );
  }

  #break(error: Error): void {
    if (this.#closing) return;
    this.#closing = true;
    this.queue.fail(error);
    for (const handle of this.#handles) handle.end(error);
    // Not now: a transaction may be on the stack.
    setImmediate(() => this.#close());
  }

  #close(): void {
    this.#unwatch();
    this.#listeners.clear();
    open.delete(this.path);
    this.#database.close();
    this.#end.resolve();
  }
}

function identity(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

class Handle implements SqliteFile {
  readonly closed: Promise<Error | undefined>;
  readonly #shared: SharedFile;
  readonly #closed: Deferred<Error | undefined>;
  readonly #listening = new Set<Disposable>();
  #refusal: Error | undefined;

  constructor(shared: SharedFile) {
    this.#shared = shared;
    this.#closed = deferred();
    this.closed = this.#closed.promise;
  }

  get path(): string {
    return this.#shared.path;
  }

  get writing(): boolean {
    return this.#shared.queue.busy;
  }

  read<T>(query: (database: Database) => T): Promise<T> {
    return this.#refusal ? Promise.reject(this.#refusal) : this.#shared.read(query);
  }

  write<T>(change: (database: Database) => T, options?: WriteOptions): Promise<T> {
    return this.#refusal ? Promise.reject(this.#refusal) : this.#shared.queue.write(change, options);
  }

  onChange(listener: () => void): Disposable {
    if (this.#refusal) return { [Symbol.dispose]: () => undefined };
    const listening = this.#shared.listen(listener);
    this.#listening.add(listening);
    return {
      [Symbol.dispose]: () => {
        this.#listening.delete(listening);
        listening[Symbol.dispose]();
      },
    };
  }

  end(error: Error): void {
    this.#refusal ??= error;
    this.#closed.resolve(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#refusal ??= new OperationalError(`SQLite database ${this.path}: closed`);
    for (const listening of this.#listening) listening[Symbol.dispose]();
    this.#listening.clear();
    await this.#shared.leave(this);
    this.#closed.resolve(undefined);
  }
}
