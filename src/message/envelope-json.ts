import { DecodeError } from '../core/errors.ts';
import { decodeJson, encodeJson } from './json.ts';
import type { Envelope, MessageProperties } from './message.ts';

/** Where a message of a broker without AMQP goes, and the tag it is acknowledged by. */
export interface EnvelopeTarget {
  readonly exchange: string;
  readonly routingKey: string;
  /** Unique, made by the publisher. */
  readonly deliveryTag: string;
}

/** A message read from such a broker. */
export interface DecodedEnvelope extends EnvelopeTarget {
  readonly envelope: Envelope;
  readonly redelivered: boolean;
}

/** The one JSON text that kombu stores a message as, where the broker keeps texts (Redis, SQL tables, files). */
export function encodeEnvelope(envelope: Envelope, target: EnvelopeTarget): string {
  const { correlationId, replyTo, deliveryMode, expiration, priority } = envelope.properties;
  const rest = encodeJson({
    'content-encoding': envelope.contentEncoding,
    'content-type': envelope.contentType,
    headers: envelope.headers,
    properties: {
      correlation_id: correlationId,
      reply_to: replyTo,
      delivery_mode: deliveryMode ?? 2,
      expiration,
      delivery_info: { exchange: target.exchange, routing_key: target.routingKey },
      priority: priority ?? 0,
      body_encoding: 'base64',
      delivery_tag: target.deliveryTag,
    },
  });
  // Base64 needs no escapes, so that a large body is not walked once more.
  return `{"body":"${envelope.body.toString('base64')}",${rest.slice(1)}`;
}

/** @throws {DecodeError} when the text is not a message in kombu's form */
export function decodeEnvelope(text: string): DecodedEnvelope {
  const message = record(decodeJson(text), 'message');
  const properties = record(message.properties, 'properties');
  const headers =
    message.headers === undefined || message.headers === null ? {} : record(message.headers, 'headers');
  const info =
    properties.delivery_info === undefined ? {} : record(properties.delivery_info, 'delivery_info');
  if (typeof properties.delivery_tag !== 'string') throw malformed('delivery_tag');
  return {
    envelope: {
      body: bodyOf(message.body, properties.body_encoding),
      contentType: textOr(message['content-type'], 'application/data'),
      contentEncoding: textOr(message['content-encoding'], 'utf-8'),
      headers,
      properties: propertiesOf(properties),
    },
    deliveryTag: properties.delivery_tag,
    exchange: textOr(info.exchange, ''),
    routingKey: textOr(info.routing_key, ''),
    redelivered: info.redelivered === true || headers.redelivered === true,
  };
}

function bodyOf(body: unknown, encoding: unknown): Buffer {
  if (typeof body === 'string') return Buffer.from(body, encoding === 'base64' ? 'base64' : 'utf8');
  throw malformed('body');
}

function propertiesOf(properties: Readonly<Record<string, unknown>>): MessageProperties {
  const { correlation_id: correlationId, reply_to: replyTo, delivery_mode: deliveryMode } = properties;
  const { priority, expiration } = properties;
  const read: { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] } = {};
  if (typeof correlationId === 'string') read.correlationId = correlationId;
  if (typeof replyTo === 'string') read.replyTo = replyTo;
  if (deliveryMode === 1 || deliveryMode === 2) read.deliveryMode = deliveryMode;
  if (typeof priority === 'number') read.priority = priority;
  if (typeof expiration === 'string') read.expiration = expiration;
  return read;
}

function record(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(name);
  return value as Readonly<Record<string, unknown>>;
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

function malformed(name: string): DecodeError {
  return new DecodeError(`not a message in kombu's form: '${name}' is missing or of the wrong kind`);
}
