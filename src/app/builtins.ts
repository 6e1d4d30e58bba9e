/** The tasks that every app has: what Celery's clients send to make a canvas work. */
import { NotRegistered } from '../core/errors.ts';
import type { SignatureJson } from '../message/message.ts';
import type { TaskContext } from './request.ts';
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
  definition('accumulate', accumulate, { typing: false }),
  definition('backend_cleanup', backendCleanup),
];
