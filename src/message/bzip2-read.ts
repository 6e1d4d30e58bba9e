import { InflatedBytes } from './inflated.ts';
import { bzip2Crc } from './bzip2-crc.ts';

/**
 * Decompresses a bzip2 stream, or several one after the other.
 * @throws {TooLargeError} as soon as there are more than `maxBytes`
 * @throws {Error} when the stream is damaged
 */
export function readBzip2(bytes: Buffer, maxBytes: number): Buffer {
  const bits = new BitReader(bytes);
  const output = new InflatedBytes(maxBytes);
  // One for all blocks: there may be thousands of tiny ones.
  const sorted = new Uint8Array(MAX_LEVEL * BLOCK_BYTES);
  do readStream(bits, sorted, output);
  while (bits.atNextByte());
  return output.end();
}

const BLOCK = 0x314159265359;
const END = 0x177245385090;
const MAX_LEVEL = 9;
const BLOCK_BYTES = 100_000;

function readStream(bits: BitReader, sorted: Uint8Array, output: InflatedBytes): void {
  if (bits.take(24) !== 0x425a68) throw damaged();
  const level = bits.take(8) - 0x30;
  if (level < 1 || level > MAX_LEVEL) throw damaged();
  let streamCrc = 0;
  const room = sorted.subarray(0, level * BLOCK_BYTES);
  for (;;) {
    const magic = bits.take(24) * 2 ** 24 + bits.take(24);
    const crc = bits.take(32);
    if (magic === END) {
      if (crc !== streamCrc) throw damaged();
      return;
    }
    if (magic !== BLOCK) throw damaged();
    if (readBlock(bits, room, output) !== crc) throw damaged();
    streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ crc) >>> 0;
  }
}

/**
 * @param sorted room for the largest block
 * @returns the checksum of what the block holds
 */
function readBlock(bits: BitReader, sorted: Uint8Array, output: InflatedBytes): number {
  // Randomised blocks are of versions before 0.9.5.
  if (bits.take(1) !== 0) throw damaged();
  const origin = bits.take(24);
  const symbols = readSymbols(bits);
  const length = readSorted(bits, symbols, sorted);
  if (origin >= length) throw damaged();
  return writeRuns(unsort(sorted.subarray(0, length), origin), output);
}

/** The bytes that occur in the block, two levels of 16 flags. */
function readSymbols(bits: BitReader): Uint8Array {
  const ranges = bits.take(16);
  const symbols: number[] = [];
  for (let range = 0; range < 16; range += 1) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const used = bits.take(16);
    for (let bit = 0; bit < 16; bit += 1) if (used & (0x8000 >> bit)) symbols.push(range * 16 + bit);
  }
  if (symbols.length === 0) throw damaged();
  return Uint8Array.from(symbols);
}

const GROUP = 50;

/** Undoes the Huffman codes, the runs of zeros and the move to front. @returns how many bytes there are */
function readSorted(bits: BitReader, symbols: Uint8Array, sorted: Uint8Array): number {
  const alphabet = symbols.length + 2;
  const tableCount = bits.take(3);
  const selectorCount = bits.take(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount === 0) throw damaged();
  const selectors = readSelectors(bits, tableCount, selectorCount);
  const tables = Array.from({ length: tableCount }, () => new HuffmanTable(readLengths(bits, alphabet)));
  let length = 0;
  let run = 0;
  let weight = 1;
  for (let index = 0; ; index += 1) {
    const table = tables[selectors[Math.floor(index / GROUP)] ?? -1];
    if (table === undefined) throw damaged();
    const symbol = table.read(bits);
    if (symbol <= 1) {
      run += weight << symbol;
      weight <<= 1;
      if (run > sorted.length) throw damaged();
      continue;
    }
    if (run > 0) {
      if (length + run > sorted.length) throw damaged();
      sorted.fill(symbols[0] ?? 0, length, length + run);
      length += run;
      run = 0;
      weight = 1;
    }
    if (symbol === alphabet - 1) return length;
    if (length === sorted.length) throw damaged();
    const byte = moveToFront(symbols, symbol - 1);
    sorted[length] = byte;
    length += 1;
  }
}

