import { ImproperlyConfigured } from '../core/errors.ts';
import { currentApp, onEveryApp } from './current.ts';
import type { AnyTaskOptions, BoundTaskOptions, TaskOptions } from './options.ts';
import type { AnyTask, BoundTaskFunction, BoundTaskOf, TaskFunction, TaskOf } from './task.ts';

/**
 * Defines a task on every app there is and will be, for modules that do not know their app; arguments are those of
 * `app.task`. Calls go through the app that was made last.
 */
export function sharedTask<Run extends TaskFunction>(name: string, run: Run): TaskOf<Run>;
export function sharedTask<Run extends BoundTaskFunction>(
  name: string,
  options: BoundTaskOptions,
  run: Run,
): BoundTaskOf<Run>;
export function sharedTask<Run extends TaskFunction>(
  name: string,
  options: TaskOptions,
  run: Run,
): TaskOf<Run>;
export function sharedTask(name: string, ...rest: [TaskFunction] | [AnyTaskOptions, TaskFunction]): unknown {
  const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  onEveryApp((app) => {
    app.register({ name, run, options });
  });
  const call = (...args: never[]): unknown => taskOfCurrentApp(name)(...args);
  return new Proxy(call, {
    get: (_, member) => Reflect.get(taskOfCurrentApp(name), member) as unknown,
    has: (_, member) => Reflect.has(taskOfCurrentApp(name), member),
  });
}

function taskOfCurrentApp(name: string): AnyTask {
  const task = currentApp()?.tasks.get(name);
  if (task !== undefined) return task;
  throw new ImproperlyConfigured(
    `The shared task '${name}' has no app yet: make one with new Celery() first.`,
  );
}
