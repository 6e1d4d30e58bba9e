import { isUtf8 } from 'node:buffer';

import { DecodeError } from '../core/errors.ts';
import { setOwn } from './set-own.ts';

/**
 * The value of one msgpack document; integers beyond 2^53 are BigInts, bytes Buffers of their own, timestamps Dates.
 *
 * Never takes more memory than the bytes justify: what a head announces is not made room for before it is there.
 * @throws {DecodeError} when the bytes are not such a document, or hold a type that has no value here
 */
export function readMsgpack(bytes: Buffer): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** The members of a msgpack map as the bytes of their values, as `jsonMembers`. @throws {DecodeError} */
export function msgpackMembers(bytes: Buffer): Map<string, Buffer> {
  const reader = new Reader(bytes);
  const members = reader.members();
  reader.end();
  return members;
}

// Python's decoder stops near here too (its C stack has room for 511 levels, each of which may be two).
const MAX_DEPTH = 1000;

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#at < this.#bytes.length) throw failure('there are bytes after its end');
  }

  members(): Map<string, Buffer> {
    const members = new Map<string, Buffer>();
    const length = this.#mapLength(this.#unsigned(1));
    if (length === undefined) throw failure('it is not a map');
    for (let index = 0; index < length; index += 1) {
      const key = this.#key();
      const start = this.#at;
      this.value(1);
      members.set(key, this.#bytes.subarray(start, this.#at));
    }
    return members;
  }

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw failure('it is nested too deeply');
    const first = this.#unsigned(1);
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 0x100;
    const map = this.#mapLength(first);
    if (map !== undefined) return this.#map(map, depth);
    const array = this.#arrayLength(first);
    if (array !== undefined) return this.#array(array, depth);
    const text = this.#textLength(first);
    return text === undefined ? this.#scalar(first) : this.#text(text);
  }

  #map(length: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let index = 0; index < length; index += 1) {
      const key = this.#key();
      setOwn(map, key, this.value(depth + 1));
    }
    return map;
  }

  #array(length: number, depth: number): unknown[] {
    const array: unknown[] = [];
    for (let index = 0; index < length; index += 1) array.push(this.value(depth + 1));
    return array;
  }

  /** Keys of Python's dicts that are no text become text, as JSON has them. */
  #key(): string {
    const key = this.value(MAX_DEPTH);
    if (typeof key === 'string') return key;
    if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return String(key);
    throw failure('a key of a map is neither text nor a number');
  }

  #mapLength(first: number): number | undefined {
    if (first >= 0x80 && first <= 0x8f) return first & 0x0f;
    if (first === 0xde) return this.#unsigned(2);
    return first === 0xdf ? this.#unsigned(4) : undefined;
  }

  #arrayLength(first: number): number | undefined {
    if (first >= 0x90 && first <= 0x9f) return first & 0x0f;
    if (first === 0xdc) return this.#unsigned(2);
    return first === 0xdd ? this.#unsigned(4) : undefined;
  }

  #textLength(first: number): number | undefined {
    if (first >= 0xa0 && first <= 0xbf) return first & 0x1f;
    if (first === 0xd9) return this.#unsigned(1);
    if (first === 0xda) return this.#unsigned(2);
    return first === 0xdb ? this.#unsigned(4) : undefined;
  }

  #scalar(first: number): unknown {
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        // A copy: a value must not keep the whole message in memory.
        return Buffer.from(this.#take(this.#unsigned(1 << (first - 0xc4))));
      case 0xca:
        return this.#take(4).readFloatBE();
      case 0xcb:
        return this.#take(8).readDoubleBE();
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(1 << (first - 0xcc));
      case 0xcf:
        return integer(this.#take(8).readBigUInt64BE());
      case 0xd0:
      case 0xd1:
      case 0xd2: {
        const size = 1 << (first - 0xd0);
        return this.#take(size).readIntBE(0, size);
      }
      case 0xd3:
        return integer(this.#take(8).readBigInt64BE());
      default:
        return this.#extension(first);
    }
  }

  #extension(first: number): Date {
    // 0xd4 to 0xd8 are 1, 2, 4, 8 and 16 bytes; 0xc7 to 0xc9 say how many.
    const isFixed = first >= 0xd4 && first <= 0xd8;
    if (!isFixed && (first < 0xc7 || first > 0xc9)) throw failure(`the byte ${first} begins no value`);
    const size = isFixed ? 1 << (first - 0xd4) : this.#unsigned(1 << (first - 0xc7));
    const type = this.#take(1).readInt8();
    const data = this.#take(size);
    if (type !== -1) throw failure(`a value of the extension type ${type}, which is not known here`);
    return timestamp(data);
  }

  #text(length: number): string {
    const bytes = this.#take(length);
    if (!isUtf8(bytes)) throw failure('a text is not UTF-8');
    return bytes.toString('utf8');
  }

  #unsigned(size: number): number {
    return this.#take(size).readUIntBE(0, size);
  }

  #take(size: number): Buffer {
    const end = this.#at + size;
    if (end > this.#bytes.length) throw failure('it ends too early');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function timestamp(data: Buffer): Date {
  const parts = timestampParts(data);
  const date = parts && new Date(Number(parts.seconds) * 1000 + Math.floor(parts.nanoseconds / 1_000_000));
  if (date === undefined || Number.isNaN(date.getTime())) throw failure('a timestamp is malformed');
  return date;
}

function timestampParts(data: Buffer): { seconds: bigint; nanoseconds: number } | undefined {
  switch (data.length) {
    case 4:
      return { seconds: BigInt(data.readUInt32BE()), nanoseconds: 0 };
    case 8: {
      const packed = data.readBigUInt64BE();
      return { seconds: packed & (2n ** 34n - 1n), nanoseconds: Number(packed >> 34n) };
    }
    case 12:
      return { seconds: data.readBigInt64BE(4), nanoseconds: data.readUInt32BE() };
    default:
      return undefined;
  }
}

function failure(why: string): DecodeError {
  return new DecodeError(`cannot decode msgpack: ${why}`);
}
