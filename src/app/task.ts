import { checkCallOptions } from './call-options.ts';
import { signatureMembers } from './task-signatures.ts';
import type { Group } from './compose.ts';
import type { ResolvedTaskOptions, ApplyOptions, AnyTaskOptions } from './options.ts';
import type { TaskContext } from './request.ts';
import type { AsyncResult } from './result.ts';
import type { Signature, SignatureHost, SignatureOptions } from './signature.ts';
import type { AnySignature, PartialArguments, RemainingArguments } from './signature-types.ts';

/** Leading arguments of a list: what may be left out when keyword arguments fill the rest. */
export type LeadingArguments<Args extends readonly unknown[]> =
  Readonly<Args> | (Args extends readonly [...infer Rest, unknown] ? LeadingArguments<Rest> : readonly []);

/** Arguments of `applyAsync`: the list may be left out when the task needs none. */
export type ApplyParameters<Args extends readonly unknown[]> =
  | ([] extends Args
      ? [args?: Readonly<Args>, options?: ApplyOptions]
      : [args: Readonly<Args>, options?: ApplyOptions])
  | [
      args: LeadingArguments<Args>,
      options: ApplyOptions & { readonly kwargs: Readonly<Record<string, unknown>> },
    ];

/**
 * A task of an app: sends itself to a worker, and is callable as the plain function.
 *
 * `Args` are the parameters (without `self`), `Result` is what a worker returns, `Returned` what a plain call does.
 */
export interface Task<Args extends readonly unknown[], Result, Returned = Result> {
  /** Runs the function here and now, as if it were no task. */
  (...args: Args): Returned;
  /** Registered name: `tasks.add`. */
  readonly name: string;
  /** As given, filled up from `task_annotations` and the settings. */
  readonly options: ResolvedTaskOptions;
  /** The function itself; takes the running task first when `options.bind`. */
  readonly run: TaskFunction;
  /**
   * Sends the task with these arguments. Resolves when the broker has the message.
   * @throws {TypeError} the arguments do not fit the function's parameters
   * @throws {OperationalError} the broker cannot be reached
   */
  delay(...args: Args): Promise<AsyncResult<Result>>;
  /**
   * Sends the task with options: `add.applyAsync([4, 4], { countdown: 10 })`.
   * @throws {TypeError} the arguments do not fit the function's parameters, or there is no option of that name
   * @throws {OperationalError} the broker cannot be reached
   */
  applyAsync(...call: ApplyParameters<Args>): Promise<AsyncResult<Result>>;
  /**
   * Runs the task here and now, through its message, instead of in a worker; what it retries, calls back and replaces too.
   * @throws {TypeError} the arguments do not fit the function's parameters, or there is no option of that name
   */
  apply(...call: ApplyParameters<Args>): Promise<AsyncResult<Result>>;
  /** The result of a call by its id. */
  AsyncResult(id: string): AsyncResult<Result>;
  /**
   * A call not yet made, with its last arguments or all: `add.s(2, 2)`, `add.s(2)`. What it follows, and whoever calls it, give
   * the first ones.
   */
  s<const Given extends PartialArguments<Args>>(
    ...given: Given
  ): Signature<RemainingArguments<Args, Given>, Result>;
  /** The same with all arguments, taking none of what it follows. */
  si(...args: Args): Signature<readonly unknown[], Result>;
  /** `s` with options: `add.signature([2, 2], { countdown: 3 })`. */
  signature<const Given extends PartialArguments<Args>>(
    args?: Given,
    options?: SignatureOptions,
  ): Signature<RemainingArguments<Args, Given>, Result>;
  /** One task that runs the function on each of these, one after the other: the task `celery.map`. */
  map(items: Iterable<Args[0]>): Signature<readonly unknown[], Result[]>;
  /** The same, each item a list of arguments: the task `celery.starmap`. */
  starmap(items: Iterable<Readonly<Args>>): Signature<readonly unknown[], Result[]>;
  /** A group of tasks, each of which runs the function on at most `size` of these lists of arguments. */
  chunks(items: Iterable<Readonly<Args>>, size: number): Group<readonly unknown[], Result[][]>;
}

/** Any task, whatever its types: what a registry holds. Its arguments are checked when it is called. */
export interface AnyTask {
  (...args: never[]): unknown;
  readonly name: string;
  readonly options: ResolvedTaskOptions;
  readonly run: TaskFunction;
  delay(...args: unknown[]): Promise<AsyncResult>;
  applyAsync(args?: readonly unknown[], options?: ApplyOptions): Promise<AsyncResult>;
  apply(args?: readonly unknown[], options?: ApplyOptions): Promise<AsyncResult>;
  AsyncResult(id: string): AsyncResult;
  s(...given: unknown[]): AnySignature;
  si(...args: unknown[]): AnySignature;
  signature(args?: readonly unknown[], options?: SignatureOptions): AnySignature;
  map(items: Iterable<unknown>): AnySignature;
  starmap(items: Iterable<readonly unknown[]>): AnySignature;
  chunks(items: Iterable<readonly unknown[]>, size: number): AnySignature;
}

/** A function that may become a task. */
export type TaskFunction = (...args: never[]) => unknown;

/** A function whose first parameter is the running task (`bind: true`). */
export type BoundTaskFunction = (self: TaskContext, ...args: never[]) => unknown;

/** The task that a function becomes. */
export type TaskOf<Run extends TaskFunction> = Task<
  Parameters<Run>,
  Awaited<ReturnType<Run>>,
  ReturnType<Run>
>;

/** The task that a bound function becomes: its callers do not give `self`. */
export type BoundTaskOf<Run extends BoundTaskFunction> = Task<
  Parameters<Run> extends [unknown, ...infer Rest] ? Rest : [],
  Awaited<ReturnType<Run>>,
  ReturnType<Run>
>;

/** What `app.task` was given. */
export interface TaskDefinition {
  readonly name: string;
  readonly run: TaskFunction;
  readonly options: AnyTaskOptions;
}

/** What a task needs of its app. */
export interface TaskHost {
  optionsOf(definition: TaskDefinition): ResolvedTaskOptions;
  call(task: AnyTask, args: readonly unknown[], options: ApplyOptions): Promise<AsyncResult>;
  resultOf(task: AnyTask, id: string): AsyncResult;
  /** `self` of a bound task that is called as a plain function. */
  directContext(task: AnyTask, args: readonly unknown[]): TaskContext;
  readonly signatures: SignatureHost;
}

/** Makes the callable task of a definition. */
export function createTask(host: TaskHost, definition: TaskDefinition): AnyTask {
  const run = definition.run as (...args: unknown[]) => unknown;
  const call = (...args: unknown[]): unknown =>
    definition.options.bind === true ? run(host.directContext(task, args), ...args) : run(...args);
  const task = call as unknown as AnyTask;
  const members: { readonly [Member in Exclude<keyof AnyTask, 'options' | 'name'>]: unknown } = {
    run: definition.run,
    delay: (...args: unknown[]) => host.call(task, args, {}),
    applyAsync: async (args: readonly unknown[] = [], options: ApplyOptions = {}) => {
      checkCallOptions('applyAsync', options);
      return host.call(task, args, options);
    },
    AsyncResult: (id: string) => host.resultOf(task, id),
    ...signatureMembers(host.signatures, definition.name),
  };
  for (const [name, value] of Object.entries(members)) Object.defineProperty(call, name, { value });
  Object.defineProperty(call, 'name', { value: definition.name });
  Object.defineProperty(call, 'options', { get: () => host.optionsOf(definition) });
  return task;
}
