import { DecodeError } from '../core/errors.ts';
import type { Envelope } from './message.ts';
import { serializerByName } from './registry.ts';

/** Where a node sends its reply to a control command. */
export interface ControlReplyTo {
  readonly exchange: string;
  readonly routingKey: string;
}

/** A remote control command, `rate_limit` or `ping` for instance. */
export interface ControlRequest {
  readonly method: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Node names; null = every node. */
  readonly destination: readonly string[] | null;
  /** With `matcher`, when there is no destination: nodes whose name matches. */
  readonly pattern: string | null;
  /** `glob` or `pcre`. */
  readonly matcher: string | null;
  /** Null when no reply is wanted. */
  readonly ticket: string | null;
  /** Null when no reply is wanted. */
  readonly replyTo: ControlReplyTo | null;
}

/** What one node answered. */
export interface ControlReply {
  readonly node: string;
  readonly reply: unknown;
  readonly ticket: string | null;
  /** The node's logical clock. */
  readonly clock: number | null;
}

/** What a control message says beside its body. */
export interface ControlContext {
  /** Name of the serializer, e.g. `json`. */
  readonly serializer: string;
  readonly clock: number;
}

/**
 * @param expiresMs epoch milliseconds after which nobody waits for a reply any more; undefined = no such time
 * @throws {EncodeError} when the arguments have no form in the serializer
 */
export function buildControlRequest(
  request: ControlRequest,
  context: ControlContext & { readonly expiresMs?: number | undefined },
): Envelope {
  const { method, destination, pattern, matcher, ticket, replyTo } = request;
  const body = {
    method,
    arguments: request.arguments,
    destination,
    pattern,
    matcher,
    ...(ticket === null ? undefined : { ticket }),
    ...(replyTo === null
      ? undefined
      : { reply_to: { exchange: replyTo.exchange, routing_key: replyTo.routingKey } }),
  };
  const expires = context.expiresMs === undefined ? 0 : context.expiresMs / 1000;
  return controlEnvelope(body, { clock: context.clock, expires }, 2, context.serializer);
}

/** @throws {EncodeError} when the reply has no form in the serializer */
export function buildControlReply(
  reply: Pick<ControlReply, 'node' | 'reply' | 'ticket'>,
  context: ControlContext,
): Envelope {
  const body = { [reply.node]: reply.reply ?? null };
  return controlEnvelope(body, { ticket: reply.ticket, clock: context.clock }, 1, context.serializer);
}

function controlEnvelope(
  body: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, unknown>>,
  deliveryMode: 1 | 2,
  serializerName: string,
): Envelope {
  const serializer = serializerByName(serializerName);
  return {
    body: serializer.encode(body),
    contentType: serializer.contentType,
    contentEncoding: serializer.contentEncoding,
    headers,
    properties: { deliveryMode, priority: 0 },
  };
}

/**
 * Reads the decoded body of a control request; what is not known is left alone.
 * @throws {DecodeError} when it names no method
 */
export function parseControlRequest(body: unknown): ControlRequest {
  const request = record(body);
  if (request === undefined || typeof request.method !== 'string') {
    throw new DecodeError('a control message without a method');
  }
  const replyTo = record(request.reply_to);
  return {
    method: request.method,
    arguments: record(request.arguments) ?? {},
    destination: destinationOf(request.destination),
    pattern: text(request.pattern),
    matcher: text(request.matcher),
    ticket: text(request.ticket),
    replyTo:
      typeof replyTo?.exchange === 'string' && typeof replyTo.routing_key === 'string'
        ? { exchange: replyTo.exchange, routingKey: replyTo.routing_key }
        : null,
  };
}

/**
 * Reads the decoded body and the headers of a reply.
 * @throws {DecodeError} when it is not `{node: reply}`
 */
export function parseControlReply(body: unknown, headers: Readonly<Record<string, unknown>>): ControlReply {
  const [entry, ...others] = Object.entries(record(body) ?? {});
  if (entry === undefined || others.length > 0)
    throw new DecodeError('a control reply that is not {node: reply}');
  const [node, reply] = entry;
  return { node, reply, ticket: text(headers.ticket), clock: number(headers.clock) };
}

// One name instead of a list is tested by substring in Python; here it is that one node.
function destinationOf(value: unknown): readonly string[] | null {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return null;
  return value.filter((name): name is string => typeof name === 'string');
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
