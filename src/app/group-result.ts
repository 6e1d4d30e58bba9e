import type { ResultTuple } from '../message/outcome.ts';
import type { AnyResult, GetOptions, ResultHost, TreeEdge, TreeOptions } from './result-options.ts';
import { ResultSet } from './result-set.ts';
import { collectFrom, edgesOf, idsOfTree } from './result-tree.ts';

/**
 * The result of a group: those of its members, in order, which may be groups themselves. `Results` are the types of their values:
 * `await result.get()` is a tuple of them.
 */
export class GroupResult<Results extends readonly unknown[] = readonly unknown[]>
  extends ResultSet<Results>
  implements AnyResult
{
  /** Id of the group. */
  readonly id: string;
  /** What the group follows: the step before in a chain. */
  readonly parent: AnyResult | null;
  readonly #host: ResultHost;

  /** Made by `applyAsync` of a group, `app.GroupResult(id, results)` and `app.restoreGroup(id)`. */
  constructor(host: ResultHost, id: string, results: Iterable<AnyResult>, parent: AnyResult | null = null) {
    super(host, results);
    this.#host = host;
    this.id = id;
    this.parent = parent;
  }

  /** The members. */
  children(): Promise<readonly AnyResult[]> {
    return Promise.resolve(this.results);
  }

  /**
   * Keeps the ids of its members in the result backend, so that any program can `app.restoreGroup(id)`.
   * @throws {BackendError} the backend cannot keep groups
   */
  async save(): Promise<void> {
    await this.#host.ready();
    await this.#host.backendFor(null).saveGroup(this.asTuple());
  }

  /** Removes what `save` kept; the results of the members stay. */
  async delete(): Promise<void> {
    await this.#host.ready();
    await this.#host.backendFor(null).forgetGroup(this.id);
  }

  /**
   * The group, its members, and all tasks that they sent, breadth first, each with its parent.
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
  override toString(): string {
    return this.id;
  }

  /** Celery's tuple form: `[[id, parent], members]`. */
  asTuple(): ResultTuple {
    return [[this.id, this.parent?.asTuple() ?? null], this.results.map((result) => result.asTuple())];
  }

  /** Ids of the group, of its members and of those that it follows. */
  asList(): string[] {
    return [this.id, ...this.results.flatMap((result) => result.asList()), ...(this.parent?.asList() ?? [])];
  }

  protected override idsToRevoke(tree: boolean): Promise<string[]> {
    return tree ? idsOfTree(this) : super.idsToRevoke(false);
  }

  protected override follower(): AnyResult {
    return this;
  }
}
