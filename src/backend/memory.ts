import { BackendError } from '../core/errors.ts';
import { SUCCESS } from '../core/states.ts';
import { parseUrl } from '../core/url.ts';
import { decodeMeta, encodeMeta } from '../message/result-codec.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { BackendCapabilities, ResultBackend } from './backend.ts';
import { ChordCount } from './chord-count.ts';
import { type ChordMember, type ChordPart, decodeMember, encodeMember } from './chord.ts';
import { type Revision, Watchers } from './watchers.ts';

/** What the memory backend reads of a backend's options. */
export interface MemoryBackendOptions {
  /** `result_expires`; 0 and null: never. */
  readonly resultExpiresS: number | null;
  /** `result_serializer`. */
  readonly serializer: string;
}

interface Stored<T> {
  readonly value: T;
  readonly expiresAt: number;
}

interface Document {
  readonly revision: number;
  readonly status: string;
  readonly bytes: Buffer;
  readonly serializer: string;
}

/** Results that all backends of this process with one name share. */
class MemoryResults {
  readonly results = new ExpiringMap<Document>();
  readonly groups = new ExpiringMap<ResultTuple>();
  readonly chords = new ExpiringMap<ChordCount>();
  readonly watchers = new Set<Watchers>();
  revision = 0;
}

/** Entries disappear when their time is over; those never asked for again are cleared away as others come. */
class ExpiringMap<T> {
  readonly #entries = new Map<string, Stored<T>>();
  #sweptAt = Date.now();

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (!entry || entry.expiresAt > Date.now()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, value: T, expiresS: number | null): void {
    this.#entries.set(key, { value, expiresAt: expiresS ? Date.now() + expiresS * 1000 : Infinity });
    if (Date.now() - this.#sweptAt > SWEEP_MS) this.sweep();
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Returns how many entries were over. */
  sweep(): number {
    const now = Date.now();
    this.#sweptAt = now;
    const before = this.#entries.size;
    for (const [key, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#entries.delete(key);
    return before - this.#entries.size;
  }
}

const SWEEP_MS = 10_000;

const stores = new Map<string, MemoryResults>();

/**
 * Results in this process: `cache+memory://`, or `cache+memory://name` for several apart from each other.
 *
 * They live as long as the process, at most `result_expires`; no other process sees them. Meant for tests and `solo` workers.
 */
export function memoryBackend(url: string, options: MemoryBackendOptions): ResultBackend {
  return new MemoryBackend(url, options);
}

class MemoryBackend implements ResultBackend {
  readonly scheme = 'cache+memory';
  readonly url: string;
  readonly can: BackendCapabilities = {
    results: true,
    shared: true,
    crossProcess: false,
    expires: true,
    groups: true,
    chords: true,
  };
  readonly replyTo = undefined;
  readonly #options: MemoryBackendOptions;
  readonly #shared: MemoryResults;
  readonly #watchers = new Watchers();
  #closed: BackendError | undefined;

  constructor(url: string, options: MemoryBackendOptions) {
    const { host = '', path } = parseUrl(url);
    this.url = url;
    this.#options = options;
    const name = `${host}/${path.replace(/^\/+|\/+$/g, '')}`;
    this.#shared = stores.get(name) ?? new MemoryResults();
    stores.set(name, this.#shared);
    this.#shared.watchers.add(this.#watchers);
  }

  toString(): string {
    return this.url;
  }

  expect(): Promise<void> {
    return Promise.resolve();
  }

  store(meta: ResultMeta): Promise<void> {
    return this.#call(() => {
      const { results, watchers } = this.#shared;
      const { taskId, status } = meta;
      const { serializer, resultExpiresS } = this.#options;
      const bytes = encodeMeta(meta, 'key-value', serializer);
      if (results.get(taskId)?.status === SUCCESS && status !== SUCCESS) return;
      const revision = ++this.#shared.revision;
      results.set(taskId, { revision, status, bytes, serializer }, resultExpiresS);
      for (const each of watchers) each.wake(taskId);
    });
  }

  fetch(taskId: string): Promise<ResultMeta | undefined> {
    return this.#call(() => this.#look(taskId)?.meta);
  }

  #look(taskId: string): Revision | undefined {
    const found = this.#shared.results.get(taskId);
    return found && { revision: found.revision, meta: decodeMeta(found.bytes, found.serializer) };
  }

  watch(taskId: string, signal: AbortSignal): AsyncIterable<ResultMeta> {
    return this.#watchers.watch(taskId, signal, () => Promise.resolve(this.#look(taskId)));
  }

  forget(taskId: string): Promise<void> {
    return this.#call(() => this.#shared.results.delete(taskId));
  }

  saveGroup(group: ResultTuple): Promise<void> {
    const [[groupId]] = group;
    return this.#call(() => this.#shared.groups.set(groupId, group, this.#options.resultExpiresS));
  }

  loadGroup(groupId: string): Promise<ResultTuple | undefined> {
    return this.#call(() => this.#shared.groups.get(groupId));
  }

  forgetGroup(groupId: string): Promise<void> {
    return this.#call(() => this.#shared.groups.delete(groupId));
  }

  startChord(groupId: string, size: number): Promise<void> {
    return this.#call(() => this.#chord(groupId).start(size));
  }

  growChord(groupId: string, members: number): Promise<void> {
    return this.#call(() => this.#chord(groupId).grow(members));
  }

  endPart(part: ChordPart): Promise<readonly ChordMember[] | undefined> {
    return this.#call(() => {
      const { serializer } = this.#options;
      const members = this.#chord(part.groupId).end(part, encodeMember(part, serializer));
      return members?.map((bytes) => decodeMember(bytes, serializer));
    });
  }

  endChord(groupId: string): Promise<void> {
    return this.#call(() => this.#shared.chords.delete(groupId));
  }

  /** Each use lets it live on. */
  #chord(groupId: string): ChordCount {
    const { chords } = this.#shared;
    const chord = chords.get(groupId) ?? new ChordCount();
    chords.set(groupId, chord, this.#options.resultExpiresS);
    return chord;
  }

  cleanup(): Promise<number> {
    const { results, groups, chords } = this.#shared;
    return this.#call(() => results.sweep() + groups.sweep() + chords.sweep());
  }

  #call<T>(run: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (this.#closed) throw this.#closed;
      resolve(run());
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= new BackendError('the result backend is closed');
    this.#shared.watchers.delete(this.#watchers);
    this.#watchers.end(this.#closed);
    return Promise.resolve();
  }
}
