import { hostname } from 'node:os';
import { nullLogger } from '../core/logger.ts';
import { newTaskId } from '../core/task-id.ts';
import type { Celery } from './celery.ts';
import { RunContext } from './context.ts';
import { runningTask } from './current.ts';
import type { TaskContext, TaskRequest } from './request.ts';
import type { AnyTask } from './task.ts';

/** `self` of a bound task that is called as a plain function: no message, no retries, no state that anybody stores. */
export function directContext(app: Celery, task: AnyTask, args: readonly unknown[]): TaskContext {
  const outer = runningTask.getStore()?.context;
  const request = directRequest(task.name, args);
  return new RunContext(() => request, {
    app,
    task,
    // Only to hand out a logger for this task's name: inside a task its own serves.
    logger: outer === undefined ? nullLogger : { ...nullLogger, forTask: () => outer.logger },
    signal: outer?.signal ?? new AbortController().signal,
    onState: () => Promise.resolve(),
  });
}

function directRequest(task: string, args: readonly unknown[]): TaskRequest {
  const id = newTaskId();
  return {
    id,
    task,
    args,
    kwargs: {},
    retries: 0,
    rootId: id,
    parentId: null,
    group: null,
    groupIndex: null,
    eta: null,
    expires: null,
    timeLimit: [null, null],
    deliveryInfo: { exchange: '', routing_key: '' },
    replyTo: null,
    correlationId: null,
    headers: null,
    origin: '',
    shadow: null,
    lang: 'js',
    argsrepr: '',
    kwargsrepr: '',
    ignoreResult: false,
    replacedTaskNesting: 0,
    stampedHeaders: null,
    stamps: {},
    hostname: hostname(),
    isEager: false,
    calledDirectly: true,
    callbacks: null,
    errbacks: null,
    chain: null,
    chord: null,
    children: [],
  };
}
