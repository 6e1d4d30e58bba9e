/** What a decompressor throws whose output passes its bound; it carries the code that Node's own have. */
export class TooLargeError extends Error {
  readonly code = 'ERR_BUFFER_TOO_LARGE';
}

/** Bytes that grow up to a bound. */
export class InflatedBytes {
  readonly #maxBytes: number;
  #bytes: Buffer;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = Buffer.allocUnsafe(Math.min(maxBytes, 64 * 1024));
  }

  /** Appends one byte this many times. @throws {TooLargeError} */
  push(byte: number, times: number): void {
    const end = this.#length + times;
    if (end > this.#bytes.length) this.#grow(end);
    if (times === 1) this.#bytes[this.#length] = byte;
    else this.#bytes.fill(byte, this.#length, end);
    this.#length = end;
  }

  end(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(size: number): void {
    if (size > this.#maxBytes) throw new TooLargeError(`more than ${this.#maxBytes} bytes`);
    const larger = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(size, this.#bytes.length * 2)));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
