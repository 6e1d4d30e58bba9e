import type { AnyTask } from './task.ts';
import type { Celery } from './celery.ts';
import type { TaskRequest } from './request.ts';
import { Signal } from './signal.ts';

/** A call that leaves this program. */
export interface PublishEvent {
  /** Name of the task. */
  readonly sender: string;
  readonly taskId: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Headers of the message; those that `beforeTaskPublish` sets go along, and the task finds them in `request.headers`. */
  readonly headers: Record<string, unknown>;
  readonly exchange: string;
  readonly routingKey: string;
}

/** A run of a task, in the process that runs it. */
export interface RunEvent {
  readonly sender: AnyTask;
  readonly taskId: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly request: TaskRequest;
}

/** A run that has ended. */
export interface PostrunEvent extends RunEvent {
  /** What the task returned, or threw. */
  readonly retval: unknown;
  readonly state: string;
}

/** A run that has ended well. */
export interface SuccessEvent extends RunEvent {
  readonly result: unknown;
}

/** A run that has failed, or will be tried again. */
export interface ErrorEvent extends RunEvent {
  readonly error: unknown;
}

/** A message that a worker has taken from the broker. */
export interface MessageEvent {
  /** Name of the task. */
  readonly sender: string;
  readonly taskId: string;
  readonly retries: number;
  readonly rootId: string | null;
  readonly parentId: string | null;
  readonly argsrepr: string;
  readonly kwargsrepr: string;
}

/** A task that will not run, or was ended. */
export interface RevokedEvent extends MessageEvent {
  readonly terminated: boolean;
  readonly expired: boolean;
}

/** The life of a worker. */
export interface WorkerEvent {
  /** Full node name. */
  readonly sender: string;
  readonly app: Celery;
}

/** A shutdown began. */
export interface ShuttingDownEvent extends WorkerEvent {
  readonly how: 'warm' | 'cold';
}

/** The life of a process that runs tasks. */
export interface ProcessEvent extends WorkerEvent {
  readonly pid: number;
}

// In the program that calls.

/** Before a message leaves; waited for. */
export const beforeTaskPublish = new Signal<PublishEvent>('beforeTaskPublish');
/** The broker has the message. */
export const afterTaskPublish = new Signal<PublishEvent>('afterTaskPublish');

// In the process that runs the task.

/** Before a task runs; waited for. */
export const taskPrerun = new Signal<RunEvent>('taskPrerun');
/** After a task has run, however it ended; waited for. */
export const taskPostrun = new Signal<PostrunEvent>('taskPostrun');
/** A task has returned. */
export const taskSuccess = new Signal<SuccessEvent>('taskSuccess');
/** A task has thrown. A process that is killed with its task tells nothing: see the event `task-failed` for those. */
export const taskFailure = new Signal<ErrorEvent>('taskFailure');
/** A task will run again; `error` is its `Retry`. */
export const taskRetry = new Signal<ErrorEvent>('taskRetry');
/** A process that runs tasks has loaded the app; waited for before its first task. */
export const workerProcessInit = new Signal<ProcessEvent>('workerProcessInit');
/** Such a process ends by request, its tasks having ended; waited for, for a few seconds. */
export const workerProcessShutdown = new Signal<ProcessEvent>('workerProcessShutdown');

// In the worker's main process.

/** A worker has taken a message for a task it knows. */
export const taskReceived = new Signal<MessageEvent>('taskReceived');
/** A task was revoked, has expired, or was terminated. */
export const taskRevoked = new Signal<RevokedEvent>('taskRevoked');
/** A worker begins to start; waited for. */
export const workerInit = new Signal<WorkerEvent>('workerInit');
/** A worker consumes its queues. */
export const workerReady = new Signal<WorkerEvent>('workerReady');
/** A shutdown began, or got harder. */
export const workerShuttingDown = new Signal<ShuttingDownEvent>('workerShuttingDown');
/** A worker has stopped; waited for. */
export const workerShutdown = new Signal<WorkerEvent>('workerShutdown');
