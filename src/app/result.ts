import type { ResultBackend } from '../backend/backend.ts';
import { RuntimeError, TimeoutError } from '../core/errors.ts';
import { FAILURE, PENDING, PROPAGATE_STATES, READY_STATES, SUCCESS } from '../core/states.ts';
import type { State } from '../core/states.ts';
import type { EncodedValue, ResultTuple } from '../message/outcome.ts';
import { decodeValue } from '../message/registry.ts';
import { fromRemoteError } from '../message/remote-error.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import { runningTask } from './current.ts';
import { startWait } from './wait.ts';

/** What a result needs of its app. */
export interface ResultHost {
  /** Resolves when the app's configuration is read. */
  ready(): Promise<void>;
  /** @param url of a task's own backend; null: the app's */
  backendFor(url: string | null): ResultBackend;
  revoke(taskId: string, options: RevokeOptions): Promise<unknown>;
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
  /** Refuse to wait inside a task, where it can lock up the workers. Default true. */
  readonly disableSyncSubtasks?: boolean;
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
  /** The task that this one follows, e.g. in a chain. */
  readonly parent?: AsyncResult | null;
  /** The task was sent with `ignoreResult`: nothing will ever be stored. */
  readonly ignored?: boolean;
  /** How it ended (eager mode). */
  readonly meta?: ResultMeta;
}

/** The result of one call of a task, now or later. Reading it is reading the result backend. */
export class AsyncResult<Result = unknown> {
  /** Id of the task. */
  readonly id: string;
  /** The task before this one in a chain. */
  readonly parent: AsyncResult | null;
  /** No result is stored: `get()` gives undefined at once. */
  readonly ignored: boolean;

  readonly #host: ResultHost;
  readonly #backendUrl: string | null;
  readonly #eager: boolean;
  #done: ResultMeta | undefined;

  /** Made by `delay`, `applyAsync` and `app.AsyncResult(id)`. */
  constructor(host: ResultHost, id: string, details: ResultDetails = {}) {
    this.#host = host;
    this.id = id;
    this.parent = details.parent ?? null;
    this.ignored = details.ignored ?? false;
    this.#backendUrl = details.backend ?? null;
    this.#eager = details.meta !== undefined;
    this.#done = details.meta;
  }

  /** The backend that the result is read from; printed it is its URL without the password. */
  get backend(): ResultBackend {
    return this.#host.backendFor(this.#backendUrl);
  }

