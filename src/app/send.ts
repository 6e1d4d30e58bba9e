import type { TaskAttributes } from './annotations.ts';
import { prepareCall } from './call.ts';
import type { PreparedCall } from './call.ts';
import type { Celery } from './celery.ts';
import { NotRegistered } from '../core/errors.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import { errorRepr } from '../message/remote-error.ts';
import { runningTask } from './current.ts';
import type { ApplyOptions } from './options.ts';
import { checkArguments } from './parameters.ts';
import { AsyncResult } from './result.ts';
import type { ResultHost } from './result-options.ts';
import type { PublishEvent } from './signals.ts';
import { afterTaskPublish, beforeTaskPublish } from './signals.ts';
import type { AnyTask } from './task.ts';

/** One call on its way out. */
export interface SendRequest {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly options: ApplyOptions;
  /** Undefined when this program does not define the task. */
  readonly task: AnyTask | undefined;
  /** Of the task, worked out from the settings in force. */
  readonly attributes: () => TaskAttributes | undefined;
}

/** What sending takes from the app. */
export interface SendHost {
  readonly app: Celery;
  readonly results: ResultHost;
  /** `gen<pid>@<host>`. */
  readonly origin: string;
}

/**
 * Sends one call and returns its result: checks the arguments, decides the route, publishes.
 * @throws {TypeError} the arguments do not fit
 * @throws {OperationalError} the broker cannot be reached
 */
export async function sendCall(request: SendRequest, host: SendHost): Promise<AsyncResult> {
  const { app, results, origin } = host;
  const { call, backendUrl } = await decide(request, host);
  const details = { backend: backendUrl, ignored: call.ignoreResult };
  if (app.settings.task_always_eager && request.task !== undefined) {
    const { runEagerly } = await import('./eager.ts');
    const result = new AsyncResult(results, call.id, { ...details, meta: await runEagerly(app, call) });
    remember(call, result);
    return result;
  }
  const result = new AsyncResult(results, call.id, details);
  const { backend } = result;
  // Answers may go to another process: a callback is answered to whoever called the task it follows.
  const isAnsweredHere = backend.can.shared || call.message.properties.replyTo === backend.replyTo;
  // Before the message leaves: a fast worker answers before the broker confirms.
  if (!call.ignoreResult && isAnsweredHere) await backend.expect(call.id);
  if (beforeTaskPublish.isConnected) await beforeTaskPublish.send(publishEvent(request, call));
  await app.producer.publish(call.message, call.target, call.publish);
  if (afterTaskPublish.isConnected) await afterTaskPublish.send(publishEvent(request, call));
  if (app.settings.task_send_sent_event) tellSent(app, call, origin);
  remember(call, result);
  return result;
}

/**
 * Runs one call here instead of sending it.
 * @throws {TypeError} the arguments do not fit
 * @throws {NotRegistered} this program does not define the task
 */
export async function runCall(request: SendRequest, host: SendHost): Promise<ResultMeta> {
  if (request.task === undefined) throw new NotRegistered(request.name);
  const { call } = await decide(request, host);
  const { runEagerly } = await import('./eager.ts');
  return runEagerly(host.app, call);
}

async function decide(
  request: SendRequest,
  { app, origin }: SendHost,
): Promise<{ readonly call: PreparedCall; readonly backendUrl: string | null }> {
  const { name, task, args, options } = request;
  await app.ready();
  if (task !== undefined) checkArguments(task, args, options.kwargs ?? {});
  const attributes = request.attributes();
  const backendUrl = attributes?.resolved.backend ?? null;
  const backend = app.backendFor(backendUrl);
  const { settings, router, oid } = app;
  const call = prepareCall(
    { name, task, attributes, args, options },
    { settings, router, backend, origin, oid },
  );
  return { call, backendUrl };
}

function publishEvent({ name, args, options }: SendRequest, call: PreparedCall): PublishEvent {
  const { id, message, target } = call;
  const { exchange, routingKey } = target;
  const { headers } = message;
  return { sender: name, taskId: id, args, kwargs: options.kwargs ?? {}, headers, exchange, routingKey };
}

/** Tells monitors of the call, which has left: what goes wrong with that is no matter of the caller. */
function tellSent(app: Celery, { id, message, target }: PreparedCall, origin: string): void {
  const { headers } = message;
  const fields = {
    uuid: id,
    root_id: headers.root_id,
    parent_id: headers.parent_id,
    name: headers.task,
    args: headers.argsrepr,
    kwargs: headers.kwargsrepr,
    retries: headers.retries,
    eta: headers.eta,
    expires: headers.expires,
    queue: target.queue?.name ?? null,
    exchange: target.exchange,
    routing_key: target.routingKey,
  };
  app.events.publish('task-sent', fields, { hostname: origin }).catch((error: unknown) => {
    process.emitWarning(
      `The event task-sent of ${id} could not be sent: ${errorRepr(error)}`,
      'CeleryWarning',
    );
  });
}

function remember({ parent }: PreparedCall, result: AsyncResult): void {
  // A task that has ended meanwhile has no use for it.
  if (parent !== undefined && runningTask.getStore() === parent) parent.addChild(result.asTuple());
}
