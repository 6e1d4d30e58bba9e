import { BackendError, BackendGetMetaError, BackendStoreError, ContentDisallowed } from '../core/errors.ts';
import { READY_STATES } from '../core/states.ts';
import { maskUrl } from '../core/url.ts';
import { acceptedTypes, serializerByName } from '../message/registry.ts';
import { decodeMeta, encodeMeta } from '../message/result-codec.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { Database } from '../sqlite/driver.ts';
import { openSqliteFile, type SqliteFile } from '../sqlite/file.ts';
import { databasePath } from '../sqlite/url.ts';
import type { BackendCapabilities, ResultBackend } from './backend.ts';
import { type ChordMember, type ChordPart, decodeMember, encodeMember } from './chord.ts';
import { ChordTables } from './sqlite-chords.ts';
import { ResultTables, type StoredResult } from './sqlite-tables.ts';
import { type Revision, Watchers } from './watchers.ts';

/** What the SQLite backend reads of a backend's options. */
export interface SqliteBackendOptions {
  /** `result_expires`; 0 and null: never. */
  readonly resultExpiresS: number | null;
  /** `result_serializer`. */
  readonly serializer: string;
  /** `result_accept_content`. */
  readonly acceptContent: readonly string[];
}

/**
 * Results in a file: `sqlite:///relative.db`, `sqlite:////absolute.db`; it may be the broker's file.
 *
 * Opens nothing before the first use, and opens again after the file was replaced.
 *
 * @throws {ImproperlyConfigured} the URL names no file
 */
export function sqliteBackend(url: string, options: SqliteBackendOptions): ResultBackend {
  return new SqliteBackend(url, options);
}

/** Milliseconds between deletions of what has expired, beside the results that are stored. */
const SWEEP_MS = 10_000;

class SqliteBackend implements ResultBackend {
  readonly scheme = 'sqlite';
  readonly url: string;
  readonly can: BackendCapabilities = {
    results: true,
    shared: true,
    crossProcess: true,
    expires: true,
    groups: true,
    chords: true,
  };
  readonly replyTo = undefined;
  readonly #path: string;
  readonly #options: SqliteBackendOptions;
  readonly #accepted: ReadonlySet<string>;
  readonly #tables = new ResultTables();
  readonly #chords = new ChordTables();
  readonly #watchers = new Watchers();
  #file: Promise<SqliteFile> | undefined;
  /** The changes of the file that `#watchers` are woken by; undefined when nobody waits. */
  #listening: Disposable | undefined;
  /** The newest row that the watchers were told of. */
  #seen = 0;
  #sweptAt = 0;
  #closed: BackendError | undefined;

  constructor(url: string, options: SqliteBackendOptions) {
    this.url = maskUrl(url);
    this.#path = databasePath(url);
    this.#options = options;
    this.#accepted = acceptedTypes(options.acceptContent);
  }

  toString(): string {
    return this.url;
  }

  expect(): Promise<void> {
    return Promise.resolve();
  }

