/** Error callbacks of the kind that is called where a task has failed, as `errback(request, exc, traceback)`; others are sent. */
import { readSignature, taskWithArguments } from '../canvas/signature.ts';
import type { AbandonedErrbacks } from '../canvas/abandon.ts';
import type { CanvasNode, TaskNode } from '../canvas/signature.ts';
import { InvalidTaskError } from '../core/errors.ts';
import { saferepr, tupleRepr } from '../core/python-repr.ts';
import type { SignatureJson } from '../message/message.ts';
import type { RemoteError } from '../message/outcome.ts';
import { errorRepr, fromRemoteError } from '../message/remote-error.ts';
import type { Celery } from './celery.ts';
import { bindArguments, mostArguments } from './parameters.ts';
import type { TaskRequest } from './request.ts';
import type { AnyTask } from './task.ts';

/** A task that has failed, as its error callbacks get it. */
export interface FailedTask {
  readonly request: TaskRequest;
  readonly exc: Error;
  readonly traceback: string | null;
}

/** Where it is written that an error callback has failed. */
export type ErrorLog = (message: string, error: unknown) => void;

/** Of the task that has failed, and how. @param thrown the error itself, where it is at hand */
export function failedTask(request: TaskRequest, error: RemoteError, thrown?: unknown): FailedTask {
  const exc = thrown instanceof Error ? thrown : fromRemoteError(error);
  return { request, exc, traceback: error.traceback };
}

/** The request of a task that was to follow and was never sent: as much as its signature says. */
export function unsentRequest(
  { task, taskId, args, kwargs, errbacks }: AbandonedErrbacks,
  hostname: string,
): TaskRequest {
  return {
    ...{ id: taskId, task, args, kwargs, rootId: taskId, parentId: null, group: null, groupIndex: null },
    ...{ retries: 0, eta: null, expires: null, timeLimit: [null, null], headers: null, shadow: null },
    ...{ deliveryInfo: { exchange: '', routing_key: '' }, replyTo: null, correlationId: null },
    ...{ origin: hostname, hostname, lang: 'py', argsrepr: tupleRepr(args), kwargsrepr: saferepr(kwargs) },
    ...{ ignoreResult: false, replacedTaskNesting: 0, stampedHeaders: null, stamps: {}, isEager: false },
    ...{ calledDirectly: false, callbacks: null, errbacks, chain: null, chord: null, children: [] },
  };
}

/**
 * Whether an error callback is called at once: its task is registered here, takes more than one argument, and has no `self`. All
 * others are sent with the id of the failed task, as Celery decides it.
 */
export function isCalledAtOnce(app: Celery, errback: SignatureJson): boolean {
  return calledTask(app, errback) !== undefined;
}

/** Calls those that are called at once, one after the other; one that fails is logged. @returns those that are to be sent */
export async function callErrbacks(
  app: Celery,
  errbacks: readonly SignatureJson[],
  failed: FailedTask,
  log: ErrorLog,
): Promise<readonly SignatureJson[]> {
  const toSend: SignatureJson[] = [];
  for (const errback of errbacks) {
    const called = calledTask(app, errback);
    if (called === undefined) toSend.push(errback);
    else await call(called, failed, log);
  }
  return toSend;
}

interface Called {
  readonly task: AnyTask;
  readonly node: TaskNode;
}

function calledTask(app: Celery, errback: SignatureJson): Called | undefined {
  const node = readable(errback);
  if (node?.kind !== 'task') return undefined;
  const task = app.tasks.get(node.task);
  if (task === undefined || task.options.bind || mostArguments(task) < 2) return undefined;
  return { task, node };
}

/** What is no signature is for whoever sends them to complain of. */
function readable(errback: SignatureJson): CanvasNode | undefined {
  try {
    return readSignature(errback);
  } catch (error) {
    if (error instanceof InvalidTaskError) return undefined;
    throw error;
  }
}

async function call({ task, node }: Called, failed: FailedTask, log: ErrorLog): Promise<void> {
  const { request, exc, traceback } = failed;
  try {
    // A function of two takes two of them, as functions do here.
    const given = [request, exc, traceback].slice(0, node.args.length === 0 ? mostArguments(task) : 3);
    const { args, kwargs } = taskWithArguments(node, given, {});
    await (task.run as (...args: unknown[]) => unknown)(...bindArguments(task, args, kwargs));
  } catch (error) {
    const [name, of] = [task.name, `${request.task}[${request.id}]`];
    log(`Error callback ${name} of task ${of} raised: ${errorRepr(error)}`, error);
  }
}
