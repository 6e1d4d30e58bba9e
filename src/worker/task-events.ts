import { constants } from 'node:os';
import type { EventDispatcher } from '../app/event-dispatcher.ts';
import type { MessageEvent } from '../app/signals.ts';
import { taskReceived, taskRevoked } from '../app/signals.ts';
import type { Logger } from '../core/logger.ts';
import { pythonRepr } from '../core/python-repr.ts';
import type { Outcome } from '../message/outcome.ts';
import type { Request } from './request.ts';

type Ended<Kind extends Outcome['kind']> = Extract<Outcome, { kind: Kind }>;

const SIGNALS: Readonly<Record<string, number>> = constants.signals;

/** Tells monitors what becomes of tasks, when they are to know (`-E`, `enable_events`), and receivers of signals. */
export class TaskEvents {
  readonly #dispatcher: EventDispatcher;
  readonly #logger: Logger;

  constructor(dispatcher: EventDispatcher, logger: Logger) {
    this.#dispatcher = dispatcher;
    this.#logger = logger;
  }

  received(request: Request): void {
    if (taskReceived.isConnected) void taskReceived.send(messageEvent(request), this.#logger);
    if (!this.#isOn(request)) return;
    const { headers } = request;
    this.#dispatcher.send('task-received', {
      uuid: headers.id,
      name: headers.shadow ?? headers.task,
      args: headers.argsrepr,
      kwargs: headers.kwargsrepr,
      root_id: headers.root_id,
      parent_id: headers.parent_id,
      retries: headers.retries,
      eta: headers.eta,
      expires: headers.expires,
    });
  }

  started(request: Request): void {
    if (this.#isOn(request)) this.#send('task-started', request);
  }

  succeeded(request: Request, { repr, seconds }: Ended<'success'>): void {
    if (this.#isOn(request)) this.#send('task-succeeded', request, { result: repr, runtime: seconds });
  }

  /** @param exception as Python prints it */
  failed(request: Request, exception: string, traceback: string | null): void {
    if (this.#isOn(request))
      this.#send('task-failed', request, { exception, traceback: traceback ?? exception });
  }

  /** The message names a task that is not registered here. */
  unknown(uuid: string, exception: string): void {
    if (this.#dispatcher.taskEvents) this.#dispatcher.send('task-failed', { uuid, exception });
  }

  retried(request: Request, { error, message }: Ended<'retry'>): void {
    if (!this.#isOn(request)) return;
    const exception = error === null ? 'None' : `${error.type}(${error.args.map(pythonRepr).join(', ')})`;
    this.#send('task-retried', request, { exception, traceback: error?.traceback ?? `Retry: ${message}` });
  }

  /** It will not run, or was ended while it ran by a signal. */
  revoked(request: Request, why: 'revoked' | 'expired' | { readonly signal: string }): void {
    const terminated = typeof why === 'object';
    const expired = why === 'expired';
    if (taskRevoked.isConnected)
      void taskRevoked.send({ ...messageEvent(request), terminated, expired }, this.#logger);
    if (!this.#isOn(request)) return;
    const signum = terminated ? (SIGNALS[why.signal] ?? null) : null;
    this.#send('task-revoked', request, { terminated, signum, expired });
  }

  /** Its message is given back or dropped; nothing is told of one that was acknowledged before. */
  rejected(request: Request, requeue: boolean): void {
    if (this.#isOn(request) && request.unsettled) this.#send('task-rejected', request, { requeue });
  }

  /** It ran when a cold shutdown came, and its message goes back. */
  cancelled(request: Request): void {
    if (this.#isOn(request) && request.unsettled) this.#send('task-cancelled', request);
  }

  #isOn({ options }: Request): boolean {
    return this.#dispatcher.taskEvents && options.sendEvents;
  }

  #send(type: string, { id }: Request, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#dispatcher.send(type, { uuid: id, ...fields });
  }
}

function messageEvent({ id, headers }: Request): MessageEvent {
  return {
    sender: headers.task,
    taskId: id,
    retries: headers.retries,
    rootId: headers.root_id,
    parentId: headers.parent_id,
    argsrepr: headers.argsrepr,
    kwargsrepr: headers.kwargsrepr,
  };
}
