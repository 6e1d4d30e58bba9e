import type { ResolvedTaskOptions } from '../app/options.ts';
import { DecodeError, InvalidTaskError, SecurityError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { parseIso } from '../core/time.ts';
import type { Envelope, TaskHeaders } from '../message/message.ts';
import { isProtocol1, toProtocol2 } from '../message/protocol1.ts';
import { isTaskMessage, parseTaskHeaders, type ParsedHeaders } from '../message/protocol2.ts';
import { checkContentType, DEFAULT_LIMITS } from '../message/registry.ts';
import { scanTaskHeaders } from '../message/table-headers.ts';
import type { Delivery } from '../transport/transport.ts';
import type { BadMessages } from './bad-messages.ts';
import { give, Request } from './request.ts';
import type { Session } from './request.ts';
import type { WorkerState } from './state.ts';

interface Arrival {
  /** The message in protocol 2. */
  readonly envelope: Envelope;
  readonly delivery: Delivery;
  readonly session: Session;
  /** Its headers, when they have been read. */
  readonly read: ParsedHeaders | undefined;
}

/** What becomes of the messages of one type of task. */
type Strategy = (arrival: Arrival) => void;

export interface StrategiesOptions {
  /** Content types that may be decoded. */
  readonly accept: ReadonlySet<string>;
  readonly state: WorkerState;
  readonly bad: BadMessages;
  readonly logger: Logger;
  /** Takes a message that was read and is to be run. */
  readonly receive: (request: Request) => void;
}

/** Reads the deliveries: finds the type of task, reads the headers, sorts out what cannot run here. Bodies stay closed. */
export class Strategies {
  readonly #options: StrategiesOptions;
  readonly #byTask: ReadonlyMap<string, Strategy>;

  constructor(tasks: Iterable<{ name: string; options: ResolvedTaskOptions }>, options: StrategiesOptions) {
    this.#options = options;
    const byTask = new Map<string, Strategy>();
    for (const task of tasks) byTask.set(task.name, this.#strategy(task.options));
    this.#byTask = byTask;
  }

  /** Takes any message that arrives in a queue of tasks. Never throws. */
  onDelivery(delivery: Delivery, session: Session): void {
    const { state, bad, logger } = this.#options;
    if (state.stopping) {
      give(delivery, 'requeue').catch((error: unknown) => {
        logger.debug('A message that came too late could not be given back', error);
      });
      return;
    }
    const read = this.#scanned(delivery);
    if (read !== undefined) {
      const strategy = this.#byTask.get(read.headers.task);
      if (strategy !== undefined) {
        strategy({ envelope: delivery.envelope, delivery, session, read });
        return;
      }
    }
    const envelope = this.#readable(delivery);
    if (envelope === undefined) return;
    const { task } = envelope.headers;
    const strategy = typeof task === 'string' ? this.#byTask.get(task) : undefined;
    if (strategy !== undefined) strategy({ envelope, delivery, session, read: undefined });
    else if (typeof task === 'string') bad.unknownTask(envelope, delivery, task);
    else bad.invalid(envelope, delivery, new InvalidTaskError("the header 'task' is not text"));
  }

  /** The headers of nearly every message: without anything unusual in them, they stay bytes. */
  #scanned({ envelope }: Delivery): ParsedHeaders | undefined {
    const { headerBytes } = envelope;
    if (headerBytes === undefined || isProtocol1(envelope)) return undefined;
    if (!this.#options.accept.has(envelope.contentType)) return undefined;
    const headers = scanTaskHeaders(headerBytes);
    return headers === undefined ? undefined : { headers, userHeaders: null };
  }

  /** The message in protocol 2, or undefined when it was turned away. */
  #readable(delivery: Delivery): Envelope | undefined {
    const { bad, accept } = this.#options;
    const { envelope } = delivery;
    try {
      if (isTaskMessage(envelope)) checkContentType(envelope.contentType, accept);
      return toProtocol2(envelope, accept, DEFAULT_LIMITS);
    } catch (error) {
      if (error instanceof DecodeError || error instanceof SecurityError)
        bad.undecodable(envelope, delivery, error);
      else if (isTaskMessage(envelope)) bad.invalid(envelope, delivery, asError(error));
      else bad.unknownFormat(envelope, delivery);
      return undefined;
    }
  }

  #strategy(options: ResolvedTaskOptions): Strategy {
    const { state, bad, logger, receive } = this.#options;
    return ({ envelope, delivery, session, read }) => {
      let request: Request;
      try {
        const { headers, userHeaders } = read ?? parseTaskHeaders(envelope.headers);
        const [eta, expires] = [headers.eta, headers.expires];
        if (delivery.redelivered && rejoin(state, headers, delivery, session)) return;
        request = new Request({
          options,
          headers,
          userHeaders,
          envelope,
          delivery,
          session,
          compression: read === undefined ? compressionOf(envelope) : undefined,
          etaMs: eta === null ? undefined : parseIso(eta),
          expiresMs: expires === null ? undefined : parseIso(expires),
          missed: state,
          logger,
        });
      } catch (error) {
        bad.invalid(envelope, delivery, asError(error));
        return;
      }
      receive(request);
    };
  }
}

/** Whether the message is one that runs here, or ran while the connection was lost: it is not started again. */
function rejoin(state: WorkerState, headers: TaskHeaders, delivery: Delivery, session: Session): boolean {
  const running = state.running(headers.id, headers.retries);
  if (running !== undefined) {
    running.rejoin(delivery, session);
    // What is acknowledged before it runs is so again, not at its end. `settle` never rejects.
    if (!running.acksLate) void running.settle('ack');
    return true;
  }
  const verdict = state.missed(headers.id, headers.retries);
  if (verdict === undefined) return false;
  // Should this fail too, the message comes once more and runs: at least once.
  give(delivery, verdict).catch(() => undefined);
  return true;
}

function compressionOf({ headers }: Envelope): string | undefined {
  return typeof headers.compression === 'string' ? headers.compression : undefined;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new InvalidTaskError(String(error));
}
