import type { Duplex } from 'node:stream';
import { DecodeError } from '../core/errors.ts';

/** One message between supervisor and child: a short text, and bytes that nobody on the way looks at. */
export interface Frame {
  readonly header: string;
  /** Text arrives as its bytes in UTF-8. */
  readonly parts: readonly Part[];
}

export type Part = Buffer | string;

// u16 mark, u16 number of parts, u32 length of the header, u32 length of each part; then header (UTF-8) and parts. Little endian.
const MARK = 0xce17;
const FIXED_BYTES = 8;
const MOST_PARTS = 16;
const MOST_BYTES = 0x7fff_ffff;

// Below it, copying a part is cheaper than one more buffer in the write.
const COPY_BYTES = 32 * 1024;

/** Frames are written one behind the other into blocks of this size; a longer frame has a block of its own. */
const BLOCK_BYTES = 32 * 1024;

/**
 * Sends frames over a stream. All frames of one turn of the event loop leave as one write.
 *
 * Bytes that the stream does not take at once wait in its own buffer; `sent()` tells when it has taken them.
 */
export class FrameWriter {
  readonly #stream: Duplex;
  /** Never written twice at one place: the stream may keep what it was given for a while. */
  #block: Buffer = Buffer.alloc(0);
  /** Where what is not written to the stream yet begins in the block, and ends. */
  #start = 0;
  #end = 0;
  /** What comes before it. */
  #pending: Buffer[] = [];
  #isScheduled = false;
  readonly #flush = (): void => {
    this.flush();
  };

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** @throws {RangeError} when the frame is larger than 2 GiB. */
  send(header: string, parts: readonly Part[] = []): void {
    const headerBytes = Buffer.byteLength(header);
    const startBytes = FIXED_BYTES + 4 * parts.length + headerBytes;
    let copied = startBytes;
    let total = startBytes;
    for (const part of parts) {
      const bytes = lengthOf(part);
      total += bytes;
      if (bytes < COPY_BYTES || typeof part === 'string') copied += bytes;
    }
    if (parts.length > MOST_PARTS || total > MOST_BYTES) {
      throw new RangeError(
        `${total} bytes are too large to pass between the worker and its child processes.`,
      );
    }
    this.#reserve(copied);
    this.#begin(header, headerBytes, parts);
    for (const part of parts) this.#append(part);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(this.#flush);
  }

  #reserve(bytes: number): void {
    if (this.#block.length - this.#end >= bytes) return;
    this.#cut();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
    this.#start = 0;
    this.#end = 0;
  }

  /** What stands in the block so far is queued as it is. */
  #cut(): void {
    if (this.#end > this.#start) this.#pending.push(this.#block.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #begin(header: string, headerBytes: number, parts: readonly Part[]): void {
    const block = this.#block;
    let at = block.writeUInt16LE(MARK, this.#end);
    at = block.writeUInt16LE(parts.length, at);
    at = block.writeUInt32LE(headerBytes, at);
    for (const part of parts) at = block.writeUInt32LE(lengthOf(part), at);
    this.#end = at + block.write(header, at);
  }

  /** Text and small parts are copied, large ones queued as they are. */
  #append(part: Part): void {
    if (typeof part === 'string') {
      this.#end += this.#block.write(part, this.#end);
      return;
    }
    if (part.length < COPY_BYTES) {
      this.#end += part.copy(this.#block, this.#end);
      return;
    }
    this.#cut();
    this.#pending.push(part);
  }

  /** Writes what is queued, now. */
  flush(): void {
    this.#isScheduled = false;
    this.#cut();
    const pending = this.#pending;
    const [first] = pending;
    if (first === undefined) return;
    this.#pending = [];
    // After the end of the other process there is nobody to write to; its exit settles what waits for an answer.
    if (!this.#stream.writable) return;
    if (pending.length === 1) {
      this.#stream.write(first);
      return;
    }
    this.#stream.cork();
    for (const chunk of pending) this.#stream.write(chunk);
    this.#stream.uncork();
  }

  /** Resolves when the operating system has everything that was sent so far, or the stream is closed. */
  sent(): Promise<void> {
    this.flush();
    const stream = this.#stream;
    if (stream.writableLength === 0 || !stream.writable) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        stream.off('drain', check);
        stream.off('close', done);
        resolve();
      };
      const check = (): void => {
        if (stream.writableLength === 0) done();
      };
      stream.on('drain', check);
      stream.on('close', done);
      stream.write('', done);
    });
  }
}

