import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Logger, LogLevel } from '../core/logger.ts';

/** What tasks print, on its way into the log. */
export interface Redirection {
  /** Logs what was printed without a line end so far. */
  flush(): void;
}

/** Makes `process.stdout` and `process.stderr`, and with them `console`, write to the log, each line one entry. */
export function redirectOutput(logger: Logger, level: LogLevel): Redirection {
  const streams = [new LineLog(logger, level), new LineLog(logger, level)] as const;
  Object.defineProperty(process, 'stdout', { value: streams[0], configurable: true, enumerable: true });
  Object.defineProperty(process, 'stderr', { value: streams[1], configurable: true, enumerable: true });
  return {
    flush: () => {
      for (const stream of streams) stream.flush();
    },
  };
}

const METHODS = {
  DEBUG: 'debug',
  INFO: 'info',
  WARNING: 'warning',
  ERROR: 'error',
  CRITICAL: 'critical',
} as const satisfies Record<LogLevel, keyof Logger>;

class LineLog extends Writable {
  readonly #write: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(logger: Logger, level: LogLevel) {
    super({ decodeStrings: false });
    const method = METHODS[level];
    this.#write = (line) => {
      // As in Celery, blank lines are not worth an entry.
      if (line.trim() !== '') logger[method](line);
    };
  }

  // Written before `write` returns: what a task prints is in the log when the process dies of its next statement.
  override _write(chunk: Buffer | string, encoding: BufferEncoding, callback: () => void): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#write(line.trimEnd());
    callback();
  }

  flush(): void {
    const rest = this.#rest;
    this.#rest = '';
    this.#write(rest.trimEnd());
  }
}
