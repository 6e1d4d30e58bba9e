import type { ResultBackend } from '../backend/backend.ts';
import { TimeoutError } from '../core/errors.ts';
import { FAILURE, PENDING, READY_STATES, SUCCESS } from '../core/states.ts';
import type { State } from '../core/states.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type {
  AnyResult,
  GetOptions,
  ResultDetails,
  ResultHost,
  ResultUpdate,
  RevokeOptions,
  TaskResult,
  TreeEdge,
  TreeOptions,
} from './result-options.ts';
import { collectFrom, edgesOf, failWithParents, idsOfTree } from './result-tree.ts';
import { decoded, infoOf, refuseInsideTask, updateOf, valueOrThrow } from './result-value.ts';
import { startWait } from './wait.ts';

/** The result of one call of a task, now or later. Reading it is reading the result backend. */
export class AsyncResult<Result = unknown> implements TaskResult {
  /** Id of the task. */
  readonly id: string;
  /** What this one follows: the step before in a chain, the header of a chord. */
  readonly parent: AnyResult | null;
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
   * @throws the task's error, with `remoteTraceback`, unless `propagate` is false; or that of a task before it in a chain
   * @throws {TimeoutError} it takes longer than `timeout` seconds
   * @throws {RuntimeError} called inside a task
   * @throws {ImproperlyConfigured} there is no result backend
   */
  get(options: GetOptions & { readonly propagate: false }): Promise<Result | Error>;
  get(options?: GetOptions): Promise<Result>;
  async get(options: GetOptions = {}): Promise<Result | Error> {
    if (this.#done === undefined && (options.disableSyncSubtasks ?? true)) refuseInsideTask();
    if (this.ignored && this.#done === undefined) return undefined as Result;
    const meta = this.#done ?? (await this.wait(options));
    const value = (options.propagate ?? true) ? valueOrThrow<Result>(meta) : (infoOf(meta) as Result | Error);
    options.callback?.(this.id, value);
    return value;
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
  async children(): Promise<AnyResult[] | null> {
    const children = (await this.#fetch())?.children ?? null;
    return children === null ? null : children.map((child) => this.#host.fromTuple(child));
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

  /**
   * This result and those of all tasks that it sent, and that they sent, breadth first, each with its parent.
   * @throws {IncompleteStream} one of them has not ended, unless `intermediate`
   */
  iterdeps(options: TreeOptions = {}): AsyncGenerator<TreeEdge, void, undefined> {
    return edgesOf([this], options);
  }

  /** The same with their values, each waited for. */
  collect(
    options: GetOptions & TreeOptions = {},
  ): AsyncGenerator<readonly [result: AnyResult, value: unknown], void, undefined> {
    return collectFrom(this, options);
  }

  /** The value of the task that was sent last and deepest, waiting for each on the way. */
  async getLeaf(options: GetOptions = {}): Promise<unknown> {
    let last: unknown;
    for await (const [, value] of this.collect(options)) last = value;
    return last;
  }

  /** Removes what the backend holds of it, and of those that it follows. */
  async forget(): Promise<void> {
    this.#done = undefined;
    await this.parent?.forget();
    if (this.#eager) return;
    await this.#host.ready();
    await this.backend.forget(this.id);
  }

  /** Tells all workers not to run the task. */
  async revoke(options: RevokeOptions = {}): Promise<void> {
    await this.#host.revoke(options.tree === true ? await idsOfTree(this) : this.id, options);
  }

  /**
   * The same tree in the DOT language of Graphviz, for `dot -Tsvg`.
   * @throws {IncompleteStream} one of them has not ended, unless `intermediate`
   */
  async graph(options: TreeOptions = {}): Promise<string> {
    const [{ resultGraph }, { writeDot }] = await Promise.all([
      import('./result-graph.ts'),
      import('../core/dot.ts'),
    ]);
    return writeDot(await resultGraph(this, options));
  }

  /** The id. */
  toString(): string {
    return this.id;
  }

  /** Celery's tuple form, as in `children`: `[[id, parent], null]`. */
  asTuple(): ResultTuple {
    return [[this.id, this.parent?.asTuple() ?? null], null];
  }

  /** Ids of this task and of those that it follows. */
  asList(): string[] {
    return [this.id, ...(this.parent?.asList() ?? [])];
  }

  /**
   * Waits until the task has ended, and gives how, whatever that is. For those who wait for several.
   * @throws the error of a task that this one follows, unless `followParents` or `propagate` is false
   */
  async wait(options: GetOptions): Promise<ResultMeta> {
    if (this.#done !== undefined) return this.#done;
    await this.#host.ready();
    const { backend } = this;
    const wait = startWait(this.#host.closing, options);
    const { propagate = true, followParents = true } = options;
    if (propagate && followParents) failWithParents(this, wait);
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