function lengthOf(part: Part): number {
  return typeof part === 'string' ? Buffer.byteLength(part) : part.length;
}

/**
 * Cuts a stream of bytes into frames, wherever its chunks begin and end.
 *
 * Parts of a frame that arrived in one chunk are views of that chunk; a longer frame is gathered in one buffer of its size.
 */
export class FrameReader {
  readonly #onFrame: (header: string, parts: Buffer[]) => void;
  /** The frame that is being gathered; before its lengths are known, its first bytes. */
  #partial: Buffer | undefined;
  #filled = 0;

  constructor(onFrame: (header: string, parts: Buffer[]) => void) {
    this.#onFrame = onFrame;
  }

  /** Whether the bytes so far end inside a frame. */
  get isInsideFrame(): boolean {
    return this.#partial !== undefined;
  }

  /** @throws {DecodeError} when the bytes are no frames; the stream cannot be used any further. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#partial === undefined ? this.#begin(chunk, at) : this.#goOn(this.#partial, chunk, at);
    }
  }

  #begin(chunk: Buffer, at: number): number {
    const left = chunk.length - at;
    const size = frameSize(chunk, at, left);
    if (size !== undefined && size <= left) {
      this.#emit(chunk, at);
      return at + size;
    }
    this.#partial = Buffer.allocUnsafe(size ?? FIXED_BYTES + 4 * MOST_PARTS);
    this.#filled = chunk.copy(this.#partial, 0, at);
    return chunk.length;
  }

  #goOn(partial: Buffer, chunk: Buffer, at: number): number {
    const known = frameSize(partial, 0, this.#filled);
    if (known !== undefined && known > partial.length) {
      this.#partial = Buffer.allocUnsafe(known);
      partial.copy(this.#partial, 0, 0, this.#filled);
      return at;
    }
    // Before the size is known, one step to the next number in the start of the frame.
    const wanted = known ?? lengthOfStart(partial, this.#filled);
    const taken = chunk.copy(partial, this.#filled, at, at + wanted - this.#filled);
    this.#filled += taken;
    if (this.#filled === known || this.#filled === frameSize(partial, 0, this.#filled)) {
      this.#partial = undefined;
      this.#emit(partial, 0);
    }
    return at + taken;
  }

  #emit(bytes: Buffer, start: number): void {
    const count = bytes.readUInt16LE(start + 2);
    let at = start + FIXED_BYTES + 4 * count;
    const headerEnd = at + bytes.readUInt32LE(start + 4);
    const header = bytes.toString('utf8', at, headerEnd);
    at = headerEnd;
    const parts: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      const end = at + bytes.readUInt32LE(start + FIXED_BYTES + 4 * index);
      parts.push(bytes.subarray(at, end));
      at = end;
    }
    this.#onFrame(header, parts);
  }
}

function lengthOfStart(bytes: Buffer, filled: number): number {
  return filled < FIXED_BYTES ? FIXED_BYTES : FIXED_BYTES + 4 * bytes.readUInt16LE(2);
}

/** Bytes of the whole frame that begins at `at`; undefined while too few of them are there to tell. */
function frameSize(bytes: Buffer, at: number, available: number): number | undefined {
  if (available < FIXED_BYTES) return undefined;
  const count = bytes.readUInt16LE(at + 2);
  if (bytes.readUInt16LE(at) !== MARK || count > MOST_PARTS) {
    throw new DecodeError(
      'The stream between the worker and a child process holds something else than frames.',
    );
  }
  const startBytes = FIXED_BYTES + 4 * count;
  if (available < startBytes) return undefined;
  let size = startBytes + bytes.readUInt32LE(at + 4);
  for (let index = 0; index < count; index += 1) size += bytes.readUInt32LE(at + FIXED_BYTES + 4 * index);
  if (size > MOST_BYTES) {
    throw new DecodeError(`A frame between the worker and a child process claims to have ${size} bytes.`);
  }
  return size;
}
