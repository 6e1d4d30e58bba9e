import { decodeEnvelope, encodeEnvelope } from '../../src/message/envelope-json.ts';
import { decodeJson } from '../../src/message/json.ts';
import type { Envelope } from '../../src/message/message.ts';
import { wireFixture } from './wire-fixtures.ts';

/** A task message of test/fixtures/wire, as it crossed RabbitMQ. */
interface AmqpMessage {
  readonly exchange?: string;
  readonly routing_key: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text?: string | null;
  readonly body?: string | null;
}

/** The same as it crossed Redis. */
interface RedisMessage {
  readonly queue: string;
  readonly envelope: string;
}

export type RecordedMessage = AmqpMessage | RedisMessage;

/** All that a message says, by its names on the wire, but for its body. */
export interface View {
  readonly exchange: unknown;
  readonly routingKey: unknown;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
}

export type Broker = 'amqp' | 'redis';

interface Sent {
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
}

/** One case of a worker's traffic: what came to it, and what it published itself. */
export interface WorkerCase {
  readonly case: string;
  readonly broker: Broker;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly messages: readonly (RecordedMessage & { readonly by: 'client' | 'worker' })[];
}

export const { cases: workerCases } = wireFixture<{ cases: readonly WorkerCase[] }>('messages-worker.json');

/** Every task message of the recordings, those of clients and those of workers. */
export function recordedTasks(): readonly { name: string; broker: Broker; recorded: RecordedMessage }[] {
  const ofClients = (['amqp', 'redis'] as const).flatMap((broker) => {
    const { cases } = wireFixture<{ cases: readonly (RecordedMessage & { case: string })[] }>(
      `messages-${broker}.json`,
    );
    return cases.map((recorded) => ({ name: recorded.case, broker, recorded }));
  });
  const ofWorkers = workerCases.flatMap(({ case: name, broker, messages }) =>
    messages.map((recorded) => ({ name: `worker ${name}`, broker, recorded })),
  );
  return [...ofClients, ...ofWorkers];
}

/** What 5.6 adds to the headers of 5.2.6, which made the recordings. */
export const ADDED_HEADERS = { replaced_task_nesting: 0, stamped_headers: null, stamps: {} };

/** The message as our transports give it to the worker. */
export function envelopeOf(recorded: RecordedMessage): Sent {
  if ('envelope' in recorded) {
    const { envelope, exchange, routingKey } = decodeEnvelope(recorded.envelope);
    return { envelope, exchange, routingKey };
  }
  const { properties, headers, text, body, exchange = '', routing_key: routingKey } = recorded;
  const { correlation_id: correlationId, reply_to: replyTo, delivery_mode: deliveryMode } = properties;
  const { priority, expiration } = properties;
  const known = { correlationId, replyTo, deliveryMode, priority, expiration };
  return {
    envelope: {
      body: typeof text === 'string' ? Buffer.from(text) : Buffer.from(body ?? '', 'base64'),
      contentType: String(properties.content_type),
      contentEncoding: String(properties.content_encoding),
      headers,
      properties: Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)),
    },
    exchange,
    routingKey,
  };
}

// Nobody reads them, and they are not kept.
const UNREAD = ['message_id', 'type', 'app_id', 'timestamp', 'argsrepr', 'kwargsrepr'];

export function recordedView(recorded: RecordedMessage): View {
  if ('envelope' in recorded) return redisView(recorded.envelope);
  const { exchange = '', routing_key: routingKey, properties, headers } = recorded;
  return { exchange, routingKey, properties: without(properties, UNREAD), headers };
}

/** What we would publish, as that broker shows it. */
export function sentView({ envelope, exchange, routingKey }: Sent, broker: Broker): View {
  if (broker === 'redis') {
    return redisView(
      encodeEnvelope(envelope, { exchange, routingKey, deliveryTag: 'made by the publisher' }),
    );
  }
  const { correlationId, replyTo, deliveryMode, priority, expiration } = envelope.properties;
  const properties = {
    content_type: envelope.contentType,
    content_encoding: envelope.contentEncoding,
    delivery_mode: deliveryMode,
    ...(priority !== undefined && { priority }),
    correlation_id: correlationId,
    reply_to: replyTo,
    ...(expiration !== undefined && { expiration }),
  };
  return { exchange, routingKey, properties, headers: envelope.headers };
}

function redisView(text: string): View {
  const raw = decodeJson(text) as {
    readonly headers: Readonly<Record<string, unknown>>;
    readonly properties: Readonly<Record<string, unknown>> & {
      readonly delivery_info: { readonly exchange: string; readonly routing_key: string };
    };
  } & Readonly<Record<string, unknown>>;
  const { exchange, routing_key: routingKey } = raw.properties.delivery_info;
  const { 'content-type': type, 'content-encoding': encoding } = raw;
  return {
    exchange,
    routingKey,
    properties: {
      ...without(raw.properties, [...UNREAD, 'delivery_tag']),
      content_type: type,
      content_encoding: encoding,
    },
    headers: raw.headers,
  };
}

export function without(
  record: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