  async store(meta: ResultMeta): Promise<void> {
    const { taskId, status } = meta;
    const { serializer } = this.#options;
    const bytes = encodeMeta(meta, 'key-value', serializer);
    const expiresAt = this.#expiresAt();
    // A state on the way may be lost with the power, an end may not: its message is gone by then.
    const durable = READY_STATES.has(status);
    await this.#write(
      (database) => {
        this.#tables.store(database, { taskId, status, serializer, bytes }, expiresAt);
        this.#sweep(database);
      },
      (cause) =>
        new BackendStoreError(`the result of task ${taskId} was not stored: ${textOf(cause)}`, { cause }),
      durable,
    );
  }

  async fetch(taskId: string): Promise<ResultMeta | undefined> {
    return (await this.#look(taskId))?.meta;
  }

  #look(taskId: string): Promise<Revision | undefined> {
    return this.#read(taskId, (database) => {
      const found = this.#tables.find(database, taskId, Date.now());
      return found && { revision: found.revision, meta: this.#decode(found) };
    });
  }

  #decode({ serializer, bytes }: StoredResult): ResultMeta {
    const { contentType } = serializerByName(serializer);
    if (this.#accepted.has(contentType)) return decodeMeta(bytes, serializer);
    throw new ContentDisallowed(`results of type ${contentType} are not in result_accept_content`);
  }

  watch(taskId: string, signal: AbortSignal): AsyncIterable<ResultMeta> {
    return this.#watch(taskId, signal);
  }

  async *#watch(taskId: string, signal: AbortSignal): AsyncGenerator<ResultMeta, void, undefined> {
    try {
      yield* this.#watchers.watch(taskId, signal, async () => {
        await this.#listen(taskId);
        return this.#look(taskId);
      });
    } finally {
      if (!this.#watchers.active) this.#stopListening();
    }
  }

  async #listen(taskId: string): Promise<void> {
    const file = await this.#reading(taskId, () => this.#open());
    if (this.#listening) return;
    this.#startListening(file, await this.#read(taskId, (database) => this.#tables.newest(database)));
  }

  #startListening(file: SqliteFile, seen: number): void {
    // Two may have come here at once, or the one that waited has left.
    if (this.#listening || !this.#watchers.active) return;
    this.#seen = seen;
    this.#listening = file.onChange(() => void this.#changed());
  }

  #stopListening(): void {
    this.#listening?.[Symbol.dispose]();
    this.#listening = undefined;
  }

  /** Wakes those whose task has a row that was not there before. */
  async #changed(): Promise<void> {
    try {
      const file = await this.#open();
      const rows = await file.read((database) => this.#tables.since(database, this.#seen));
      for (const { revision, taskId } of rows) {
        this.#seen = Math.max(this.#seen, revision);
        this.#watchers.wake(taskId);
      }
    } catch {
      // The file cannot be read: let each of them find out and report it.
      this.#watchers.wakeAll();
    }
  }

  forget(taskId: string): Promise<void> {
    return this.#write((database) => this.#tables.forget(database, taskId), asBackendError);
  }

  saveGroup(group: ResultTuple): Promise<void> {
    const [[groupId]] = group;
    const expiresAt = this.#expiresAt();
    return this.#write(
      (database) => this.#tables.saveGroup(database, groupId, JSON.stringify(group), expiresAt),
      asBackendError,
    );
  }

  loadGroup(groupId: string): Promise<ResultTuple | undefined> {
    return this.#read(groupId, (database) => {
      const group = this.#tables.loadGroup(database, groupId, Date.now());
      return group === undefined ? undefined : (JSON.parse(group) as ResultTuple);
    });
  }

  forgetGroup(groupId: string): Promise<void> {
    return this.#write((database) => this.#tables.forgetGroup(database, groupId), asBackendError);
  }

  startChord(groupId: string, size: number): Promise<void> {
    const expiresAt = this.#expiresAt();
    return this.#write((database) => this.#chords.start(database, groupId, size, expiresAt), asBackendError);
  }

  growChord(groupId: string, members: number): Promise<void> {
    const expiresAt = this.#expiresAt();
    return this.#write(
      (database) => this.#chords.grow(database, groupId, members, expiresAt),
      asBackendError,
    );
  }

  async endPart(part: ChordPart): Promise<readonly ChordMember[] | undefined> {
    const { serializer } = this.#options;
    const member = { serializer, bytes: encodeMember(part, serializer) };
    const expiresAt = this.#expiresAt();
    const ended = await this.#write(
      (database) => this.#chords.end(database, part, member, expiresAt),
      asBackendError,
    );
    if (!ended) return undefined;
    const members = await this.#read(part.groupId, (database) =>
      this.#chords.members(database, part.groupId),
    );
    return members.map(({ bytes, serializer: its }) => decodeMember(bytes, its));
  }

  endChord(groupId: string): Promise<void> {
    return this.#write((database) => this.#chords.forget(database, groupId), asBackendError);
  }

  async cleanup(): Promise<number> {
    let removed = 0;
    for (let more = true; more;) {
      const { count, full } = await this.#write(
        (database) => this.#tables.removeExpired(database, Date.now()),
        asBackendError,
      );
      removed += count;
      more = full;
    }
    return removed;
  }

  /** Now and then, and again with the next result when there is more to remove than one transaction should. */
  #sweep(database: Database): void {
    const now = Date.now();
    if (now - this.#sweptAt < SWEEP_MS) return;
    if (!this.#tables.removeExpired(database, now).full) this.#sweptAt = now;
  }

  #expiresAt(): number | null {
    const { resultExpiresS } = this.#options;
    return resultExpiresS ? Date.now() + Math.round(resultExpiresS * 1000) : null;
  }

  #read<T>(id: string, query: (database: Database) => T): Promise<T> {
    return this.#reading(id, async () => (await this.#open()).read(query));
  }

  async #reading<T>(id: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      if (cause instanceof BackendError) throw cause;
      throw new BackendGetMetaError(`the result of ${id} could not be read: ${textOf(cause)}`, { cause });
    }
  }

  async #write<T>(
    change: (database: Database) => T,
    failure: (cause: unknown) => Error,
    durable = true,
  ): Promise<T> {
    try {
      const file = await this.#open();
      return await file.write(change, { durable });
    } catch (cause) {
      throw cause instanceof BackendError ? cause : failure(cause);
    }
  }

  #open(): Promise<SqliteFile> {
    if (this.#closed) return Promise.reject(this.#closed);
    this.#file ??= this.#connect();
    return this.#file;
  }

  async #connect(): Promise<SqliteFile> {
    const lost = (): void => {
      this.#file = undefined;
      this.#stopListening();
      this.#watchers.wakeAll();
    };
    let file: SqliteFile | undefined;
    try {
      file = await openSqliteFile(this.#path);
      if (!(await file.read((database) => this.#tables.exist(database)))) {
        await file.write((database) => this.#tables.create(database));
      }
      void file.closed.then((error) => {
        if (error) lost();
      });
      return file;
    } catch (error) {
      lost();
      await file?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= new BackendError('the result backend is closed');
    this.#watchers.end(this.#closed);
    this.#stopListening();
    const opened = this.#file;
    this.#file = undefined;
    if (!opened) return;
    // One that never opened has told its users so already.
    const file = await opened.catch(() => undefined);
    await file?.[Symbol.asyncDispose]();
  }
}

function asBackendError(cause: unknown): BackendError {
  return new BackendError(textOf(cause), { cause });
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
