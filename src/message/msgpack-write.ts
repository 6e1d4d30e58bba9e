import type { Plain } from './plain-tree.ts';

/** The msgpack form of plain data whose leaves were checked: integers of at most 64 bits, well-formed texts. */
export function writeMsgpack(value: Plain): Buffer {
  const writer = new Writer();
  writer.value(value);
  return writer.end();
}

/** The head of a map, which its keys and values follow. */
export function mapHead(length: number): Buffer {
  const writer = new Writer();
  writer.head(length, MAP);
  return writer.end();
}

/** First bytes of a kind by length: the short form with its largest length, then those with 8, 16 and 32 bits. */
interface Heads {
  readonly fix: number;
  readonly fixMax: number;
  readonly u8?: number;
  readonly u16: number;
  readonly u32: number;
}

const STR: Heads = { fix: 0xa0, fixMax: 31, u8: 0xd9, u16: 0xda, u32: 0xdb };
const BIN: Heads = { fix: 0, fixMax: -1, u8: 0xc4, u16: 0xc5, u32: 0xc6 };
const ARRAY: Heads = { fix: 0x90, fixMax: 15, u16: 0xdc, u32: 0xdd };
const MAP: Heads = { fix: 0x80, fixMax: 15, u16: 0xde, u32: 0xdf };

class Writer {
  #bytes = Buffer.allocUnsafe(256);
  #at = 0;

  end(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  value(value: Plain): void {
    switch (typeof value) {
      case 'string':
        this.#text(value);
        return;
      case 'number':
        this.#number(value);
        return;
      case 'bigint':
        this.#bigint(value);
        return;
      case 'boolean':
        this.#byte(value ? 0xc3 : 0xc2);
        return;
      default:
        this.#object(value);
    }
  }

  head(length: number, { fix, fixMax, u8, u16, u32 }: Heads): void {
    if (length <= fixMax) {
      this.#byte(fix | length);
    } else if (u8 !== undefined && length <= 0xff) {
      this.#byte(u8);
      this.#byte(length);
    } else if (length <= 0xffff) {
      this.#byte(u16);
      this.#at = this.#room(2).writeUInt16BE(length, this.#at);
    } else {
      this.#byte(u32);
      this.#at = this.#room(4).writeUInt32BE(length, this.#at);
    }
  }

  #object(value: Exclude<Plain, string | number | bigint | boolean>): void {
    if (value === null) {
      this.#byte(0xc0);
    } else if (value instanceof Date) {
      this.#date(value);
    } else if (value instanceof Uint8Array) {
      this.head(value.length, BIN);
      this.#raw(value);
    } else if (Array.isArray(value)) {
      this.head(value.length, ARRAY);
      for (const item of value as readonly Plain[]) this.value(item);
    } else {
      const members = Object.entries(value as { readonly [key: string]: Plain });
      this.head(members.length, MAP);
      for (const [key, item] of members) {
        this.#text(key);
        this.value(item);
      }
    }
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text, 'utf8');
    this.head(length, STR);
    this.#at += this.#room(length).write(text, this.#at, 'utf8');
  }

  #number(number: number): void {
    if (Number.isSafeInteger(number)) {
      this.#bigintOrSmall(number);
      return;
    }
    this.#byte(0xcb);
    this.#at = this.#room(8).writeDoubleBE(number, this.#at);
  }

  #bigintOrSmall(integer: number): void {
    if (integer >= 0 ? integer > 0xffffffff : integer < -0x80000000) this.#bigint(BigInt(integer));
    else if (integer >= 0) this.#unsigned(integer);
    else this.#negative(integer);
  }

  #unsigned(integer: number): void {
    if (integer < 0x80) {
      this.#byte(integer);
    } else if (integer <= 0xff) {
      this.#byte(0xcc);
      this.#byte(integer);
    } else if (integer <= 0xffff) {
      this.#byte(0xcd);
      this.#at = this.#room(2).writeUInt16BE(integer, this.#at);
    } else {
      this.#byte(0xce);
      this.#at = this.#room(4).writeUInt32BE(integer, this.#at);
    }
  }

  #negative(integer: number): void {
    if (integer >= -0x20) {
      this.#byte(integer & 0xff);
    } else if (integer >= -0x80) {
      this.#byte(0xd0);
      this.#byte(integer & 0xff);
    } else if (integer >= -0x8000) {
      this.#byte(0xd1);
      this.#at = this.#room(2).writeInt16BE(integer, this.#at);
    } else {
      this.#byte(0xd2);
      this.#at = this.#room(4).writeInt32BE(integer, this.#at);
    }
  }

  #bigint(integer: bigint): void {
    if (integer >= -0x80000000n && integer <= 0xffffffffn) {
      this.#bigintOrSmall(Number(integer));
    } else if (integer >= 0n) {
      this.#byte(0xcf);
      this.#at = this.#room(8).writeBigUInt64BE(integer, this.#at);
    } else {
      this.#byte(0xd3);
      this.#at = this.#room(8).writeBigInt64BE(integer, this.#at);
    }
  }

  /** The timestamp extension, type -1: 32 bits of seconds; 30 of nanoseconds and 34 of seconds; or 32 and 64. */
  #date(date: Date): void {
    const ms = date.getTime();
    const seconds = Math.floor(ms / 1000);
    const nanoseconds = (ms - seconds * 1000) * 1_000_000;
    if (seconds < 0 || seconds >= 2 ** 34) {
      this.#raw(Uint8Array.of(0xc7, 12, 0xff));
      this.#at = this.#room(4).writeUInt32BE(nanoseconds, this.#at);
      this.#at = this.#room(8).writeBigInt64BE(BigInt(seconds), this.#at);
    } else if (nanoseconds === 0 && seconds < 2 ** 32) {
      this.#raw(Uint8Array.of(0xd6, 0xff));
      this.#at = this.#room(4).writeUInt32BE(seconds, this.#at);
    } else {
      this.#raw(Uint8Array.of(0xd7, 0xff));
      const packed = (BigInt(nanoseconds) << 34n) | BigInt(seconds);
      this.#at = this.#room(8).writeBigUInt64BE(packed, this.#at);
    }
  }

  #byte(byte: number): void {
    this.#at = this.#room(1).writeUInt8(byte, this.#at);
  }

  #raw(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The buffer, with this many bytes free in it. */
  #room(size: number): Buffer {
    const needed = this.#at + size;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#at);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}
