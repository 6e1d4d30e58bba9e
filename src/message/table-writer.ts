const INT32_MIN = -2_147_483_648;
const INT32_MAX = 2_147_483_647;
const INT64_MIN = -9_223_372_036_854_775_808n;
const INT64_MAX = 9_223_372_036_854_775_807n;
const FIRST_BYTES = 4_096;
const KEPT_BYTES = 1_048_576;
/** Up to so many characters a loop is faster than Node's own way, which leaves JavaScript. */
const SHORT_TEXT = 40;

/**
 * Bytes that are written one after the other, in the types of AMQP; `readTable` reads its tables.
 *
 * Made to be used again and again: `take` gives a copy of what was written, and empties it.
 */
export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  take(): Buffer {
    const taken = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(taken, 0, 0, this.#at);
    this.#at = 0;
    return taken;
  }

  /** Drops what was written, and memory that only a large message needs. */
  clear(): void {
    this.#at = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  uint8(value: number): void {
    const at = this.#room(1);
    this.#at = this.#bytes.writeUInt8(value, at);
  }

  uint16(value: number): void {
    const at = this.#room(2);
    this.#at = this.#bytes.writeUInt16BE(value, at);
  }

  uint32(value: number): void {
    const at = this.#room(4);
    this.#at = this.#bytes.writeUInt32BE(value, at);
  }

  uint64(value: number): void {
    this.uint32(Math.floor(value / 0x1_0000_0000));
    this.uint32(value % 0x1_0000_0000);
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    this.#at = at + value.length;
  }

  /**
   * Text with its length in front.
   * @throws {RangeError} it has more than 255 bytes
   */
  shortText(value: string): void {
    const start = this.#room(1);
    this.#at += 1;
    this.#text(value);
    const size = this.#at - start - 1;
    if (size > 255)
      throw new RangeError(`'${value.slice(0, 40)}…' has ${size} bytes; at most 255 can be sent`);
    this.#bytes[start] = size;
  }

  /**
   * A table with its length in front. Undefined values are left out.
   *
   * @throws {RangeError} a number has more than 64 bits, or a name more than 255 bytes
   * @throws {TypeError} a function or a symbol
   */
  table(table: Readonly<Record<string, unknown>>): void {
    const start = this.beginSized();
    for (const name of Object.keys(table)) {
      const value = table[name];
      if (value === undefined) continue;
      this.shortText(name);
      this.#value(value);
    }
    this.endSized(start);
  }

  /** Leaves room for the length of what follows; give what it returns to `endSized`. */
  beginSized(): number {
    const start = this.#room(4);
    this.#at = start + 4;
    return start;
  }

  endSized(start: number): void {
    this.#bytes.writeUInt32BE(this.#at - start - 4, start);
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.#longText(value);
        break;
      case 'boolean':
        this.#tag('t');
        this.uint8(value ? 1 : 0);
        break;
      case 'number':
        this.#number(value);
        break;
      case 'bigint':
        this.#bigint(value);
        break;
      case 'object':
        this.#object(value);
        break;
      default:
        throw new TypeError(`a ${typeof value} cannot be a header`);
    }
  }

  #bigint(value: bigint): void {
    if (value > INT64_MAX || value < INT64_MIN)
      throw new RangeError(`${String(value)} has more than 64 bits`);
    this.#tag('l');
    const at = this.#room(8);
    this.#at = this.#bytes.writeBigInt64BE(value, at);
  }

  #longText(value: string): void {
    this.#tag('S');
    const start = this.beginSized();
    this.#text(value);
    this.endSized(start);
  }

  #number(value: number): void {
    // Python reads 64-bit numbers below zero of some senders as unsigned ones; as a double a large one is as exact.
    if (!Number.isSafeInteger(value) || value < INT32_MIN) {
      this.#tag('d');
      const at = this.#room(8);
      this.#at = this.#bytes.writeDoubleBE(value, at);
    } else if (value <= INT32_MAX) {
      this.#tag('I');
      const at = this.#room(4);
      this.#at = this.#bytes.writeInt32BE(value, at);
    } else {
      this.#tag('l');
      this.uint64(value);
    }
  }

  #object(value: object | null): void {
    if (value === null) {
      this.#tag('V');
    } else if (value instanceof Uint8Array) {
      this.#tag('x');
      this.uint32(value.length);
      this.bytes(value);
    } else if (value instanceof Date) {
      this.#tag('T');
      this.uint64(Math.floor(value.getTime() / 1000));
    } else if (Array.isArray(value)) {
      this.#tag('A');
      const start = this.beginSized();
      for (const each of value as unknown[]) this.#value(each);
      this.endSized(start);
    } else {
      this.#tag('F');
      this.table(value as Record<string, unknown>);
    }
  }

  #tag(letter: string): void {
    this.uint8(letter.charCodeAt(0));
  }

  #text(value: string): void {
    const at = this.#room(value.length * 3);
    const bytes = this.#bytes;
    let index = 0;
    if (value.length <= SHORT_TEXT) {
      for (; index < value.length; index += 1) {
        const code = value.charCodeAt(index);
        if (code > 0x7f) break;
        bytes[at + index] = code;
      }
    }
    this.#at = at + (index === value.length ? index : bytes.write(value, at));
  }

  /** Where the next bytes go, with room for so many. To be called before `#bytes` is looked at: it may be another one then. */
  #room(size: number): number {
    const needed = this.#at + size;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#at);
      this.#bytes = larger;
    }
    return this.#at;
  }
}
