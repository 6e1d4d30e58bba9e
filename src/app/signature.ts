import { displaySignature } from '../canvas/display.ts';
import { withErrback, withLink } from '../canvas/links.ts';
import type { ErrbackPlaces } from '../canvas/links.ts';
import { freeze } from '../canvas/freeze.ts';
import type { FreezeContext, ResultNode } from '../canvas/freeze.ts';
import {
  readSignature,
  signatureJson,
  withArguments,
  withImmutable,
  withOptions,
  writeSignature,
} from '../canvas/signature.ts';
import type { CanvasNode, Kwargs, SignatureLike } from '../canvas/signature.ts';
import { stamped } from '../canvas/stamps.ts';
import { sequence, stepsOf } from '../canvas/steps.ts';
import type { SignatureJson } from '../message/message.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import { checkCallOptions } from './call-options.ts';
import type { ApplyOptions } from './options.ts';
import type { AnyResult } from './result-options.ts';
import type { AsyncResult } from './result.ts';
import { toApplyOptions, toSignatureOptions } from './signature-options.ts';
import type { AnySignature, HandleOf, ResultOf, Taking } from './signature-types.ts';
import type { ApplyParameters } from './task.ts';

/** What a signature needs of its app. */
export interface SignatureHost extends ErrbackPlaces {
  /** Sends what starts it. */
  start(node: CanvasNode, args: readonly unknown[], options: ApplyOptions): Promise<unknown>;
  /** Runs it here and now. */
  runHere(node: CanvasNode, args: readonly unknown[], options: ApplyOptions): Promise<unknown>;
  resultOf(result: ResultNode): unknown;
  /** The result of a task that ran here. */
  endedResult(meta: ResultMeta, parent: AnyResult | null): AnyResult;
  readonly ids: FreezeContext;
}

/** Options of a signature: those of a call, and whether it takes no arguments of what it follows. */
export interface SignatureOptions extends ApplyOptions {
  /** Ignore the result of what it follows. Default false. */
  readonly immutable?: boolean;
}

/**
 * One call, or several, not yet made: `add.s(2, 2)`, `chain(…)`, `group(…)`, `chord(…)`. It is passed to tasks, other processes and
 * other languages by its JSON form, which is that of Python's Celery.
 *
 * `Accepts` are the arguments that may be given when it is called, `Result` is what comes of it, `Handle` what a call returns.
 */
export class Signature<
  Accepts extends readonly unknown[] = readonly unknown[],
  Result = unknown,
  Handle = AsyncResult<Result>,