function readSelectors(bits: BitReader, tableCount: number, count: number): number[] {
  const order = Uint8Array.from({ length: tableCount }, (_, index) => index);
  return Array.from({ length: count }, () => {
    let place = 0;
    while (bits.take(1) === 1) {
      place += 1;
      if (place >= tableCount) throw damaged();
    }
    return moveToFront(order, place);
  });
}

function moveToFront(order: Uint8Array, place: number): number {
  const value = order[place];
  if (value === undefined) throw damaged();
  // Mostly few: faster than copyWithin().
  for (let at = place; at > 0; at -= 1) order[at] = order[at - 1] ?? 0;
  order[0] = value;
  return value;
}

const MAX_CODE = 20;

function readLengths(bits: BitReader, alphabet: number): number[] {
  let length = bits.take(5);
  return Array.from({ length: alphabet }, () => {
    while (bits.take(1) === 1) length += bits.take(1) === 0 ? 1 : -1;
    if (length < 1 || length > MAX_CODE) throw damaged();
    return length;
  });
}

/** Canonical codes: read bit by bit against the largest code of each length. */
class HuffmanTable {
  readonly #first: number[] = [];
  readonly #count: number[] = [];
  readonly #offset: number[] = [];
  readonly #symbols: number[] = [];

  constructor(lengths: readonly number[]) {
    let code = 0;
    for (let length = 0; length <= MAX_CODE; length += 1) {
      this.#offset.push(this.#symbols.length);
      lengths.forEach((own, symbol) => {
        if (own === length) this.#symbols.push(symbol);
      });
      const count = this.#symbols.length - (this.#offset[length] ?? 0);
      this.#first.push(code);
      this.#count.push(count);
      code = (code + count) << 1;
    }
  }

  read(bits: BitReader): number {
    let code = 0;
    for (let length = 1; length <= MAX_CODE; length += 1) {
      code = (code << 1) | bits.take(1);
      const index = code - (this.#first[length] ?? 0);
      if (index < (this.#count[length] ?? 0)) {
        const symbol = this.#symbols[(this.#offset[length] ?? 0) + index];
        if (index < 0 || symbol === undefined) throw damaged();
        return symbol;
      }
    }
    throw damaged();
  }
}

/** Undoes the Burrows-Wheeler transform. */
function unsort(sorted: Uint8Array, origin: number): Uint8Array {
  const starts = new Int32Array(257);
  for (const byte of sorted) starts[byte + 1] = (starts[byte + 1] ?? 0) + 1;
  for (let byte = 0; byte < 256; byte += 1) starts[byte + 1] = (starts[byte + 1] ?? 0) + (starts[byte] ?? 0);
  const next = new Uint32Array(sorted.length);
  sorted.forEach((byte, index) => {
    const place = starts[byte] ?? 0;
    next[place] = index;
    starts[byte] = place + 1;
  });
  const bytes = new Uint8Array(sorted.length);
  let at = next[origin] ?? 0;
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = sorted[at] ?? 0;
    at = next[at] ?? 0;
  }
  return bytes;
}

/** Undoes the first runs: after four equal bytes one says how many more there are. */
function writeRuns(bytes: Uint8Array, output: InflatedBytes): number {
  let crc = 0xffffffff;
  let equal = 0;
  let last = -1;
  for (const byte of bytes) {
    if (equal === 4) {
      equal = 0;
      output.push(last, byte);
      for (let count = 0; count < byte; count += 1) crc = bzip2Crc(crc, last);
      continue;
    }
    equal = byte === last ? equal + 1 : 1;
    last = byte;
    output.push(byte, 1);
    crc = bzip2Crc(crc, byte);
  }
  return ~crc >>> 0;
}

class BitReader {
  readonly #bytes: Buffer;
  #at = 0;
  #held = 0;
  #count = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** At most 32 bits, the most significant first. */
  take(count: number): number {
    if (count > 16) return this.take(count - 16) * 0x10000 + this.take(16);
    while (this.#count < count) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw damaged();
      this.#at += 1;
      this.#held = ((this.#held << 8) | byte) & 0xffffff;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#held >> this.#count) & ((1 << count) - 1);
  }

  /** Drops the bits up to the next byte. @returns whether there is one */
  atNextByte(): boolean {
    this.#count -= this.#count % 8;
    return this.#count > 0 || this.#at < this.#bytes.length;
  }
}

function damaged(): Error {
  return new Error('damaged');
}
