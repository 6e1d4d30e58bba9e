import { BackendGetMetaError } from '../core/errors.ts';
import { READY_STATES, SUCCESS } from '../core/states.ts';
import type { ResultMeta } from '../message/result-meta.ts';

/** Results that this process waits for and has not read; the oldest make room for new ones beyond it. */
const MAX_EXPECTED = 100_000;
/** Results that were read already, or that nobody here asked for. */
const MAX_OTHERS = 10_000;

/** A state as it came, or why it cannot be read. */
type Entry = ResultMeta | BackendGetMetaError;

/** Told each new state of one task. */
type Listener = (entry: Entry) => void;

/** The latest state of each task whose results are sent to this process, in memory and bounded. */
export class ResultCache {
  readonly #expected = new BoundedSet(MAX_EXPECTED);
  readonly #unread = new BoundedMap<Entry>(MAX_EXPECTED);
  readonly #others = new BoundedMap<Entry>(MAX_OTHERS);
  readonly #listeners = new Map<string, Set<Listener>>();

  /** A result of this task will be asked for. */
  expect(taskId: string): void {
    this.#expected.add(taskId);
  }

  /** Takes in a state and hands it to those who watch. */
  add(taskId: string, entry: Entry): void {
    const before = this.#peek(taskId);
    if (before !== undefined && !mayFollow(entry, before)) return;
    (this.#expected.has(taskId) ? this.#unread : this.#others).set(taskId, entry);
    for (const listener of this.#listeners.get(taskId) ?? []) listener(entry);
  }

  /** @throws {BackendGetMetaError} when what came cannot be read */
  get(taskId: string): ResultMeta | undefined {
    const entry = this.#peek(taskId);
    return entry === undefined ? undefined : this.#read(taskId, entry);
  }

  forget(taskId: string): void {
    this.#expected.delete(taskId);
    this.#unread.delete(taskId);
    this.#others.delete(taskId);
  }

  /** Ends all watching with an error. */
  fail(error: BackendGetMetaError): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener(error);
  }

  /** See `ResultBackend.watch`. */
  async *watch(taskId: string, signal: AbortSignal): AsyncGenerator<ResultMeta, void, undefined> {
    signal.throwIfAborted();
    const known = this.#peek(taskId);
    const arrived: Entry[] = known === undefined ? [] : [known];
    let wake = (): void => undefined;
    const onAbort = (): void => wake();
    const stop = this.#listen(taskId, (entry) => {
      arrived.push(entry);
      wake();
    });
    signal.addEventListener('abort', onAbort);
    try {
      for (;;) {
        for (let entry = arrived.shift(); entry !== undefined; entry = arrived.shift()) {
          const meta = this.#read(taskId, entry);
          yield meta;
          if (READY_STATES.has(meta.status)) return;
        }
        signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
    }
  }

  #peek(taskId: string): Entry | undefined {
    return this.#unread.get(taskId) ?? this.#others.get(taskId);
  }

  #read(taskId: string, entry: Entry): ResultMeta {
    if (entry instanceof BackendGetMetaError) throw entry;
    if (READY_STATES.has(entry.status) && this.#unread.delete(taskId)) {
      this.#expected.delete(taskId);
      this.#others.set(taskId, entry);
    }
    return entry;
  }

  #listen(taskId: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(taskId) ?? new Set();
    this.#listeners.set(taskId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(taskId);
    };
  }
}

/** Messages may overtake each other: a task that has ended does not start again, and SUCCESS stays. */
function mayFollow(next: Entry, before: Entry): boolean {
  if (next instanceof BackendGetMetaError) return before instanceof BackendGetMetaError;
  if (before instanceof BackendGetMetaError) return true;
  if (before.status === SUCCESS) return false;
  return !READY_STATES.has(before.status) || READY_STATES.has(next.status);
}

class BoundedMap<Value> {
  readonly #max: number;
  readonly #entries = new Map<string, Value>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#max) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }
}

class BoundedSet extends BoundedMap<true> {
  add(key: string): void {
    this.set(key, true);
  }
}
