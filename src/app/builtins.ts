/** The tasks that every app has: what Celery's clients send to make a canvas work. */
import { NotRegistered, RuntimeError } from '../core/errors.ts';
import type { SignatureJson } from '../message/message.ts';
import type { ResultTuple } from '../message/outcome.ts';
import { unlockChord } from './chord-unlock.ts';
import type { ApplyOptions } from './options.ts';
import type { TaskContext } from './request.ts';
import type { AnyResult } from './result-options.ts';
import { signatureMembers } from './task-signatures.ts';
import type { TaskDefinition } from './task.ts';

/** What `celery.map` and `celery.starmap` are called with. */
interface MapCall {
  readonly task: SignatureJson;
  readonly it: readonly unknown[];
}

/** Calls a task here, once for each item, one after the other. */
async function callEach(
  self: TaskContext,
  { task: { task: name }, it }: MapCall,
  argsOf: (item: unknown) => readonly unknown[],
): Promise<unknown[]> {
  const task = self.app.tasks.get(name);
  if (task === undefined) throw new NotRegistered(name);
  const call = task as unknown as (...args: readonly unknown[]) => unknown;
  const values: unknown[] = [];
  for (const item of it) {
    self.signal.throwIfAborted();
    values.push(await call(...argsOf(item)));
  }
  return values;
}

function map(self: TaskContext, { task, it }: MapCall): Promise<unknown[]> {
  return callEach(self, { task, it }, (item) => [item]);
}

function starmap(self: TaskContext, { task, it }: MapCall): Promise<unknown[]> {
  return callEach(self, { task, it }, (item) => item as readonly unknown[]);
}

/** Gives its arguments back, or that of the index; a group that replaces a task ends in it. */
function accumulate(self: TaskContext): unknown {
  const { args, kwargs } = self.request;
  const { index } = kwargs;
  return typeof index === 'number' ? args.at(index) : args;
}

function backendCleanup(self: TaskContext): Promise<void> {
  return self.app.backend.cleanup().then(() => undefined);
}

/** Sends the members of a group. @returns the result, in Celery's tuple form */
async function group(
  self: TaskContext,
  tasks: readonly SignatureJson[],
  _result: unknown,
  group_id: string,
  partial_args: readonly unknown[] = [],
  add_to_parent = true,
): Promise<ResultTuple> {
  const members = { ...COMPOSITE, task: 'celery.group', kwargs: { tasks }, subtask_type: 'group' };
  const options = { taskId: group_id, addToParent: add_to_parent };
  return send(self, members, partial_args, options);
}

/** Sends a chord. @returns the result of its body, in Celery's tuple form */
async function chord(
  self: TaskContext,
  header: unknown,
  body: SignatureJson,
  partial_args: readonly unknown[] = [],
): Promise<ResultTuple> {
  const whole = { ...COMPOSITE, task: 'celery.chord', kwargs: { header, body }, subtask_type: 'chord' };
  return send(self, whole, partial_args, {});
}

/** Sends `celery.starmap` for every `n` items. @returns the result, in Celery's tuple form */
async function chunks(
  { app }: TaskContext,
  task: SignatureJson,
  it: Iterable<readonly unknown[]>,
  n: number,
): Promise<ResultTuple> {
  const parts = signatureMembers(app.signatures, task.task).chunks(it, n);
  return (await parts.delay()).asTuple();
}

function chain(): never {
  throw new RuntimeError(
    'celery.chain is not a real task: send the first of its tasks, with the others as its chain.',
  );
}

const COMPOSITE = { args: [], options: {}, immutable: false } as const;

async function send(
  { app }: TaskContext,
  signature: SignatureJson,
  args: readonly unknown[],
  options: ApplyOptions,
): Promise<ResultTuple> {
  const result = await app.signature(signature).applyAsync(args, options);
  return (result as AnyResult).asTuple();
}

function definition(
  name: string,
  run: (self: TaskContext, ...args: never[]) => unknown,
  options: Omit<TaskDefinition['options'], 'bind'> = {},
): TaskDefinition {
  return { name: `celery.${name}`, run, options: { ...options, bind: true } };
}

export const BUILTIN_TASKS: readonly TaskDefinition[] = [
  definition('map', map),
  definition('starmap', starmap),
  definition('chunks', chunks),
  definition('group', group, { typing: false }),
  definition('chain', chain, { typing: false }),
  definition('chord', chord, { typing: false }),
  // Celery's own names each argument, and takes any others.
  definition('chord_unlock', unlockChord, { maxRetries: null, ignoreResult: true, typing: false }),
  definition('accumulate', accumulate, { typing: false }),
  definition('backend_cleanup', backendCleanup),
];
