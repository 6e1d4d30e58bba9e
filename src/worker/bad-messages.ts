import type { Logger } from '../core/logger.ts';
import {
  ContentDisallowed,
  DecodeError,
  InvalidTaskError,
  NotRegistered,
  SecurityError,
} from '../core/errors.ts';
import { FAILURE } from '../core/states.ts';
import { pythonRepr, saferepr } from '../core/python-repr.ts';
import type { Envelope } from '../message/message.ts';
import type { RemoteError } from '../message/outcome.ts';
import { decodeTaskBody, parseTaskHeaders } from '../message/protocol2.ts';
import { DEFAULT_LIMITS } from '../message/registry.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import type { Delivery } from '../transport/transport.ts';
import type { Results } from './results.ts';
import type { Workflow } from './workflow.ts';
import type { WorkerState } from './state.ts';
import type { TaskEvents } from './task-events.ts';

const PROTOCOL_PAGE = 'https://docs.celeryq.dev/en/latest/internals/protocol.html';

export interface BadMessagesOptions {
  /** Content types that may be decoded. */
  readonly accept: ReadonlySet<string>;
  readonly logger: Logger;
  readonly results: Results;
  readonly workflow: Workflow;
  readonly state: WorkerState;
  readonly events: TaskEvents;
}

/** Messages that cannot run here: each is logged with what it held and rejected, and the worker goes on. */
export class BadMessages {
  readonly #accept: ReadonlySet<string>;
  readonly #logger: Logger;
  readonly #results: Results;
  readonly #workflow: Workflow;
  readonly #state: WorkerState;
  readonly #events: TaskEvents;

  constructor({ accept, logger, results, workflow, state, events }: BadMessagesOptions) {
    this.#accept = accept;
    this.#logger = logger;
    this.#results = results;
    this.#workflow = workflow;
    this.#state = state;
    this.#events = events;
  }

  /** No task of that name is registered; whoever waits for the result is told. */
  unknownTask(envelope: Envelope, delivery: Delivery, name: string): void {
    this.#logger.error(
      `Received unregistered task of type ${pythonRepr(name)}.\n` +
        'The message has been ignored and discarded.\n\n' +
        'Did you remember to import the module containing this task?\n' +
        "Or maybe it is registered under another name: app.task('name', …)?\n\n" +
        `Please see\n${PROTOCOL_PAGE}\nfor more information.\n\n` +
        `The full contents of the message body was:\n${dumpBody(envelope)}\n\n` +
        `The full contents of the message headers:\n${saferepr(envelope.headers)}\n\n` +
        `The delivery info for this task is:\n${saferepr(deliveryInfo(delivery))}`,
    );
    const { id } = envelope.headers;
    const error = new NotRegistered(name);
    if (typeof id === 'string') this.#events.unknown(id, errorRepr(error));
    this.#discard(delivery, envelope, error);
  }

  /** It names a task, but the rest of it makes no sense. */
  invalid(envelope: Envelope, delivery: Delivery, error: Error): void {
    this.#logInvalid(envelope, error);
    this.#discard(delivery, envelope, error);
  }

  /** It is no task by any protocol. */
  unknownFormat(envelope: Envelope, delivery: Delivery): void {
    this.#logger.warning(
      'Received and deleted unknown message.  Wrong destination?!?\n\n' +
        `The full contents of the message body was: body: ${dumpBody(envelope)}\n` +
        `{content_type:${pythonRepr(envelope.contentType)} content_encoding:${pythonRepr(envelope.contentEncoding)}\n` +
        `  delivery_info:${saferepr(deliveryInfo(delivery))} headers=${saferepr(envelope.headers)}}`,
    );
    this.#discard(delivery, envelope, undefined);
  }

  /** Its body cannot be read, or its content type is not accepted. */
  undecodable(envelope: Envelope, delivery: Delivery, error: Error): void {
    this.#logUndecodable(envelope, error);
    this.#discard(delivery, envelope, error);
  }

  /**
   * Why the process that was to run the task could not read the message, logged; undefined when it could, and the error is
   * the task's own.
   */
  reread(envelope: Envelope, error: RemoteError): Error | undefined {
    if (!READING_ERRORS.has(error.type)) return undefined;
    try {
      decodeTaskBody(envelope, this.#accept, DEFAULT_LIMITS);
      return undefined;
    } catch (unreadable) {
      const cause = unreadable instanceof Error ? unreadable : new DecodeError(String(unreadable));
      if (cause instanceof InvalidTaskError) this.#logInvalid(envelope, cause);
      else this.#logUndecodable(envelope, cause);
      return cause;
    }
  }

  #logInvalid(envelope: Envelope, error: Error): void {
    this.#logger.error(
      `Received invalid task message: ${error.message}\n` +
        'The message has been ignored and discarded.\n\n' +
        'Please ensure your message conforms to the task\n' +
        `message protocol as described here:\n${PROTOCOL_PAGE}\n\n` +
        `The full contents of the message body was:\n${dumpBody(envelope)}\n\n` +
        `The full contents of the message headers:\n${saferepr(envelope.headers)}`,
    );
  }

  #logUndecodable(envelope: Envelope, error: Error): void {
    this.#logger.critical(
      `Can't decode message body: ${errorRepr(error)} [type:${pythonRepr(envelope.contentType)} ` +
        `encoding:${pythonRepr(envelope.contentEncoding)} headers:${saferepr(envelope.headers)}]\n\n` +
        `body: ${dumpBody(envelope)}`,
    );
  }

  #discard(delivery: Delivery, envelope: Envelope, error: Error | undefined): void {
    this.#state.begin();
    this.#reject(delivery, envelope, error).then(
      () => {
        this.#state.end();
      },
      (failure: unknown) => {
        this.#logger.error('A message could not be rejected', failure);
        this.#state.end();
      },
    );
  }

  async #reject(delivery: Delivery, envelope: Envelope, error: Error | undefined): Promise<void> {
    const headers = error === undefined ? undefined : readableHeaders(envelope);
    if (headers !== undefined && error !== undefined) {
      const remote = toRemoteError(error);
      await this.#results.storeUnrun(headers, envelope, remote);
      const task = { id: headers.id, label: `${headers.task}[${headers.id}]`, headers, envelope };
      const failure = { error: remote, status: FAILURE, isStored: true };
      // Of what cannot be read nothing is known that would follow.
      if (error instanceof NotRegistered) await this.#workflow.unrun(task, failure, { callsErrbacks: true });
    }
    await delivery.reject({ requeue: false });
  }
}

const READING_ERRORS: ReadonlySet<string> = new Set([
  DecodeError.name,
  ContentDisallowed.name,
  InvalidTaskError.name,
  SecurityError.name,
]);

/** Its headers, of those that make no sense only what says whom to tell. */
function readableHeaders({ headers }: Envelope): ReturnType<typeof parseTaskHeaders>['headers'] | undefined {
  const { task, id } = headers;
  for (const readable of [headers, { task, id }]) {
    try {
      return parseTaskHeaders(readable).headers;
    } catch {
      // Without an id there is nobody to tell; the log has the message.
    }
  }
  return undefined;
}

function dumpBody({ body }: Envelope): string {
  return `${saferepr(body.subarray(0, 4096))} (${body.length}b)`;
}

function deliveryInfo(delivery: Delivery): Readonly<Record<string, unknown>> {
  return {
    exchange: delivery.exchange,
    routing_key: delivery.routingKey,
    redelivered: delivery.redelivered,
  };
}
