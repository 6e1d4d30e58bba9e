import type { Logger } from '../core/logger.ts';
import type { ResolvedTaskOptions } from '../app/options.ts';
import type { Envelope, TaskHeaders } from '../message/message.ts';
import type { Job, PoolProcess } from '../pool/pool.ts';
import type { Delivery } from '../transport/transport.ts';

/** What becomes of a message: done with, back to its queue, or dropped (dead-lettered where the queue says so). */
export type Verdict = 'ack' | 'requeue' | 'drop';

/** The channel that a delivery came by. */
export interface Session {
  /** False once the channel is gone: the broker has taken back what was not settled. */
  readonly open: boolean;
}

/** Keeps verdicts that were not given because the channel was gone. */
export interface MissedVerdicts {
  /** The verdict cannot have arrived. */
  remember(request: Request, verdict: Verdict): void;
  /** The verdict was written; should the channel be lost now, nobody knows whether it has arrived. */
  given(request: Request, verdict: Verdict): void;
}

export interface RequestParts {
  /** Of its task. */
  readonly options: ResolvedTaskOptions;
  readonly headers: TaskHeaders;
  readonly userHeaders: Readonly<Record<string, unknown>> | null;
  readonly envelope: Envelope;
  /** The `compression` header. */
  readonly compression: string | undefined;
  readonly delivery: Delivery;
  readonly session: Session;
  /** When the task may run and until when, in milliseconds since the epoch. */
  readonly etaMs: number | undefined;
  readonly expiresMs: number | undefined;
  readonly missed: MissedVerdicts;
  readonly logger: Logger;
}

const DONE = Promise.resolve();

/** Options of a task that remote control has changed in this worker; they outlive connections. */
export type ChangedOptions = Partial<Pick<ResolvedTaskOptions, 'rateLimit' | 'timeLimit' | 'softTimeLimit'>>;

/** One task message in this worker, from its delivery to its verdict. */
export class Request {
  /** Of its task. */
  readonly options: ResolvedTaskOptions;
  readonly headers: TaskHeaders;
  readonly userHeaders: Readonly<Record<string, unknown>> | null;
  readonly envelope: Envelope;
  readonly etaMs: number | undefined;
  readonly expiresMs: number | undefined;
  /** When a process got it, milliseconds since the epoch. */
  startedMs: number | undefined;
  /** The signal that ends it as soon as a process has it. */
  terminateWith: NodeJS.Signals | undefined;
  /** Where it runs, once a process has it. */
  process: PoolProcess | undefined;
  /** The last state stored before the end; the end waits for it, so that it is not overtaken. */
  stored: Promise<void> | undefined;
  /** Its task has ended; what is left is to store and to send. */
  ended = false;
  readonly #compression: string | undefined;
  readonly #missed: MissedVerdicts;
  readonly #logger: Logger;
  #delivery: Delivery;
  #session: Session;
  #verdict: Verdict | undefined;

  constructor(parts: RequestParts) {
    this.options = parts.options;
    this.headers = parts.headers;
    this.userHeaders = parts.userHeaders;
    this.envelope = parts.envelope;
    this.etaMs = parts.etaMs;
    this.expiresMs = parts.expiresMs;
    this.#compression = parts.compression;
    this.#missed = parts.missed;
    this.#logger = parts.logger;
    this.#delivery = parts.delivery;
    this.#session = parts.session;
  }

  get id(): string {
    return this.headers.id;
  }

  /** As logs name it: `tasks.add[id]`. */
  get label(): string {
    return `${this.headers.shadow ?? this.headers.task}[${this.headers.id}]`;
  }

  get acksLate(): boolean {
    return this.options.acksLate;
  }

  get delivery(): Delivery {
    return this.#delivery;
  }

  /** Its delivery waits for a verdict. */
  get unsettled(): boolean {
    return this.#verdict === undefined;
  }

  /** Its message goes back to the queue: what comes of it again is to run again. */
  get givenBack(): boolean {
    return this.#verdict === 'requeue';
  }

  get expired(): boolean {
    return this.expiresMs !== undefined && this.expiresMs <= Date.now();
  }

  /** The broker has delivered the running task again after a lost connection: this delivery gets the verdict now. */
  rejoin(delivery: Delivery, session: Session): void {
    this.#delivery = delivery;
    this.#session = session;
    this.#verdict = undefined;
  }

  /** Gives the verdict, once; later ones are ignored. Never rejects. */
  settle(verdict: Verdict): Promise<void> {
    if (this.#verdict !== undefined) return DONE;
    this.#verdict = verdict;
    const session = this.#session;
    if (!session.open) {
      this.#missed.remember(this, verdict);
      return DONE;
    }
    this.#missed.given(this, verdict);
    const failed = (error: unknown): void => {
      this.#missed.remember(this, verdict);
      if (session.open)
        this.#logger.warning(`The message of ${this.label} could not be settled (${verdict})`, error);
    };
    try {
      return give(this.#delivery, verdict).catch(failed);
    } catch (error) {
      failed(error);
      return DONE;
    }
  }

  /** What the pool needs to run it. @param changed options of its task that were changed while the worker ran */
  job(hostname: string, changed?: ChangedOptions): Job {
    const { headers, envelope } = this;
    const options = changed === undefined ? this.options : { ...this.options, ...changed };
    const { properties } = envelope;
    const [hard, soft] = headers.timelimit;
    return {
      id: headers.id,
      task: headers.task,
      headers,
      headerBytes: envelope.headerBytes,
      userHeaders: this.userHeaders,
      body: envelope.body,
      contentType: envelope.contentType,
      contentEncoding: envelope.contentEncoding,
      compression: this.#compression,
      ignoreResult: headers.ignore_result,
      deliveryInfo: {
        exchange: this.#delivery.exchange,
        routing_key: this.#delivery.routingKey,
        priority: properties.priority ?? null,
        redelivered: this.#delivery.redelivered,
      },
      replyTo: properties.replyTo ?? null,
      correlationId: properties.correlationId ?? null,
      hostname,
      timeLimit: hard ?? options.timeLimit ?? undefined,
      softTimeLimit: soft ?? options.softTimeLimit ?? undefined,
    };
  }
}

/** Tells the broker what becomes of a delivery. */
export function give(delivery: Delivery, verdict: Verdict): Promise<void> {
  return verdict === 'ack' ? delivery.ack() : delivery.reject({ requeue: verdict === 'requeue' });
}
