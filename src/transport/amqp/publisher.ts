import type { Message } from 'amqplib';
import { EncodeError, type OperationalError } from '../../core/errors.ts';
import { newTaskId } from '../../core/task-id.ts';
import type { Envelope } from '../../message/message.ts';
import { tooLarge } from './errors.ts';
import type { OnConfirm, OutgoingMessage } from './frame-writer.ts';

/** Puts a failure of amqplib into words. */
export type Explain = (error: unknown) => OperationalError;

const REFUSED = 'the broker refused the message; its queue may be full (x-max-length) or unavailable';

/** amqplib's error for `basic.nack`. */
function isNack(error: unknown): boolean {
  return error instanceof Error && error.message === 'message nacked';
}

/** Trying again does not make it smaller. */
function unsendable(reason: string, cause: unknown): EncodeError {
  return new EncodeError(`A message cannot be sent over AMQP: ${reason}`, { cause });
}

/** What takes messages: `MessageWriter` in `frame-writer.ts`. */
export interface MessageSink {
  send(message: OutgoingMessage, onConfirm: OnConfirm | undefined): boolean;
}

/** What of amqplib's channel tells that its socket takes more, and that a message came back. */
export interface ChannelEvents {
  on(event: 'drain', listener: () => void): unknown;
  on(event: 'return', listener: (message: Message) => void): unknown;
}

/** One message on its way. */
interface Job {
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
  /** The broker is to send it back when no queue takes it. */
  readonly mandatory: boolean;
  isReturned: boolean;
  resolve(isTaken: boolean): void;
  reject(error: unknown): void;
}

/**
 * Sends the messages of one channel in the order of the calls, and holds them back while the socket takes no more.
 *
 * While the broker blocks publishing (memory or disk alarm) everything waits until it goes on or the channel ends.
 */
export class Publisher {
  readonly #sink: MessageSink;
  readonly #confirm: boolean;
  readonly #explain: Explain;
  /** Not yet written. */
  readonly #waiting = new Set<Job>();
  /** Written without confirm, to be resolved when the socket has taken them. */
  readonly #written = new Set<Job>();
  /** Those the broker may send back, by the message id they were given. */
  readonly #offers = new Map<string, Job>();
  #full = false;

  constructor(channel: ChannelEvents, sink: MessageSink, confirm: boolean, explain: Explain) {
    this.#sink = sink;
    this.#confirm = confirm;
    this.#explain = explain;
    channel.on('drain', () => this.#drained());
    // It comes before the confirm of the same message.
    channel.on('return', ({ properties }: Message) => {
      const job = this.#offers.get(String(properties.messageId));
      if (job !== undefined) job.isReturned = true;
    });
  }

  async publish(envelope: Envelope, exchange: string, routingKey: string): Promise<void> {
    await this.#accept(envelope, { exchange, routingKey, mandatory: false });
  }

  /** Whether a queue took it; known on a channel with confirms only. */
  offer(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean> {
    return this.#accept(envelope, { exchange, routingKey, mandatory: true });
  }

  #accept(envelope: Envelope, target: Pick<Job, 'exchange' | 'routingKey' | 'mandatory'>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const job: Job = { envelope, ...target, isReturned: false, resolve, reject };
      if (this.#full) this.#waiting.add(job);
      else this.#send(job);
    });
  }

  /** Nothing can be sent any more. */
  end(error: OperationalError): void {
    for (const jobs of [this.#written, this.#waiting]) {
      for (const job of jobs) job.reject(error);
      jobs.clear();
    }
  }

  #send(job: Job): void {
    const { envelope, exchange, routingKey, mandatory } = job;
    const messageId = mandatory ? newTaskId() : undefined;
    const onConfirm: OnConfirm = (error) => {
      if (messageId !== undefined) this.#offers.delete(messageId);
      if (error === null || error === undefined) job.resolve(!job.isReturned);
      else job.reject(this.#failure(error, envelope));
    };
    if (messageId !== undefined) this.#offers.set(messageId, job);
    try {
      const message = { envelope, exchange, routingKey, mandatory, messageId };
      this.#full = !this.#sink.send(message, this.#confirm ? onConfirm : undefined);
    } catch (error) {
      if (messageId !== undefined) this.#offers.delete(messageId);
      job.reject(this.#refusal(error));
      return;
    }
    if (this.#confirm) return;
    if (this.#full) this.#written.add(job);
    else job.resolve(true);
  }

  #failure(error: unknown, { body }: Envelope): Error {
    const explained = this.#explain(isNack(error) ? new Error(REFUSED) : error);
    const reason = tooLarge(explained, body.length);
    return reason === undefined ? explained : unsendable(reason, error);
  }

  #refusal(error: unknown): Error {
    if (error instanceof RangeError || error instanceof TypeError) {
      return unsendable(error.message, error);
    }
    return this.#explain(error);
  }

  #drained(): void {
    this.#full = false;
    for (const job of this.#written) job.resolve(true);
    this.#written.clear();
    for (const job of this.#waiting) {
      this.#waiting.delete(job);
      this.#send(job);
      if (this.#full as boolean) break;
    }
  }
}
