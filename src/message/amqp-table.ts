import { DecodeError } from '../core/errors.ts';
import { setOwn } from './set-own.ts';

/**
 * The table in which AMQP carries headers, as RabbitMQ and Python's client write it (AMQP 0-9-1 with RabbitMQ's changes).
 *
 * Numbers are numbers, those that a number cannot hold exactly BigInt; timestamps are Dates, decimals numbers, byte arrays
 * Buffers that share the memory of the table.
 *
 * @param bytes the entries, without the length in front
 * @throws {DecodeError} a value has a type that there is not, or ends outside of the table
 */
export function readTable(bytes: Buffer): Record<string, unknown> {
  try {
    return new TableReader(bytes).table(bytes.length);
  } catch (error) {
    // Of Buffer, beyond its end.
    if (!(error instanceof RangeError)) throw error;
    throw new DecodeError('a table of headers ends inside of a value', { cause: error });
  }
}

class TableReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  table(end: number): Record<string, unknown> {
    const table: Record<string, unknown> = {};
    while (this.#at < end) {
      const key = this.#text(this.#bytes.readUInt8(this.#skip(1)));
      setOwn(table, key, this.#value());
    }
    return table;
  }

  #value(): unknown {
    const bytes = this.#bytes;
    const tag = String.fromCharCode(bytes.readUInt8(this.#skip(1)));
    switch (tag) {
      case 'S':
        return this.#text(this.#length());
      case 'V':
        return null;
      case 't':
        return bytes.readUInt8(this.#skip(1)) !== 0;
      case 'F':
        return this.table(this.#length() + this.#at);
      case 'A':
        return this.#array(this.#length() + this.#at);
      case 'x': {
        const length = this.#length();
        return bytes.subarray(this.#skip(length), this.#at);
      }
      case 'T':
        return new Date(Number(bytes.readBigUInt64BE(this.#skip(8))) * 1000);
      case 'D': {
        const places = bytes.readUInt8(this.#skip(1));
        return bytes.readUInt32BE(this.#skip(4)) / 10 ** places;
      }
      default:
        return this.#number(tag);
    }
  }

  #number(tag: string): number | bigint {
    const bytes = this.#bytes;
    switch (tag) {
      case 'I':
        return bytes.readInt32BE(this.#skip(4));
      case 'l':
      // Python's client writes its long integers with a letter that others give to unsigned ones.
      case 'L':
        return exact(bytes.readBigInt64BE(this.#skip(8)));
      case 'd':
        return bytes.readDoubleBE(this.#skip(8));
      case 'b':
        return bytes.readInt8(this.#skip(1));
      case 'B':
        return bytes.readUInt8(this.#skip(1));
      case 's':
        return bytes.readInt16BE(this.#skip(2));
      case 'u':
        return bytes.readUInt16BE(this.#skip(2));
      case 'i':
        return bytes.readUInt32BE(this.#skip(4));
      case 'f':
        return bytes.readFloatBE(this.#skip(4));
      default:
        throw new DecodeError(`a table of headers holds a value of the unknown type '${tag}'`);
    }
  }

  #array(end: number): unknown[] {
    const array: unknown[] = [];
    while (this.#at < end) array.push(this.#value());
    return array;
  }

  #text(length: number): string {
    const start = this.#skip(length);
    return this.#bytes.toString('utf8', start, this.#at);
  }

  #length(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  /** Goes on by so many bytes. @returns where it was */
  #skip(count: number): number {
    const start = this.#at;
    if (start + count > this.#bytes.length) throw new RangeError('beyond the end');
    this.#at = start + count;
    return start;
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
