import type { ResultBackend } from '../backend/backend.ts';
import type { State } from '../core/states.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';

/** What the result of a task (`AsyncResult`) and that of a group (`GroupResult`) have in common. */
export interface AnyResult {
  /** Id of the task, or of the group. */
  readonly id: string;
  /** What it follows: the step before in a chain, the header of a chord. */
  readonly parent: AnyResult | null;
  readonly backend: ResultBackend;
  get(options?: GetOptions): Promise<unknown>;
  ready(): Promise<boolean>;
  successful(): Promise<boolean>;
  failed(): Promise<boolean>;
  children(): Promise<readonly AnyResult[] | null>;
  maybeThrow(): Promise<void>;
  iterdeps(options?: TreeOptions): AsyncIterable<TreeEdge>;
  collect(options?: GetOptions & TreeOptions): AsyncIterable<readonly [result: AnyResult, value: unknown]>;
  forget(): Promise<void>;
  revoke(options?: RevokeOptions): Promise<void>;
  /** The id. */
  toString(): string;
  asTuple(): ResultTuple;
  asList(): string[];
}

/** The result of a task, for those that must not import its class. */
export interface TaskResult extends AnyResult {
  readonly ignored: boolean;
  state(): Promise<State>;
  name(): Promise<string | null>;
  wait(options: GetOptions): Promise<ResultMeta>;
}

/** One result of a tree; the parent is null for the root. */
export type TreeEdge = readonly [parent: AnyResult | null, result: AnyResult];

/** What a result needs of its app. */
export interface ResultHost {
  /** Resolves when the app's configuration is read. */
  ready(): Promise<void>;
  /** @param url of a task's own backend; null: the app's */
  backendFor(url: string | null): ResultBackend;
  revoke(taskIds: string | readonly string[], options: RevokeOptions): Promise<unknown>;
  /** The result of Celery's tuple form. */
  fromTuple(tuple: ResultTuple): AnyResult;
  /** Aborted when the app is closed. */
  readonly closing: AbortSignal;
}

/** How to wait for a result. */
export interface GetOptions {
  /** Seconds; for ever by default. */
  readonly timeout?: number;
  /** Throw the task's error; otherwise it is returned. Default true. */
  readonly propagate?: boolean;
  /** Stops waiting; its reason is thrown. */
  readonly signal?: AbortSignal;
  /** Throw the error of a task that this one follows: it will never run then. Default true, as long as errors are thrown. */
  readonly followParents?: boolean;
  /** Refuse to wait inside a task, where it can lock up the workers. Default true. */
  readonly disableSyncSubtasks?: boolean;
  /** Called with the value, or with each of several as it comes; they are not collected then. */
  readonly callback?: (id: string, value: unknown) => void;
}

/** How to go through what tasks have sent. */
export interface TreeOptions {
  /** Go on where a task has not ended. Default false: `IncompleteStream` is thrown. */
  readonly intermediate?: boolean;
}

/** How to revoke a task. */
export interface RevokeOptions {
  /** End the task's process when it runs already. Default false. */
  readonly terminate?: boolean;
  /** What ends it. Default `SIGTERM`. */
  readonly signal?: string;
  /** Wait for the workers' answers. Default false. */
  readonly wait?: boolean;
  /** Seconds to wait for them. Default 1. */
  readonly timeout?: number;
  /** Also the tasks that it follows, and those that they and it have sent so far. Default false. */
  readonly tree?: boolean;
}

/** A state of a task as it changes. */
export interface ResultUpdate {
  readonly state: State;
  /** What was stored with the state: meta data, the value, or the error. */
  readonly info: unknown;
  readonly traceback: string | null;
}

/** What is known of a result before its backend is asked. */
export interface ResultDetails {
  /** URL of the task's own backend. */
  readonly backend?: string | null;
  /** The task or group that this one follows, e.g. in a chain. */
  readonly parent?: AnyResult | null;
  /** The task was sent with `ignoreResult`: nothing will ever be stored. */
  readonly ignored?: boolean;
  /** How it ended (eager mode). */
  readonly meta?: ResultMeta;
}
