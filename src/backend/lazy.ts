import { BackendError } from '../core/errors.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { BackendCapabilities, ReplyAddress, ResultBackend } from './backend.ts';
import type { ChordMember, ChordPart } from './chord.ts';

/** What is known of a backend before its code is loaded. */
export interface BackendFace {
  readonly scheme: string;
  readonly url: string;
  readonly can: BackendCapabilities;
  readonly replyTo: string | undefined;
}

/** A backend whose code is loaded on first use. */
export class LazyBackend implements ResultBackend {
  readonly scheme: string;
  readonly url: string;
  readonly can: BackendCapabilities;
  readonly replyTo: string | undefined;
  readonly #load: () => Promise<ResultBackend>;
  #loading: Promise<ResultBackend> | undefined;
  #loaded: ResultBackend | undefined;
  #closed = false;

  constructor({ scheme, url, can, replyTo }: BackendFace, load: () => Promise<ResultBackend>) {
    this.scheme = scheme;
    this.url = url;
    this.can = can;
    this.replyTo = replyTo;
    this.#load = load;
  }

  toString(): string {
    return this.url;
  }

  expect(taskId: string): Promise<void> {
    return this.#call((backend) => backend.expect(taskId));
  }

  store(meta: ResultMeta, reply?: ReplyAddress): Promise<void> {
    return this.#call((backend) => backend.store(meta, reply));
  }

  fetch(taskId: string): Promise<ResultMeta | undefined> {
    return this.#call((backend) => backend.fetch(taskId));
  }

  watch(taskId: string, signal: AbortSignal): AsyncIterable<ResultMeta> {
    return this.#loaded?.watch(taskId, signal) ?? this.#watch(taskId, signal);
  }

  async *#watch(taskId: string, signal: AbortSignal): AsyncGenerator<ResultMeta, void, undefined> {
    yield* (await this.#open()).watch(taskId, signal);
  }

  forget(taskId: string): Promise<void> {
    return this.#call((backend) => backend.forget(taskId));
  }

  saveGroup(group: ResultTuple): Promise<void> {
    return this.#call((backend) => backend.saveGroup(group));
  }

  loadGroup(groupId: string): Promise<ResultTuple | undefined> {
    return this.#call((backend) => backend.loadGroup(groupId));
  }

  forgetGroup(groupId: string): Promise<void> {
    return this.#call((backend) => backend.forgetGroup(groupId));
  }

  startChord(groupId: string, size: number): Promise<void> {
    return this.#call((backend) => backend.startChord(groupId, size));
  }

  growChord(groupId: string, members: number): Promise<void> {
    return this.#call((backend) => backend.growChord(groupId, members));
  }

  endPart(part: ChordPart): Promise<readonly ChordMember[] | undefined> {
    return this.#call((backend) => backend.endPart(part));
  }

  endChord(groupId: string): Promise<void> {
    return this.#call((backend) => backend.endChord(groupId));
  }

  cleanup(): Promise<number> {
    return this.#call((backend) => backend.cleanup());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    // One that could not be loaded has told its users so already.
    const backend = await this.#loading?.catch(() => undefined);
    await backend?.[Symbol.asyncDispose]();
  }

  #call<T>(run: (backend: ResultBackend) => Promise<T>): Promise<T> {
    return this.#loaded === undefined ? this.#open().then(run) : run(this.#loaded);
  }

  #open(): Promise<ResultBackend> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#closed) return Promise.reject(new BackendError('the result backend is closed'));
    this.#loading = this.#load().then((backend) => (this.#loaded = backend));
    return this.#loading;
  }
}
