import { setMaxListeners } from 'node:events';
import type { ResultBackend } from '../backend/backend.ts';
import { KeyError } from '../core/errors.ts';
import { startWait } from './wait.ts';
import type { Wait } from './wait.ts';
import type { AnyResult, GetOptions, ResultHost, RevokeOptions } from './result-options.ts';
import { failWithParents, idsOfTree, membersOf } from './result-tree.ts';
import { refuseInsideTask } from './result-value.ts';

/** The values of several results when errors are values too. */
export type Settled<Results extends readonly unknown[]> = {
  [Index in keyof Results]: Results[Index] | Error;
};

/** One result that has ended. */
interface Ended {
  readonly index: number;
  readonly result: AnyResult;
  readonly value: unknown;
}

/**
 * Several results, to be waited for together. `Results` are the types of their values, in order.
 *
 * Whoever waits is woken by the backend, over one connection however many results there are.
 */
export class ResultSet<Results extends readonly unknown[] = readonly unknown[]> {
  readonly #host: ResultHost;
  readonly #results: AnyResult[];

  /** Made by `app.ResultSet(results)`. */
  constructor(host: ResultHost, results: Iterable<AnyResult>) {
    this.#host = host;
    this.#results = [...results];
  }

  /** The results, in order. */
  get results(): readonly AnyResult[] {
    return this.#results;
  }

  /** How many results there are. */
  get length(): number {
    return this.#results.length;
  }

  [Symbol.iterator](): Iterator<AnyResult> {
    return this.#results.values();
  }

  /** The backend of the results; printed it is its URL without the password. */
  get backend(): ResultBackend {
    return this.#results[0]?.backend ?? this.#host.backendFor(null);
  }