  /**
   * Waits until the task has ended, and gives what it returned.
   * @throws the task's error, with `remoteTraceback`, unless `propagate` is false
   * @throws {TimeoutError} it takes longer than `timeout` seconds
   * @throws {RuntimeError} called inside a task
   * @throws {ImproperlyConfigured} there is no result backend
   */
  get(options: GetOptions & { readonly propagate: false }): Promise<Result | Error>;
  get(options?: GetOptions): Promise<Result>;
  async get(options: GetOptions = {}): Promise<Result | Error> {
    if (this.#done === undefined && (options.disableSyncSubtasks ?? true)) refuseInsideTask();
    if (this.ignored && this.#done === undefined) return undefined as Result;
    const meta = this.#done ?? (await this.#wait(options));
    return (options.propagate ?? true) ? valueOrThrow<Result>(meta) : (infoOf(meta) as Result | Error);
  }

  /** Whether the task has ended. */
  async ready(): Promise<boolean> {
    return READY_STATES.has(await this.state());
  }

  /** Whether it ended without an error. */
  async successful(): Promise<boolean> {
    return (await this.state()) === SUCCESS;
  }

  /** Whether it ended with an error. */
  async failed(): Promise<boolean> {
    return (await this.state()) === FAILURE;
  }

  /** `PENDING` when nothing is known. */
  async state(): Promise<State> {
    return (await this.#fetch())?.status ?? PENDING;
  }

  /** The same as `state()`. */
  status(): Promise<State> {
    return this.state();
  }

  /** What the task returned, its error, or the meta data of its state; null when nothing is known. */
  async result(): Promise<unknown> {
    const meta = await this.#fetch();
    return meta === undefined ? null : infoOf(meta);
  }

  /** The same as `result()`. */
  info(): Promise<unknown> {
    return this.result();
  }

  /** Where it failed, as text. */
  async traceback(): Promise<string | null> {
    return (await this.#fetch())?.traceback ?? null;
  }

  /** When it ended. */
  async dateDone(): Promise<Date | null> {
    return (await this.#fetch())?.dateDone ?? null;
  }

  /** Tasks that it sent; null when that is not known. */
  async children(): Promise<AsyncResult[] | null> {
    const children = (await this.#fetch())?.children ?? null;
    return children === null ? null : children.map((child) => resultFromTuple(this.#host, child));
  }

  /** Name of the task; with `result_extended`, as all below. */
  async name(): Promise<string | null> {
    return (await this.#fetch())?.extended?.name ?? null;
  }

  async args(): Promise<readonly unknown[] | null> {
    return decoded((await this.#fetch())?.extended?.args) as readonly unknown[] | null;
  }

  async kwargs(): Promise<Readonly<Record<string, unknown>> | null> {
    return decoded((await this.#fetch())?.extended?.kwargs) as Readonly<Record<string, unknown>> | null;
  }

  /** Node name of the worker that ran it. */
  async worker(): Promise<string | null> {
    return (await this.#fetch())?.extended?.worker ?? null;
  }

  async retries(): Promise<number | null> {
    return (await this.#fetch())?.extended?.retries ?? null;
  }

  async queue(): Promise<string | null> {
    return (await this.#fetch())?.extended?.queue ?? null;
  }

  /** Throws the task's error when it ended with one. */
  async maybeThrow(): Promise<void> {
    const meta = await this.#fetch();
    if (meta !== undefined) valueOrThrow(meta);
  }

  /** Every state from now on that the backend shows, ending with the last one. */
  async *updates(
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ResultUpdate, void, undefined> {
    if (this.#done !== undefined) {
      yield updateOf(this.#done);
      return;
    }
    await this.#host.ready();
    const wait = startWait(this.#host.closing, options);
    try {
      for await (const meta of this.backend.watch(this.id, wait.signal)) {
        this.#remember(meta);
        yield updateOf(meta);
      }
    } finally {
      wait.end();
    }
  }

  /** Removes what the backend holds of it. */
  async forget(): Promise<void> {
    this.#done = undefined;
    if (this.#eager) return;
    await this.#host.ready();
    await this.backend.forget(this.id);
  }

  /** Tells all workers not to run the task. */
  async revoke(options: RevokeOptions = {}): Promise<void> {
    await this.#host.revoke(this.id, options);
  }

  /** The id. */
  toString(): string {
    return this.id;
  }

  /** Celery's tuple form, as in `children`: `[[id, parent], null]`. */
  toTuple(): ResultTuple {
    return [[this.id, this.parent?.toTuple() ?? null], null];
  }

  async #wait(options: GetOptions): Promise<ResultMeta> {
    await this.#host.ready();
    const backend = this.backend;
    const wait = startWait(this.#host.closing, options);
    try {
      for await (const meta of backend.watch(this.id, wait.signal)) {
        if (!READY_STATES.has(meta.status)) continue;
        this.#remember(meta);
        return meta;
      }
    } catch (error) {
      // A backend that is closed while it is asked says so in its own words.
      wait.signal.throwIfAborted();
      throw error;
    } finally {
      wait.end();
    }
    wait.signal.throwIfAborted();
    throw new TimeoutError(`The backend ${backend.url} ended before the result of ${this.id} came.`);
  }

  async #fetch(): Promise<ResultMeta | undefined> {
    if (this.#done !== undefined || this.#eager) return this.#done;
    await this.#host.ready();
    const meta = await this.backend.fetch(this.id);
    if (meta !== undefined) this.#remember(meta);
    return meta;
  }

  #remember(meta: ResultMeta): void {
    if (READY_STATES.has(meta.status)) this.#done = meta;
  }
}

/** The result of Celery's tuple form. */
export function resultFromTuple(host: ResultHost, tuple: ResultTuple): AsyncResult {
  const [[id, parent]] = tuple;
  return new AsyncResult(host, id, {
    parent: Array.isArray(parent) ? resultFromTuple(host, parent as unknown as ResultTuple) : null,
  });
}

function refuseInsideTask(): void {
  if (runningTask.getStore() === undefined) return;
  throw new RuntimeError(
    'Never call result.get() within a task: it can lock up the workers. Use link or a chain instead, or say ' +
      '{ disableSyncSubtasks: false }. See https://docs.celeryq.dev/en/latest/userguide/tasks.html#avoid-launching-synchronous-subtasks',
  );
}

function valueOrThrow<Result>(meta: ResultMeta): Result {
  const info = infoOf(meta);
  if (PROPAGATE_STATES.has(meta.status)) throw info;
  return info as Result;
}

function infoOf(meta: ResultMeta): unknown {
  if (meta.error === null) return decoded(meta.result);
  const error = fromRemoteError(meta.error);
  const remoteTraceback = meta.traceback ?? meta.error.traceback;
  if (remoteTraceback !== null) {
    Object.defineProperty(error, 'remoteTraceback', { value: remoteTraceback, configurable: true });
  }
  return error;
}

function updateOf(meta: ResultMeta): ResultUpdate {
  return { state: meta.status, info: infoOf(meta), traceback: meta.traceback };
}

function decoded(value: EncodedValue | null | undefined): unknown {
  return value === null || value === undefined ? null : decodeValue(value);
}
