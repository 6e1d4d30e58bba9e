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

/** A message as it came from amqplib. */
export function receivedEnvelope(body: Buffer, received: AmqpProperties): Envelope {
  // Whatever a sender left out is undefined.
  const { contentType, contentEncoding, headers, ...rest } = received as unknown as Partial<
    Record<string, unknown>
  >;
  return {
    body,
    // What Celery takes a message for that does not say what it is.
    contentType: typeof contentType === 'string' ? contentType : 'application/data',
    contentEncoding: typeof contentEncoding === 'string' ? contentEncoding : 'utf-8',
    headers:
      typeof headers === 'object' && headers !== null ? decodeTable(headers as Record<string, unknown>) : {},
    properties: receivedProperties(rest),
  };
}

function receivedProperties(received: Partial<Record<string, unknown>>): MessageProperties {
  const { correlationId, replyTo, deliveryMode, priority, expiration } = received;
  return {
    ...(typeof correlationId === 'string' && { correlationId }),
    ...(typeof replyTo === 'string' && { replyTo }),
    ...((deliveryMode === 1 || deliveryMode === 2) && { deliveryMode }),
    ...(typeof priority === 'number' && { priority }),
    ...(typeof expiration === 'string' && { expiration }),
  };
}
