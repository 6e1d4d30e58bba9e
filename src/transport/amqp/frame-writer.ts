import { ImproperlyConfigured } from '../../core/errors.ts';
import type { Envelope } from '../../message/message.ts';
import { ByteWriter } from '../../message/table-writer.ts';

/**
 * amqplib looks at each of a message's headers several times and copies the message from buffer to buffer: half of what publishing
 * costs. Messages are made into frames here instead, and handed to the stream that amqplib gives its own frames to.
 */

const METHOD = 1;
const CONTENT_HEADER = 2;
const BODY = 3;
const FRAME_END = 0xce;
const FRAME_BYTES = 8;
const BASIC_CLASS = 60;
const BASIC_PUBLISH = 40;
const MANDATORY = 1;
/** Larger bodies are not copied; amqplib cuts them into frames. */
const SMALL_BODY_BYTES = 16_384;

/** Bits of the properties that a message has, in the order in which they follow. */
const FLAGS = {
  contentType: 0x8000,
  contentEncoding: 0x4000,
  headers: 0x2000,
  deliveryMode: 0x1000,
  priority: 0x0800,
  correlationId: 0x0400,
  replyTo: 0x0200,
  expiration: 0x0100,
  messageId: 0x0080,
};

/** A message and where it goes. */
export interface OutgoingMessage {
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
  /** The broker is to send it back when no queue takes it, with its `messageId`. */
  readonly mandatory: boolean;
  readonly messageId?: string | undefined;
}

/** Told null when the broker has a message, or why it has not. */
export type OnConfirm = (error: unknown) => void;

/** The parts of amqplib's channel that are touched. */
interface AmqpInternals {
  readonly ch: number;
  readonly connection: {
    readonly frameMax: number;
    readonly channels: readonly ({ readonly buffer: { write(frames: Buffer): boolean } } | undefined)[];
    sentSinceLastCheck: boolean;
    sendContent(channel: number, body: Buffer): boolean;
  };
  /** On a channel that is closed, or about to be, amqplib puts one in its place that throws. */
  sendMessage(): unknown;
  pushConfirmCallback(onConfirm: OnConfirm): void;
}

/** Sends messages on one channel of amqplib. */
export class MessageWriter {
  readonly #channel: AmqpInternals;
  readonly #bytes = new ByteWriter();

  /** @throws {ImproperlyConfigured} this amqplib is not made like the one that celery-ts asks for */
  constructor(channel: unknown) {
    if (!isKnown(channel)) {
      throw new ImproperlyConfigured(
        'This version of amqplib cannot be used: install the one that celery-ts asks for.',
      );
    }
    this.#channel = channel;
  }

  /**
   * Writes one message.
   *
   * @param onConfirm for a channel with confirms, and only there
   * @returns whether the socket takes more; after false, the channel emits `drain` when it does
   * @throws {RangeError | TypeError} the message cannot be written in AMQP
   * @throws {Error} the channel is closed
   */
  send(message: OutgoingMessage, onConfirm: OnConfirm | undefined): boolean {
    const channel = this.#channel;
    if (Object.hasOwn(channel, 'sendMessage')) channel.sendMessage();
    const { body } = message.envelope;
    const { ch, connection } = channel;
    const isSmall =
      body.length > 0 && body.length <= Math.min(SMALL_BODY_BYTES, connection.frameMax - FRAME_BYTES);
    const frames = this.#frames(message, isSmall);
    connection.sentSinceLastCheck = true;
    let takesMore = connection.channels[ch]?.buffer.write(frames) ?? true;
    if (!isSmall && body.length > 0) takesMore = connection.sendContent(ch, body);
    if (onConfirm !== undefined) channel.pushConfirmCallback(onConfirm);
    return takesMore;
  }

  /** The frames of a message, with that of a small body. */
  #frames(message: OutgoingMessage, withBody: boolean): Buffer {
    const bytes = this.#bytes;
    const { frameMax } = this.#channel.connection;
    bytes.clear();
    this.#method(message);
    const begin = bytes.length;
    this.#header(message);
    const size = bytes.length - begin;
    // The broker would end the connection.
    if (frameMax > 0 && size > frameMax) {
      throw new RangeError(`its headers have ${size} bytes; the broker takes ${frameMax} at most`);
    }
    if (withBody) {
      const start = this.#begin(BODY);
      bytes.bytes(message.envelope.body);
      this.#end(start);
    }
    return bytes.take();
  }

  #method({ exchange, routingKey, mandatory }: OutgoingMessage): void {
    const bytes = this.#bytes;
    const start = this.#begin(METHOD);
    bytes.uint16(BASIC_CLASS);
    bytes.uint16(BASIC_PUBLISH);
    bytes.uint16(0);
    bytes.shortText(exchange);
    bytes.shortText(routingKey);
    bytes.uint8(mandatory ? MANDATORY : 0);
    this.#end(start);
  }

  #header({ envelope, messageId }: OutgoingMessage): void {
    const bytes = this.#bytes;
    const { contentType, contentEncoding, headers, properties, body } = envelope;
    const { deliveryMode, priority, correlationId, replyTo, expiration } = properties;
    const start = this.#begin(CONTENT_HEADER);
    bytes.uint16(BASIC_CLASS);
    bytes.uint16(0);
    bytes.uint64(body.length);
    let flags = FLAGS.contentType | FLAGS.contentEncoding | FLAGS.headers;
    if (deliveryMode !== undefined) flags |= FLAGS.deliveryMode;
    if (priority !== undefined) flags |= FLAGS.priority;
    if (correlationId !== undefined) flags |= FLAGS.correlationId;
    if (replyTo !== undefined) flags |= FLAGS.replyTo;
    if (expiration !== undefined) flags |= FLAGS.expiration;
    if (messageId !== undefined) flags |= FLAGS.messageId;
    bytes.uint16(flags);
    bytes.shortText(contentType);
    bytes.shortText(contentEncoding);
    bytes.table(headers);
    if (deliveryMode !== undefined) bytes.uint8(deliveryMode);
    if (priority !== undefined) bytes.uint8(priority);
    if (correlationId !== undefined) bytes.shortText(correlationId);
    if (replyTo !== undefined) bytes.shortText(replyTo);
    if (expiration !== undefined) bytes.shortText(expiration);
    if (messageId !== undefined) bytes.shortText(messageId);
    this.#end(start);
  }

  #begin(type: number): number {
    this.#bytes.uint8(type);
    this.#bytes.uint16(this.#channel.ch);
    return this.#bytes.beginSized();
  }

  #end(start: number): void {
    this.#bytes.endSized(start);
    this.#bytes.uint8(FRAME_END);
  }
}

/** What may be missing, at any depth. */
type Doubted<T> = T extends (...args: never) => unknown
  ? T
  : { readonly [Name in keyof T]?: Doubted<T[Name]> };

function isKnown(value: unknown): value is AmqpInternals {
  const { ch, connection, sendMessage } = value as Doubted<AmqpInternals>;
  return (
    typeof ch === 'number' &&
    typeof sendMessage === 'function' &&
    typeof connection?.frameMax === 'number' &&
    typeof connection.channels?.[ch]?.buffer?.write === 'function' &&
    typeof connection.sendContent === 'function'
  );
}
