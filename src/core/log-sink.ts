import { closeSync, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { userInfo } from 'node:os';

import { ImproperlyConfigured } from './errors.ts';

/** Where log lines go. Every line is written before `write` returns, so that none is lost when the process ends. */
export interface LogSink {
  write(text: string): void;
  close(): void;
}

const STDERR = 2;
const ROTATION_CHECK_MS = 1000;
const FULL_PIPE_PAUSE_MS = 2;

/**
 * Opens a file descriptor, which stays the caller's, or appends to a file.
 *
 * @throws {@link ImproperlyConfigured} naming path and user when the file cannot be written.
 */
export function openLogSink(destination: number | string): LogSink {
  return typeof destination === 'number' ? new DescriptorSink(destination) : new FileSink(destination);
}

class DescriptorSink implements LogSink {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(text: string): void {
    try {
      writeFully(this.#fd, text);
    } catch (error) {
      // Nobody reads any more, and there is no other place to say so; a worker does not end for it.
      if (!isSystemError(error, 'EPIPE', 'EBADF', 'EIO')) throw error;
    }
  }

  close(): void {
    // The descriptor belongs to whoever opened it.
  }
}

/** Appends to a file, and to a new one of that name when the old one was rotated away. */
class FileSink implements LogSink {
  readonly #path: string;
  readonly #lastResort = new DescriptorSink(STDERR);
  #fd: number;
  #inode: number;
  #checkedMs = Date.now();
  #failing = false;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'a', 0o644);
    } catch (error) {
      throw new ImproperlyConfigured(
        `cannot write log file ${path} as user ${userName()}: ${reason(error)}`,
        {
          cause: error,
        },
      );
    }
    this.#inode = fstatSync(this.#fd).ino;
  }

  write(text: string): void {
    if (this.#closed) {
      this.#lastResort.write(text);
      return;
    }
    try {
      const now = Date.now();
      if (Math.abs(now - this.#checkedMs) >= ROTATION_CHECK_MS) {
        this.#checkedMs = now;
        this.#followRotation();
      }
      writeFully(this.#fd, text);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#lastResort.write(`cannot write log file ${this.#path}: ${reason(error)}\n`);
      this.#failing = true;
      this.#lastResort.write(text);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  #followRotation(): void {
    if (statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode) return;
    const fd = openSync(this.#path, 'a', 0o644);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#inode = fstatSync(fd).ino;
  }
}

function writeFully(fd: number, text: string): void {
  let written = writeWhenRoom(fd, text);
  // Counting bytes is only needed for the rare line that was cut.
  if (written === text.length && Buffer.byteLength(text) === written) return;
  const bytes = Buffer.from(text);
  while (written < bytes.length) written += writeWhenRoom(fd, bytes.subarray(written));
}

// A pipe that Node made non-blocking refuses bytes while it is full; its reader decides how long that takes, as it does
// for any blocking write.
function writeWhenRoom(fd: number, data: string | Buffer): number {
  for (;;) {
    try {
      return typeof data === 'string' ? writeSync(fd, data) : writeSync(fd, data);
    } catch (error) {
      if (!isSystemError(error, 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE_MS);
    }
  }
}

function isSystemError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A numeric user without an entry in the user database, as in many containers.
    return String(process.getuid?.() ?? 'unknown');
  }
}