  /** Adds a result, unless it is there. */
  add(result: AnyResult): void {
    if (!this.#results.some(({ id }) => id === result.id)) this.#results.push(result);
  }

  /** Adds several, each unless it is there. */
  update(results: Iterable<AnyResult>): void {
    for (const result of results) this.add(result);
  }

  /** Takes a result out. @throws {KeyError} it is not there */
  remove(result: AnyResult | string): void {
    if (!this.discard(result)) throw new KeyError(`There is no result ${String(result)} in this set.`);
  }

  /** Takes a result out if it is there, and says whether it was. */
  discard(result: AnyResult | string): boolean {
    const index = this.#results.findIndex(({ id }) => id === String(result));
    if (index >= 0) this.#results.splice(index, 1);
    return index >= 0;
  }

  /** Takes all out. */
  clear(): void {
    this.#results.length = 0;
  }

  /** Whether all have ended. */
  ready(): Promise<boolean> {
    return this.#every((result) => result.ready());
  }

  /** Whether all have ended without an error. */
  successful(): Promise<boolean> {
    return this.#every((result) => result.successful());
  }

  /** Whether one of them has ended with an error. */
  async failed(): Promise<boolean> {
    return (await Promise.all(this.#results.map((result) => result.failed()))).includes(true);
  }

  /** Whether one of them has not ended. */
  async waiting(): Promise<boolean> {
    return !(await this.ready());
  }

  /** How many have ended without an error. */
  async completedCount(): Promise<number> {
    const successful = await Promise.all(this.#results.map((result) => result.successful()));
    return successful.filter(Boolean).length;
  }

  /** Throws the error of the first that has ended with one. */
  async maybeThrow(): Promise<void> {
    for (const result of this.#results) await result.maybeThrow();
  }

  /**
   * Waits until all have ended, and gives their values in order.
   * @throws the error of the first that fails, unless `propagate` is false
   * @throws {TimeoutError} it takes longer than `timeout` seconds
   * @throws {RuntimeError} called inside a task
   */
  get(options: GetOptions & { readonly propagate: false }): Promise<Settled<Results>>;
  get(options?: GetOptions): Promise<Results>;
  get(options: GetOptions = {}): Promise<Results | Settled<Results>> {
    return this.joinNative(options);
  }

  /** The same, but of several errors that of the first in order is thrown, when all before it have ended. */
  join(options: GetOptions & { readonly propagate: false }): Promise<Settled<Results>>;
  join(options?: GetOptions): Promise<Results>;
  async join(options: GetOptions = {}): Promise<Results | Settled<Results>> {
    if (options.disableSyncSubtasks ?? true) refuseInsideTask();
    const wait = await this.#startWait(options);
    try {
      // All at once, and so in one subscription; taken in order.
      const values = this.#results.map((result) => this.#valueOf(result, options, wait.signal));
      for (const value of values) value.catch(() => undefined);
      const joined: unknown[] = [];
      for (const [index, value] of values.entries()) {
        this.#collect(joined, options, { index, result: this.#at(index), value: await value });
      }
      return joined as unknown as Results;
    } finally {
      wait.stop(undefined);
      wait.end();
    }
  }

  /** The same as `get`. */
  joinNative(options: GetOptions & { readonly propagate: false }): Promise<Settled<Results>>;
  joinNative(options?: GetOptions): Promise<Results>;
  async joinNative(options: GetOptions = {}): Promise<Results | Settled<Results>> {
    const joined: unknown[] = [];
    for await (const ended of this.#ends(options)) this.#collect(joined, options, ended);
    return joined as unknown as Results;
  }

  /**
   * Each result with its value, in the order in which they end.
   * @throws what `get` throws
   */
  async *iterate(
    options: GetOptions = {},
  ): AsyncGenerator<readonly [result: AnyResult, value: unknown], void, undefined> {
    for await (const { result, value } of this.#ends(options)) yield [result, value];
  }

  /** Removes what the backend holds of them. */
  async forget(): Promise<void> {
    await Promise.all(this.#results.map((result) => result.forget()));
  }

  /** Tells all workers not to run the tasks, those of groups in it among them. */
  async revoke(options: RevokeOptions = {}): Promise<void> {
    await this.#host.revoke(await this.idsToRevoke(options.tree === true), options);
  }

  /** Ids of its tasks, also in groups; of the whole tree: of those that they follow and have sent too. */
  protected async idsToRevoke(tree: boolean): Promise<string[]> {
    if (!tree) return taskIds(this.#results);
    return [...new Set((await Promise.all(this.#results.map(idsOfTree))).flat())];
  }

  /** Whose parents may fail it; a set has none. */
  protected follower(): AnyResult | undefined {
    return undefined;
  }

  async *#ends(options: GetOptions): AsyncGenerator<Ended, void, undefined> {
    if (options.disableSyncSubtasks ?? true) refuseInsideTask();
    const wait = await this.#startWait(options);
    const ended: (() => Ended)[] = [];
    let wake = (): void => undefined;
    const end = (take: () => Ended): void => {
      ended.push(take);
      wake();
    };
    try {
      this.#results.forEach((result, index) => {
        this.#valueOf(result, options, wait.signal).then(
          (value) => end(() => ({ index, result, value })),
          (error: unknown) =>
            end(() => {
              throw error;
            }),
        );
      });
      for (let left = this.length; left > 0; left -= 1) {
        while (ended.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        const take = ended.shift();
        if (take !== undefined) yield take();
      }
    } finally {
      wait.stop(undefined);
      wait.end();
    }
  }

  async #startWait(options: GetOptions): Promise<Wait> {
    await this.#host.ready();
    const wait = startWait(this.#host.closing, options);
    setMaxListeners(0, wait.signal);
    const { propagate = true, followParents = true } = options;
    const follower = this.follower();
    if (propagate && followParents && follower !== undefined) failWithParents(follower, wait);
    return wait;
  }

  #valueOf(result: AnyResult, { propagate = true }: GetOptions, signal: AbortSignal): Promise<unknown> {
    return result.get({ signal, propagate, disableSyncSubtasks: false });
  }

  #collect(joined: unknown[], { callback }: GetOptions, { index, result, value }: Ended): void {
    if (callback === undefined) joined[index] = value;
    else callback(result.id, value);
  }

  #at(index: number): AnyResult {
    const result = this.#results[index];
    if (result === undefined) throw new KeyError(`The set has no result ${String(index)} any more.`);
    return result;
  }

  async #every(test: (result: AnyResult) => Promise<boolean>): Promise<boolean> {
    return !(await Promise.all(this.#results.map(test))).includes(false);
  }
}

function taskIds(results: readonly AnyResult[]): string[] {
  return results.flatMap((result) => {
    const members = membersOf(result);
    return members === undefined ? [result.id] : taskIds(members);
  });
}
