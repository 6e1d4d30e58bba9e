import { bzip2Crc } from './bzip2-crc.ts';
import { codeLengths } from './huffman.ts';
import { sortRotations } from './rotations.ts';

// The largest block of the format.
const LEVEL = 9;
// A run may add five bytes at the end of a block.
const MAX_BLOCK = LEVEL * 100_000 - 19;

/** A bzip2 stream of the bytes. One code table serves a whole block: somewhat larger than what the bzip2 program writes. */
export function writeBzip2(bytes: Uint8Array): Buffer {
  const bits = new BitWriter();
  bits.put(0x425a68, 24);
  bits.put(0x30 + LEVEL, 8);
  let streamCrc = 0;
  for (let at = 0; at < bytes.length;) {
    const block = nextBlock(bytes, at);
    at = block.end;
    writeBlock(bits, block);
    streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ block.crc) >>> 0;
  }
  bits.put(0x177245, 24);
  bits.put(0x385090, 24);
  bits.put32(streamCrc);
  return bits.end();
}

interface Block {
  readonly bytes: Uint8Array;
  readonly crc: number;
  /** Where in the input the next one begins. */
  readonly end: number;
}

/** Of a run, four bytes are written, and one that says how many more there are. */
function nextBlock(input: Uint8Array, start: number): Block {
  const bytes = new Uint8Array(LEVEL * 100_000);
  let length = 0;
  let crc = 0xffffffff;
  let at = start;
  while (at < input.length && length < MAX_BLOCK) {
    const byte = input[at] ?? 0;
    let run = 1;
    while (run < 259 && input[at + run] === byte) run += 1;
    const shown = Math.min(run, 4);
    bytes.fill(byte, length, length + shown);
    length += shown;
    if (run >= 4) {
      bytes[length] = run - 4;
      length += 1;
    }
    for (let count = 0; count < run; count += 1) crc = bzip2Crc(crc, byte);
    at += run;
  }
  return { bytes: bytes.subarray(0, length), crc: ~crc >>> 0, end: at };
}

function writeBlock(bits: BitWriter, { bytes, crc }: Block): void {
  bits.put(0x314159, 24);
  bits.put(0x265359, 24);
  bits.put32(crc);
  bits.put(0, 1);
  const rotations = sortRotations(bytes);
  bits.put(rotations.indexOf(0), 24);
  const used = usedBytes(bytes);
  writeUsed(bits, used);
  const symbols = toSymbols(bytes, rotations, used);
  writeSymbols(bits, symbols, used.length + 2);
}

function usedBytes(bytes: Uint8Array): number[] {
  return [...new Set(bytes)].sort((a, b) => a - b);
}

function writeUsed(bits: BitWriter, used: readonly number[]): void {
  const ranges = new Uint16Array(16);
  for (const byte of used) ranges[byte >> 4] = (ranges[byte >> 4] ?? 0) | (0x8000 >> (byte & 15));
  bits.put(
    ranges.reduce((flags, range, index) => (range === 0 ? flags : flags | (0x8000 >> index)), 0),
    16,
  );
  for (const range of ranges) if (range !== 0) bits.put(range, 16);
}

/** The last column of the sorted rotations, moved to front, its zeros as runs: symbols 0 and 1 are digits of their length. */
function toSymbols(bytes: Uint8Array, rotations: Uint32Array, used: readonly number[]): number[] {
  const symbols: number[] = [];
  const order = Uint8Array.from(used);
  let run = 0;
  for (const rotation of rotations) {
    const byte = bytes[rotation === 0 ? bytes.length - 1 : rotation - 1] ?? 0;
    if (byte === order[0]) {
      run += 1;
      continue;
    }
    run = endRun(symbols, run);
    const place = order.indexOf(byte);
    for (let at = place; at > 0; at -= 1) order[at] = order[at - 1] ?? 0;
    order[0] = byte;
    symbols.push(place + 1);
  }
  endRun(symbols, run);
  symbols.push(used.length + 1);
  return symbols;
}

/** The length in digits of 1 and 2, the lowest first. */
function endRun(symbols: number[], run: number): 0 {
  for (let left = run; left > 0; left = (left - 1) >> 1) symbols.push((left - 1) & 1);
  return 0;
}

const GROUP = 50;
// The format wants two at least.
const TABLES = 2;

function writeSymbols(bits: BitWriter, symbols: readonly number[], alphabet: number): void {
  const counts = new Uint32Array(alphabet);
  for (const symbol of symbols) counts[symbol] = (counts[symbol] ?? 0) + 1;
  const lengths = codeLengths(counts, 17);
  const selectors = Math.ceil(symbols.length / GROUP);
  bits.put(TABLES, 3);
  bits.put(selectors, 15);
  for (let index = 0; index < selectors; index += 1) bits.put(0, 1);
  for (let table = 0; table < TABLES; table += 1) writeLengths(bits, lengths);
  const codes = codesOf(lengths);
  for (const symbol of symbols) bits.put(codes[symbol] ?? 0, lengths[symbol] ?? 0);
}

function writeLengths(bits: BitWriter, lengths: readonly number[]): void {
  let current = lengths[0] ?? 1;
  bits.put(current, 5);
  for (const length of lengths) {
    for (; current < length; current += 1) bits.put(0b10, 2);
    for (; current > length; current -= 1) bits.put(0b11, 2);
    bits.put(0, 1);
  }
}

/** Canonical codes of these lengths. */
function codesOf(lengths: readonly number[]): number[] {
  const codes: number[] = [];
  let code = 0;
  for (let length = 1; length <= Math.max(...lengths); length += 1) {
    lengths.forEach((own, symbol) => {
      if (own !== length) return;
      codes[symbol] = code;
      code += 1;
    });
    code <<= 1;
  }
  return codes;
}

class BitWriter {
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;
  #held = 0;
  #count = 0;

  /** At most 24 bits, the most significant first. */
  put(value: number, count: number): void {
    this.#held = (this.#held << count) | value;
    this.#count += count;
    while (this.#count >= 8) {
      this.#count -= 8;
      this.#byte((this.#held >> this.#count) & 0xff);
    }
    this.#held &= (1 << this.#count) - 1;
  }

  put32(value: number): void {
    this.put(value >>> 16, 16);
    this.put(value & 0xffff, 16);
  }

  end(): Buffer {
    if (this.#count > 0) this.put(0, 8 - this.#count);
    return this.#bytes.subarray(0, this.#length);
  }

  #byte(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = Buffer.allocUnsafe(this.#length * 2);
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    this.#bytes[this.#length] = byte;
    this.#length += 1;
  }
}
