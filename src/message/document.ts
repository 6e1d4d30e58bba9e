import { DecodeError, EncodeError } from '../core/errors.ts';
import { encodeJson } from './json.ts';
import { jsonMembers } from './json-members.ts';
import { msgpackMembers } from './msgpack-read.ts';
import { mapHead } from './msgpack-write.ts';
import type { EncodedValue } from './outcome.ts';
import { decodeValue, encodeValue, isJson, serializerByName } from './registry.ts';
import type { Serializer } from './serializer.ts';
import { yamlMember } from './yaml-write.ts';

/** Puts a document together of parts, some of which are bytes already. */
export interface DocumentWriter {
  member(name: string, value: unknown): void;
  encoded(name: string, value: EncodedValue | null): void;
  end(): Buffer;
}

/** The parts of a document, each of them decoded only when it is asked for where the form allows that. */
export interface DocumentMembers {
  /** Null when there is none. */
  value(name: string): unknown;
  /** Null when it is no text. */
  text(name: string): string | null;
  /** The bytes of a part; null for null as well, which says the same in fewer bytes. */
  encoded(name: string): EncodedValue | null;
}

/** @throws {EncodeError} when the serializer has no documents */
export function documentWriter(serializerName: string): DocumentWriter {
  const serializer = serializerByName(serializerName);
  if (isJson(serializerName)) return new JsonWriter(serializer);
  if (serializer.name === 'msgpack') return new PartsWriter(serializer, joinMsgpack);
  if (serializer.name === 'yaml') return new PartsWriter(serializer, joinYaml);
  throw new EncodeError(`results cannot be written by the serializer ${serializer.name}; use json`);
}

/** @throws {DecodeError} when the bytes are no document in that serializer */
export function documentMembers(bytes: Buffer, serializerName: string): DocumentMembers {
  const serializer = serializerByName(serializerName);
  if (isJson(serializerName)) return new SlicedMembers(serializer, jsonMembers(bytes), isJsonNull);
  if (serializer.name === 'msgpack')
    return new SlicedMembers(serializer, msgpackMembers(bytes), isMsgpackNil);
  return new DecodedMembers(serializer, serializer.parse(bytes));
}

/** Below it, bytes join the text: that is cheaper than another buffer. */
const TEXT_BYTES = 1024;

/** Text is collected in one string: by far the most documents are these. */
class JsonWriter implements DocumentWriter {
  readonly #serializer: Serializer;
  readonly #parts: Buffer[] = [];
  #text = '{';

  constructor(serializer: Serializer) {
    this.#serializer = serializer;
  }

  member(name: string, value: unknown): void {
    const text =
      value === null ? 'null' : typeof value === 'string' ? JSON.stringify(value) : encodeJson(value);
    this.#text += this.#key(name) + text;
  }

  encoded(name: string, value: EncodedValue | null): void {
    if (value === null) {
      this.member(name, null);
      return;
    }
    const bytes = bytesIn(this.#serializer.name, value);
    if (bytes.length < TEXT_BYTES) {
      this.#text += this.#key(name) + bytes.toString('utf8');
      return;
    }
    this.#parts.push(Buffer.from(this.#text + this.#key(name), 'utf8'), bytes);
    this.#text = '';
  }

  end(): Buffer {
    const last = Buffer.from(`${this.#text}}`, 'utf8');
    return this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
  }

  #key(name: string): string {
    return `${this.#text === '{' ? '' : ','}${JSON.stringify(name)}:`;
  }
}

type Part = readonly [name: string, bytes: Buffer];

class PartsWriter implements DocumentWriter {
  readonly #serializer: Serializer;
  readonly #join: (parts: readonly Part[]) => Buffer;
  readonly #parts: Part[] = [];

  constructor(serializer: Serializer, join: (parts: readonly Part[]) => Buffer) {
    this.#serializer = serializer;
    this.#join = join;
  }

  member(name: string, value: unknown): void {
    this.#parts.push([name, this.#serializer.encode(value)]);
  }

  encoded(name: string, value: EncodedValue | null): void {
    if (value === null) this.member(name, null);
    else this.#parts.push([name, bytesIn(this.#serializer.name, value)]);
  }

  end(): Buffer {
    return this.#join(this.#parts);
  }
}

function joinMsgpack(parts: readonly Part[]): Buffer {
  const msgpack = serializerByName('msgpack');
  return Buffer.concat([
    mapHead(parts.length),
    ...parts.flatMap(([name, bytes]) => [msgpack.encode(name), bytes]),
  ]);
}

/** What was written here is in flow style, and so may stand inside. */
function joinYaml(parts: readonly Part[]): Buffer {
  return Buffer.from(
    `{${parts.map(([name, bytes]) => yamlMember(name, bytes.toString('utf8'))).join(', ')}}`,
  );
}

function bytesIn(serializer: string, value: EncodedValue): Buffer {
  return (value.serializer === serializer ? value : encodeValue(decodeValue(value), serializer)).bytes;
}

class SlicedMembers implements DocumentMembers {
  readonly #serializer: Serializer;
  readonly #members: ReadonlyMap<string, Buffer>;
  readonly #isNull: (bytes: Buffer) => boolean;

  constructor(
    serializer: Serializer,
    members: ReadonlyMap<string, Buffer>,
    isNull: (bytes: Buffer) => boolean,
  ) {
    this.#serializer = serializer;
    this.#members = members;
    this.#isNull = isNull;
  }

  value(name: string): unknown {
    // Most are null, which need not be decoded.
    const bytes = this.#members.get(name);
    return bytes === undefined || this.#isNull(bytes) ? null : this.#serializer.decode(bytes);
  }

  text(name: string): string | null {
    const value = this.value(name);
    return typeof value === 'string' ? value : null;
  }

  encoded(name: string): EncodedValue | null {
    const bytes = this.#members.get(name);
    return bytes === undefined || this.#isNull(bytes) ? null : { serializer: this.#serializer.name, bytes };
  }
}

function isJsonNull(bytes: Buffer): boolean {
  return bytes.length === 4 && bytes.toString('latin1') === 'null';
}

function isMsgpackNil(bytes: Buffer): boolean {
  return bytes.length === 1 && bytes[0] === 0xc0;
}

/** Of a form whose parts have no bytes of their own; they are encoded anew. */
class DecodedMembers implements DocumentMembers {
  readonly #serializer: Serializer;
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(serializer: Serializer, document: unknown) {
    if (typeof document !== 'object' || document === null || Array.isArray(document)) {
      throw new DecodeError(`a result document in ${serializer.name} that is not a mapping`);
    }
    this.#serializer = serializer;
    this.#members = document as Readonly<Record<string, unknown>>;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#members, name) ? (this.#members[name] ?? null) : null;
  }

  text(name: string): string | null {
    const value = this.value(name);
    return typeof value === 'string' ? value : null;
  }

  encoded(name: string): EncodedValue | null {
    const value = this.value(name);
    return value === null ? null : encodeValue(value, this.#serializer.name);
  }
}
