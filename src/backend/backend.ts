import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { ChordMember, ChordPart } from './chord.ts';

/** Whom a stored result is addressed to; only backends that send results (rpc) use it. */
export interface ReplyAddress {
  readonly replyTo: string;
  readonly correlationId: string;
}

/** What a kind of backend can do. */
export interface BackendCapabilities {
  /** What is stored is there to be read (false for disabled). */
  readonly results: boolean;
  /** Results can be read by whoever has the backend's URL, any number of times (false for rpc). */
  readonly shared: boolean;
  /** The same from other processes (false for rpc and cache+memory). */
  readonly crossProcess: boolean;
  /** Stored results disappear by themselves after `result_expires`; otherwise `cleanup` removes them. */
  readonly expires: boolean;
  /** Groups can be saved and restored. */
  readonly groups: boolean;
  /** The members of a chord can be counted (false for rpc and disabled). */
  readonly chords: boolean;
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
  /** Keeps the members of a group, each of which may be a group itself: `[[id, parent], members]`. */
  saveGroup(group: ResultTuple): Promise<void>;
  /** As it was saved, also by Celery. */
  loadGroup(groupId: string): Promise<ResultTuple | undefined>;
  forgetGroup(groupId: string): Promise<void>;
  /**
   * Says how many members a chord has; best before the first of them is sent, at the latest before the last one.
   * @throws {ImproperlyConfigured} there are no chords here
   */
  startChord(groupId: string, size: number): Promise<void>;
  /** A running member has added others to its chord. */
  growChord(groupId: string, members: number): Promise<void>;
  /**
   * Counts a member that has ended, once however often it is told of it.
   *
   * Whoever tells of the last one gets all of them, in their order, and is the one to send the body; nobody else does, unless
   * the same member is told of again: then whoever was to send the body is gone.
   *
   * @throws {BackendError} it could not be counted
   */
  endPart(part: ChordPart): Promise<readonly ChordMember[] | undefined>;
  /** Forgets the count, when the body was sent or will never be. */
  endChord(groupId: string): Promise<void>;
  /** Removes expired results; returns how many. Nothing to do where results expire by themselves. */
  cleanup(): Promise<number>;
}
