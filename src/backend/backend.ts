import type { ResultMeta } from '../message/result-meta.ts';

/** Whom a stored result is addressed to; only backends that send results (rpc) use it. */
export interface ReplyAddress {
  readonly replyTo: string;
  readonly correlationId: string;
}

/** What a kind of backend can do. */
export interface BackendCapabilities {
  /** Results can be read by whoever has the backend's URL, any number of times (false for rpc). */
  readonly shared: boolean;
  /** The same from other processes (false for rpc and cache+memory). */
  readonly crossProcess: boolean;
  /** Stored results disappear by themselves after `result_expires`; otherwise `cleanup` removes them. */
  readonly expires: boolean;
  /** Groups can be saved and restored. */
  readonly groups: boolean;
}

/**
 * Where the states and results of tasks are kept.
 *
 * Connects by itself on first use and again after a loss. A stored SUCCESS is never overwritten by a later state where the
 * backend can read before it writes.
 */
export interface ResultBackend extends AsyncDisposable {
  /** As in the URL: `rpc`, `sqlite`, `cache+memory`, `disabled`. */
  readonly scheme: string;
  /** Printable: the password masked, as in Celery's banner (`rpc://`, `sqlite:///results.db`, `disabled://`). */
  readonly url: string;
  /** The same as `url`: `String(result.backend)` tells which backend a program uses. */
  toString(): string;
  readonly can: BackendCapabilities;
  /** The `reply_to` of tasks that this process sends, where the backend needs one of its own. */
  readonly replyTo: string | undefined;
  /** Called before a task is published by this process, so that no answer can be missed. */
  expect(taskId: string): Promise<void>;
  /** @throws {BackendStoreError} when the result could not be stored after the backend's own retries */
  store(meta: ResultMeta, reply?: ReplyAddress): Promise<void>;
  /** The latest state known, or undefined for an unknown id (PENDING). @throws {BackendGetMetaError} */
  fetch(taskId: string): Promise<ResultMeta | undefined>;
  /**
   * The latest state, then every change that is seen (a fast one may be skipped), ending after a ready state.
   * Woken by the backend where it can, never busy polling. Ends with the signal's reason thrown when aborted.
   */
  watch(taskId: string, signal: AbortSignal): AsyncIterable<ResultMeta>;
  forget(taskId: string): Promise<void>;
  saveGroup(groupId: string, taskIds: readonly string[]): Promise<void>;
  loadGroup(groupId: string): Promise<readonly string[] | undefined>;
  /** Removes expired results; returns how many. Nothing to do where results expire by themselves. */
  cleanup(): Promise<number>;
}
