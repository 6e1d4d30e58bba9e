import type { MessageProperties as AmqpProperties } from 'amqplib';
import { DecodeError } from '../../core/errors.ts';
import type { Envelope, MessageProperties } from '../../message/message.ts';
import { readTable } from '../../message/amqp-table.ts';
import { HeaderTable } from './frame-reader.ts';

/** The properties as amqplib gives them: what a sender left out is undefined. */
type Received = Partial<Record<keyof AmqpProperties, unknown>>;

/** A message as it came from amqplib, whose headers `readFrames` left as bytes. */
export function receivedEnvelope(body: Buffer, received: AmqpProperties): Envelope {
  return new ReceivedEnvelope(body, received);
}

class ReceivedEnvelope implements Envelope {
  readonly body: Buffer;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly properties: MessageProperties;
  readonly headerBytes: Buffer | undefined;
  #headers: Readonly<Record<string, unknown>> | undefined;

  constructor(body: Buffer, received: Received) {
    const { contentType, contentEncoding, headers } = received;
    this.body = body;
    // What Celery takes a message for that does not say what it is.
    this.contentType = typeof contentType === 'string' ? contentType : 'application/data';
    this.contentEncoding = typeof contentEncoding === 'string' ? contentEncoding : 'utf-8';
    this.properties = receivedProperties(received);
    this.headerBytes = headers instanceof HeaderTable ? headers.bytes : undefined;
  }

  get headers(): Readonly<Record<string, unknown>> {
    this.#headers ??= readHeaders(this.headerBytes);
    return this.#headers;
  }
}

function readHeaders(bytes: Buffer | undefined): Readonly<Record<string, unknown>> {
  try {
    return bytes === undefined ? {} : readTable(bytes);
  } catch (error) {
    // Without headers it is no task, and turned away and logged like all that are none.
    if (error instanceof DecodeError) return {};
    throw error;
  }
}

function receivedProperties(received: Received): MessageProperties {
  const { correlationId, replyTo, deliveryMode, priority, expiration } = received;
  const properties: { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] } = {};
  if (typeof correlationId === 'string') properties.correlationId = correlationId;
  if (typeof replyTo === 'string') properties.replyTo = replyTo;
  if (deliveryMode === 1 || deliveryMode === 2) properties.deliveryMode = deliveryMode;
  if (typeof priority === 'number') properties.priority = priority;
  if (typeof expiration === 'string') properties.expiration = expiration;
  return properties;
}
