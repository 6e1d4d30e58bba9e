import { ContentDisallowed, DecodeError, ImproperlyConfigured } from '../core/errors.ts';
import { decompress } from './compression.ts';
import { jsonSerializer } from './json.ts';
import type { EncodedValue } from './outcome.ts';
import type { Serializer } from './serializer.ts';

const SERIALIZERS: readonly Serializer[] = [jsonSerializer];

const byName = new Map(SERIALIZERS.map((serializer) => [serializer.name, serializer]));
const byType = new Map(SERIALIZERS.map((serializer) => [serializer.contentType, serializer]));

/** @throws {ImproperlyConfigured} when there is no such serializer */
export function serializerByName(name: string): Serializer {
  const serializer = byName.get(name);
  if (serializer === undefined) {
    throw new ImproperlyConfigured(
      `there is no serializer '${name}'; there are: ${[...byName.keys()].join(', ')}`,
    );
  }
  return serializer;
}

/**
 * The content types that an `accept_content` list stands for; it may hold names (`json`) and types (`application/json`).
 * @throws {ImproperlyConfigured} for a name of no serializer
 */
export function acceptedTypes(names: Iterable<string>): ReadonlySet<string> {
  const types = new Set<string>();
  for (const name of names) types.add(name.includes('/') ? name : serializerByName(name).contentType);
  return types;
}

/** The parts of a message that say what its body is; an `Envelope` is one. */
export interface MessageBody {
  readonly body: Buffer;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface DecodeLimits {
  /** How large a compressed body may become, in bytes. */
  readonly maxInflatedBytes: number;
}

/** 256 MiB. */
export const DEFAULT_LIMITS: DecodeLimits = { maxInflatedBytes: 256 * 1024 * 1024 };

/** Celery's serializers that are not here, by content type: what the sender calls them. */
const FOREIGN_NAMES: ReadonlyMap<string, string> = new Map([
  ['application/x-python-serialize', 'pickle'],
  ['application/x-yaml', 'yaml'],
  ['application/x-msgpack', 'msgpack'],
]);

/**
 * Checks that bodies of this type may be decoded.
 * @throws {ContentDisallowed} which says what to set, and where
 */
export function checkContentType(type: string, accept: ReadonlySet<string>): void {
  if (accept.has(type)) return;
  const own = byType.get(type)?.name;
  const name = own ?? FOREIGN_NAMES.get(type);
  const accepted = [...accept].join(', ');
  throw new ContentDisallowed(
    `Refusing to deserialize untrusted content of type ${name === undefined ? shown(type) : `${name} (${type})`}; ` +
      `accept_content allows: ${accepted === '' ? 'nothing' : accepted}. ` +
      (own === undefined
        ? "Set task_serializer = 'json' in the app that sends it."
        : `Add '${own}' to accept_content here.`),
  );
}

/** A body that was let in, decompressed, with the serializer that reads it. */
export interface OpenedBody {
  readonly serializer: Serializer;
  readonly bytes: Buffer;
}

/**
 * Checks the content type and undoes the compression.
 * @throws {ContentDisallowed} when the content type is not accepted
 * @throws {DecodeError} when there is no way to read it
 */
export function openBody(
  message: MessageBody,
  accept: ReadonlySet<string>,
  limits: DecodeLimits,
): OpenedBody {
  const type = message.contentType;
  checkContentType(type, accept);
  const serializer = byType.get(type);
  if (serializer === undefined) {
    throw new DecodeError(
      `cannot read a body of type ${shown(type)}; there are: ${[...byType.keys()].join(', ')}`,
    );
  }
  const encoding = message.contentEncoding.toLowerCase();
  if (!READABLE_ENCODINGS.has(encoding)) {
    throw new DecodeError(`cannot read a body in the encoding ${shown(encoding)}; utf-8 is needed`);
  }
  const compression = message.headers.compression;
  if (compression === undefined || compression === null) return { serializer, bytes: message.body };
  if (typeof compression !== 'string') throw new DecodeError('the compression header is not text');
  return { serializer, bytes: decompress(message.body, compression, limits.maxInflatedBytes) };
}

// All of these leave the bytes as they are.
const READABLE_ENCODINGS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'binary', 'ascii', 'us-ascii', '']);

function shown(text: string): string {
  return text === '' ? '(none)' : text.slice(0, 64);
}

/**
 * The value of a message's body.
 *
 * @param accept content types, see `acceptedTypes`
 * @throws {ContentDisallowed} when the content type is not among them
 * @throws {DecodeError} when the body cannot be decompressed or decoded
 */
export function decodeBody(
  message: MessageBody,
  accept: ReadonlySet<string>,
  limits: DecodeLimits = DEFAULT_LIMITS,
): unknown {
  const { serializer, bytes } = openBody(message, accept, limits);
  return serializer.decode(bytes);
}

/** @throws {EncodeError} when the value has no form in that serializer */
export function encodeValue(value: unknown, serializerName: string): EncodedValue {
  return { serializer: serializerName, bytes: serializerByName(serializerName).encode(value) };
}

/** @throws {DecodeError} when the bytes are not of that serializer's form */
export function decodeValue(value: EncodedValue): unknown {
  return serializerByName(value.serializer).decode(value.bytes);
}
