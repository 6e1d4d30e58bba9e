import type { LogLevel, LogRecord } from './log-format.ts';
import { compileLogFormat, LOG_LEVELS } from './log-format.ts';
import type { LogSink } from './log-sink.ts';
import { openLogSink } from './log-sink.ts';
import type { TaskIdentity, TaskLogger } from './task-logger.ts';
import { bindTask, createTaskRoot } from './task-logger.ts';

export type { LogLevel } from './log-format.ts';
export { LOG_LEVELS, parseLogLevel } from './log-format.ts';
export type { TaskLogger } from './task-logger.ts';

/** Writes lines in Celery's format. An error given along follows as its stack, a string (a traceback) as it is. */
export interface Logger {
  readonly level: LogLevel;
  isEnabled(level: LogLevel): boolean;
  debug(message: string, error?: unknown): void;
  info(message: string, error?: unknown): void;
  warning(message: string, error?: unknown): void;
  error(message: string, error?: unknown): void;
  critical(message: string, error?: unknown): void;
  /** The same under another process name, such as `ForkPoolWorker-1`; it shares this one's file. */
  withProcess(name: string): Logger;
  /** A logger for the code of one task. */
  forTask(name: string, id: string): TaskLogger;
  /** Closes the file, if this logger opened one. Safe twice. */
  close(): void;
}

export interface LoggerOptions {
  /** Lines below this level are dropped. */
  readonly level: LogLevel;
  /** `worker_log_format`. */
  readonly format: string;
  /** `worker_task_log_format`. */
  readonly taskFormat: string;
  /** A file descriptor, or the path of a file to append to; a file may be rotated by another program at any time. */
  readonly destination: number | string;
  readonly processName: string;
  /** Colours lines by level with terminal escapes. */
  readonly color: boolean;
}

/**
 * Opens a logger. Lines are written synchronously: none is lost when the process ends.
 *
 * @throws ImproperlyConfigured when the file cannot be written or a format has unknown fields.
 */
export function createLogger(options: LoggerOptions): Logger {
  const format = compileLogFormat(options.format);
  const taskFormat = compileLogFormat(options.taskFormat);
  const sink = openLogSink(options.destination);
  const paint = options.color ? colored : (_level: LogLevel, text: string): string => text;
  return new FormatLogger(options.level, options.processName, sink, {
    line: (record, details) => `${paint(record.level, format(record) + details)}\n`,
    taskLine: (record, details) => `${paint(record.level, taskFormat(record) + details)}\n`,
  });
}

const COLORS: Readonly<Record<LogLevel, string | undefined>> = {
  DEBUG: '34',
  INFO: undefined,
  WARNING: '33',
  ERROR: '31',
  CRITICAL: '35',
};

function colored(level: LogLevel, text: string): string {
  const color = COLORS[level];
  return color === undefined ? text : `\u001b[1;${color}m${text}\u001b[0m`;
}

interface Lines {
  line(record: LogRecord, details: string): string;
  taskLine(record: LogRecord, details: string): string;
}

class FormatLogger implements Logger {
  readonly level: LogLevel;
  readonly #rank: number;
  readonly #processName: string;
  readonly #sink: LogSink;
  readonly #lines: Lines;
  #taskRoot: TaskLogger | undefined;

  constructor(level: LogLevel, processName: string, sink: LogSink, lines: Lines) {
    this.level = level;
    this.#rank = LOG_LEVELS[level];
    this.#processName = processName;
    this.#sink = sink;
    this.#lines = lines;
  }

  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS[level] >= this.#rank;
  }

  debug(message: string, error?: unknown): void {
    this.#log('DEBUG', message, error);
  }

  info(message: string, error?: unknown): void {
    this.#log('INFO', message, error);
  }

  warning(message: string, error?: unknown): void {
    this.#log('WARNING', message, error);
  }

  error(message: string, error?: unknown): void {
    this.#log('ERROR', message, error);
  }

  critical(message: string, error?: unknown): void {
    this.#log('CRITICAL', message, error);
  }

  withProcess(name: string): Logger {
    const borrowed: LogSink = {
      write: (text) => {
        this.#sink.write(text);
      },
      close: () => undefined,
    };
    return new FormatLogger(this.level, name, borrowed, this.#lines);
  }

  forTask(name: string, id: string): TaskLogger {
    this.#taskRoot ??= createTaskRoot(this.level, (level, entry, task) => {
      const record = this.#record(level, 'celery.task', entry.message, task);
      this.#sink.write(this.#lines.taskLine(record, entry.details));
    });
    return bindTask(this.#taskRoot, { taskName: name, taskId: id });
  }

  close(): void {
    this.#sink.close();
  }

  #log(level: LogLevel, message: string, error: unknown): void {
    if (LOG_LEVELS[level] < this.#rank) return;
    this.#sink.write(this.#lines.line(this.#record(level, 'celery', message), stackLines(error)));
  }

  #record(level: LogLevel, name: string, message: string, task?: TaskIdentity): LogRecord {
    return { timeMs: Date.now(), level, name, processName: this.#processName, message, ...task };
  }
}

/** Drops everything. */
export const nullLogger: Logger = {
  level: 'CRITICAL',
  isEnabled: () => false,
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
  critical: () => undefined,
  withProcess: () => nullLogger,
  forTask: () => createTaskRoot('silent', () => undefined),
  close: () => undefined,
};

const MOST_CAUSES = 10;

function stackLines(error: unknown): string {
  if (error === undefined || error === null) return '';
  if (!(error instanceof Error))
    return `\n${typeof error === 'string' ? error.trimEnd() : JSON.stringify(error)}`;
  let lines = `\n${stackOf(error)}`;
  let { cause } = error;
  for (let depth = 0; cause instanceof Error && depth < MOST_CAUSES; depth += 1) {
    lines += `\nCaused by: ${stackOf(cause)}`;
    cause = cause.cause;
  }
  return lines;
}

function stackOf(error: Error): string {
  return error.stack ?? `${error.name}: ${error.message}`;
}