> implements AnySignature {
  declare readonly '~accepts': (args: Accepts) => void;
  declare readonly '~types': { readonly result: Result; readonly handle: Handle };
  readonly #host: SignatureHost;
  #node: CanvasNode;

  /** The app's side of a signature; undefined of what is none. */
  static hostOf(value: object): SignatureHost | undefined {
    return #host in value ? value.#host : undefined;
  }

  /** Made by `task.s()`, `app.signature()`, `chain()`, `group()` and `chord()`. */
  constructor(host: SignatureHost, node: CanvasNode) {
    this.#host = host;
    this.#node = node;
  }

  /** Name of the task; `celery.chain`, `celery.group` and `celery.chord` for those. */
  get task(): string {
    return this.#node.kind === 'task' ? this.#node.task : `celery.${this.#node.kind}`;
  }

  /** The same as `task`. */
  get name(): string {
    return this.task;
  }

  /** `chain`, `group` or `chord`; null for one task. */
  get subtaskType(): string | null {
    return this.#node.kind === 'task' ? null : this.#node.kind;
  }

  /** The arguments it holds. */
  get args(): readonly unknown[] {
    return this.#node.kind === 'task' ? this.#node.args : [];
  }

  get kwargs(): Kwargs {
    return writeSignature(this.#node).kwargs;
  }

  /** Options of the call, as `applyAsync` takes them. */
  get options(): ApplyOptions {
    return toApplyOptions(this.#node.options);
  }

  /** It takes nothing of what it follows. */
  get immutable(): boolean {
    return this.#node.kind === 'task' && this.#node.immutable;
  }

  /** Id of its task, once that is fixed; undefined before. */
  get id(): string | undefined {
    return this.options.taskId;
  }

  /** Steps of a chain, members of a group, the header of a chord; empty for one task. */
  get tasks(): readonly Signature[] {
    const node = this.#node;
    if (node.kind === 'task') return [];
    const tasks = node.kind === 'chord' ? node.header.tasks : node.tasks;
    return tasks.map((task) => new Signature(this.#host, task));
  }

  /** What a chord calls with the results of its header; null for others. */
  get body(): Signature | null {
    return this.#node.kind === 'chord' ? new Signature(this.#host, this.#node.body) : null;
  }

  /**
   * Sends it, these arguments before its own. Resolves when the broker has what runs first.
   * @throws {TypeError} the arguments do not fit the parameters
   * @throws {OperationalError} the broker cannot be reached
   */
  delay(...args: Accepts): Promise<Handle> {
    return this.#host.start(this.#node, args, {}) as Promise<Handle>;
  }

  /** `delay` with options, which go before its own: `sig.applyAsync([4], { countdown: 10 })`. */
  async applyAsync(...call: ApplyParameters<Accepts>): Promise<Handle> {
    const [args = [], options = {}] = call as readonly [(readonly unknown[])?, ApplyOptions?];
    checkCallOptions('applyAsync', options);
    return (await this.#host.start(this.#node, args, options)) as Handle;
  }

  /** Runs it here and now instead of in a worker, and so all that follows it. */
  async apply(...call: ApplyParameters<Accepts>): Promise<Handle> {
    const [args = [], options = {}] = call as readonly [(readonly unknown[])?, ApplyOptions?];
    checkCallOptions('apply', options);
    return (await this.#host.runHere(this.#node, args, options)) as Handle;
  }

  /**
   * Fixes the ids of its tasks and gives the result that it is going to have, once it is called.
   * @throws {ValueError} a chain has no steps
   */
  freeze(taskId?: string): Handle {
    const frozen = freeze(this.#node, { id: taskId }, this.#host.ids);
    this.#node = frozen.node;
    return this.#host.resultOf(frozen.result) as Handle;
  }

  /**
   * Sets options of the call: `add.s(2, 2).set({ queue: 'hipri' })`.
   * @throws {TypeError} there is no option of that name
   */
  set({ immutable, ...options }: SignatureOptions): this {
    checkCallOptions('set', options);
    // Before: what is immutable takes none.
    if (options.kwargs !== undefined) this.#node = withArguments(this.#node, [], options.kwargs);
    if (immutable !== undefined) this.#node = withImmutable(this.#node, immutable);
    this.#node = withOptions(this.#node, toSignatureOptions(options));
    return this;
  }

  /** Has the task take nothing of what it follows; of a group all, of a chord its header. */
  setImmutable(immutable = true): this {
    this.#node = withImmutable(this.#node, immutable);
    return this;
  }

  /**
   * Has a callback called with the result: of a chain's last step, of a chord's body. A group's is called after its first member,
   * without a result.
   */
  link(callback: SignatureLike): this {
    this.#node = withLink(this.#node, signatureJson(callback));
    return this;
  }

  /** Calls `errback` when a task fails: any step of a chain, any member of a group, the body of a chord. */
  linkError(errback: SignatureLike): this {
    this.#node = withErrback(this.#node, signatureJson(errback), this.#host);
    return this;
  }

  /** The same as `linkError`. */
  onError(errback: SignatureLike): this {
    return this.linkError(errback);
  }

  /** Marks all tasks of it, for `revokeByStampedHeaders` and for monitors. */
  stamp(stamps: Readonly<Record<string, unknown>>): this {
    this.#node = stamped(this.#node, stamps);
    return this;
  }

  /** A copy, with arguments before its own and options over its own. */
  clone(
    args: readonly unknown[] = [],
    options: ApplyOptions = {},
  ): Signature<readonly unknown[], Result, Handle> {
    const node = withArguments(this.#node, args, options.kwargs);
    return new Signature(this.#host, withOptions(node, toSignatureOptions(options)));
  }

  /** The chain of this and another, which takes its result: Celery's `|`. After a group it is a chord. */
  pipe<Next extends AnySignature>(
    next: Taking<Next, Result>,
  ): Signature<Accepts, ResultOf<Next>, HandleOf<Next>> {
    const node = readSignature(next);
    const mine = this.#node;
    if (mine.kind === 'group') {
      return new Signature(this.#host, { kind: 'chord', header: mine, body: node, options: {} });
    }
    return new Signature(this.#host, chained([mine, node]));
  }

  /** Sets options of each of its tasks. */
  protected setEach(options: (index: number) => ApplyOptions): void {
    if (this.#node.kind !== 'group') return;
    const tasks = this.#node.tasks.map((task, index) =>
      withOptions(task, toSignatureOptions(options(index))),
    );
    this.#node = { ...this.#node, tasks };
  }

  /** What runs after what, in the DOT language of Graphviz, for `dot -Tsvg`. */
  async graph(): Promise<string> {
    const [{ canvasGraph }, { writeDot }] = await Promise.all([
      import('../canvas/graph.ts'),
      import('../core/dot.ts'),
    ]);
    return writeDot(canvasGraph(this.toJSON()));
  }

  /** Python's form, as it is in messages. */
  toJSON(): SignatureJson {
    return writeSignature(this.#node);
  }

  /** As Python shows it: `tasks.add(2, 2)`. */
  toString(): string {
    return displaySignature(this.#node);
  }
}

/** The signature of a task by its name, or of what a JSON form says. */
export function makeSignature<Result>(
  host: SignatureHost,
  task: string | SignatureLike,
  args: readonly unknown[],
  options: SignatureOptions,
): Signature<readonly unknown[], Result> {
  // Plain JavaScript, and Celery's own way to write it.
  if (!Array.isArray(args)) {
    throw new TypeError(
      'The arguments of a signature are a list: signature(task, [2, 2], { countdown: 10 }).',
    );
  }
  const node: CanvasNode =
    typeof task === 'string'
      ? { kind: 'task', task, args: [], kwargs: {}, options: {}, immutable: false }
      : readSignature(task);
  return new Signature<readonly unknown[], Result>(host, withArguments(node, args)).set(options);
}

/** Signatures as steps of one chain; a group that something follows is made the header of a chord. */
export function chained(nodes: readonly CanvasNode[]): CanvasNode {
  return sequence(stepsOf({ kind: 'chain', tasks: nodes, options: {} }));
}
