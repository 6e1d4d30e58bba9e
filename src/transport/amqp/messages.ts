import type { MessageProperties as AmqpProperties, Options } from 'amqplib';
import type { Envelope, MessageProperties } from '../../message/message.ts';
import { decodeTable, encodeTable } from './fields.ts';

/** The properties and headers of a message, for amqplib. */
export function publishOptions({
  contentType,
  contentEncoding,
  headers,
  properties,
}: Envelope): Options.Publish {
  return { ...properties, contentType, contentEncoding, headers: encodeTable(headers) };
}

/** The properties as amqplib gives them: what a sender left out is undefined. */
type Received = Partial<Record<keyof AmqpProperties, unknown>>;

/** A message as it came from amqplib. */
export function receivedEnvelope(body: Buffer, received: AmqpProperties): Envelope {
  const { contentType, contentEncoding, headers } = received as Received;
  return {
    body,
    // What Celery takes a message for that does not say what it is.
    contentType: typeof contentType === 'string' ? contentType : 'application/data',
    contentEncoding: typeof contentEncoding === 'string' ? contentEncoding : 'utf-8',
    headers:
      typeof headers === 'object' && headers !== null ? decodeTable(headers as Record<string, unknown>) : {},
    properties: receivedProperties(received),
  };
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
