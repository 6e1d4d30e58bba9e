import { InvalidTaskError } from '../core/errors.ts';
import type { Envelope } from './message.ts';
import { isTaskMessage, parseTaskBody } from './protocol2.ts';
import { type DecodeLimits, openBody } from './registry.ts';

/**
 * Makes protocol 2 of a task message of protocol 1 (no headers, everything in the body) or of the hybrid between them
 * (headers, and a body of protocol 1, where the headers win). A message of protocol 2 is returned as it is, unread.
 *
 * @param accept content types, see `acceptedTypes`
 * @throws {InvalidTaskError} when the message is no task by any protocol
 * @throws {ContentDisallowed} when its content type is not accepted
 * @throws {DecodeError} when its body cannot be read
 */
export function toProtocol2(envelope: Envelope, accept: ReadonlySet<string>, limits: DecodeLimits): Envelope {
  if (isTaskMessage(envelope) && !isProtocol1(envelope)) return envelope;
  const { serializer, bytes } = openBody(envelope, accept, limits);
  const old = serializer.parse(bytes);
  if (!isRecord(old) || (!isTaskMessage(envelope) && typeof old.task !== 'string')) {
    throw new InvalidTaskError('the message is not a task: neither its headers nor its body name one');
  }
  const { args, kwargs, embed } = parseTaskBody({ args: [], ...old });
  return {
    ...envelope,
    body: serializer.encode([args, kwargs, embed]),
    contentType: serializer.contentType,
    contentEncoding: serializer.contentEncoding,
    // The new body is not compressed.
    headers: { ...headersOf(old), ...envelope.headers, compression: null },
    headerBytes: undefined,
  };
}

/** Whether its body is a JSON object; one of protocol 2 is a list. What is compressed or not JSON is told apart where it is decoded. */
export function isProtocol1({ body }: Envelope): boolean {
  return body[0] === 0x7b;
}

/** What protocol 1 keeps in its body, by the names of protocol 2. `taskset` is the old name of the group, and wins. */
function headersOf(old: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    lang: 'py',
    task: old.task,
    id: old.id,
    shadow: null,
    eta: old.eta ?? null,
    expires: old.expires ?? null,
    group: old.taskset ?? old.group ?? null,
    group_index: old.group_index ?? null,
    retries: old.retries ?? 0,
    timelimit: old.timelimit ?? [null, null],
    // Protocol 1 knows neither.
    root_id: null,
    parent_id: null,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
