import { ContentDisallowed, DecodeError, ImproperlyConfigured } from '../core/errors.ts';
import { decompress } from './compression.ts';
import { jsonSerializer, plainJsonSerializer } from './json.ts';
import { msgpackSerializer } from './msgpack.ts';
import type { EncodedValue } from './outcome.ts';
import { rawSerializer } from './raw.ts';
import type { Serializer } from './serializer.ts';
import { yamlSerializer } from './yaml.ts';

// As in kombu there is one table for the process: what a message says of its body means the same to every app in it.
const byName = new Map<string, Serializer>();
const byType = new Map<string, Serializer>();

/** Adds a serializer, in place of one that has its name or reads its content type. */
export function registerSerializer(serializer: Serializer): void {
  byName.set(serializer.name, serializer);
  byType.set(serializer.contentType, serializer);
}

for (const serializer of [jsonSerializer, msgpackSerializer, yamlSerializer, rawSerializer]) {
  registerSerializer(serializer);
}
// It only writes: to its readers it is JSON like any other.
byName.set(plainJsonSerializer.name, plainJsonSerializer);

/** What to do about serializers of Celery's that are not there. */
const ABSENT: ReadonlyMap<string, string> = new Map([
  ['auth', 'the serializer auth is there after app.setupSecurity(), which reads the security_* settings'],
  [
    'pickle',
    'the serializer pickle is read by Python only, and runs what it reads; use json, msgpack or yaml',
  ],
]);

/** @throws {ImproperlyConfigured} when there is no such serializer */
export function serializerByName(name: string): Serializer {
  const serializer = byName.get(name);
  if (serializer !== undefined) return serializer;
  throw new ImproperlyConfigured(
    ABSENT.get(name) ?? `there is no serializer '${name}'; there are: ${[...byName.keys()].join(', ')}`,
  );
}

/**
 * The same for tasks, results and events, which are structures.
 * @throws {ImproperlyConfigured} when there is none of the name, or it writes text and bytes only
 */
export function structuredSerializer(name: string): Serializer {
  const serializer = serializerByName(name);
  if (serializer !== rawSerializer) return serializer;
  throw new ImproperlyConfigured(
    'the serializer raw takes text and bytes only, which no task, result or event is; use json, msgpack or yaml',
  );
}

/** Whether a serializer writes JSON. @throws {ImproperlyConfigured} when there is no such serializer */
export function isJson(name: string): boolean {
  return serializerByName(name).contentType === jsonSerializer.contentType;
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

/**
 * Checks that bodies of this type may be decoded.
 * @throws {ContentDisallowed} which says what to set, and where
 */
export function checkContentType(type: string, accept: ReadonlySet<string>): void {
  if (accept.has(type)) return;
  const accepted = [...accept].join(', ');
  throw new ContentDisallowed(
    `Refusing to deserialize untrusted content of type ${nameOf(type)}; ` +
      `accept_content allows: ${accepted === '' ? 'nothing' : accepted}. ${adviceOn(type)}`,
  );
}

const PICKLE_TYPE = 'application/x-python-serialize';

function nameOf(type: string): string {
  const name = type === PICKLE_TYPE ? 'pickle' : byType.get(type)?.name;
  return name === undefined ? shown(type) : `${name} (${type})`;
}

function adviceOn(type: string): string {
  const name = byType.get(type)?.name;
  if (name === rawSerializer.name) {
    return "If it is signed, call app.setupSecurity() here; else set task_serializer = 'json' in the app that sends it.";
  }
  if (name !== undefined) return `Add '${name}' to accept_content here.`;
  return "Set task_serializer = 'json' (for results: result_serializer = 'json') in the app that sends it.";
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

/**
 * A value that will be part of a document in that serializer: where the serializer wraps another one, only the whole document
 * is wrapped.
 * @throws {EncodeError} when the value has no form in that serializer
 */
export function encodePart(value: unknown, serializerName: string): EncodedValue {
  const serializer = serializerByName(serializerName);
  return encodeValue(value, (serializer.wrapping?.inner ?? serializer).name);
}

/** @throws {DecodeError} when the bytes are not of that serializer's form */
export function decodeValue(value: EncodedValue): unknown {
  return serializerByName(value.serializer).decode(value.bytes);
}
