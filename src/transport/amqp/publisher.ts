import type { Channel as AmqpChannel, ConfirmChannel } from 'amqplib';
import { EncodeError, type OperationalError } from '../../core/errors.ts';
import type { Envelope } from '../../message/message.ts';
import { tooLarge } from './errors.ts';
import { publishOptions } from './messages.ts';

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

/** One message on its way. */
interface Job {
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Sends the messages of one channel in the order of the calls, and holds them back while the socket takes no more.
 *
 * While the broker blocks publishing (memory or disk alarm) everything waits until it goes on or the channel ends.
 */
export class Publisher {
  readonly #channel: AmqpChannel | ConfirmChannel;
  readonly #confirm: boolean;
  readonly #explain: Explain;
  /** Not yet written. */
  readonly #waiting = new Set<Job>();
  /** Written without confirm, to be resolved when the socket has taken them. */
  readonly #written = new Set<Job>();
  #full = false;

  constructor(channel: AmqpChannel | ConfirmChannel, confirm: boolean, explain: Explain) {
    this.#channel = channel;
    this.#confirm = confirm;
    this.#explain = explain;
    channel.on('drain', () => this.#drained());
  }

  publish(envelope: Envelope, exchange: string, routingKey: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const job: Job = { envelope, exchange, routingKey, resolve, reject };
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
    const { envelope, exchange, routingKey } = job;
    const onConfirm = (error: unknown): void => {
      if (error === null || error === undefined) job.resolve();
      else job.reject(this.#failure(error, envelope));
    };
    const channel = this.#channel as ConfirmChannel;
    try {
      // A channel without confirms ignores the last argument.
      this.#full = !channel.publish(exchange, routingKey, envelope.body, publishOptions(envelope), onConfirm);
    } catch (error) {
      job.reject(this.#refusal(error));
      return;
    }
    if (this.#confirm) return;
    if (this.#full) this.#written.add(job);
    else job.resolve();
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
    for (const job of this.#written) job.resolve();
    this.#written.clear();
    for (const job of this.#waiting) {
      this.#waiting.delete(job);
      this.#send(job);
      if (this.#full as boolean) break;
    }
  }
}
