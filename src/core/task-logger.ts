import { createRequire } from 'node:module';

import type { DestinationStream, Logger as PinoLogger } from 'pino';
import type * as Pino from 'pino';

import type { LogLevel } from './log-format.ts';

/**
 * What a task logs with: a pino logger that also knows Celery's `warning` and `critical`. Fields follow the message as JSON,
 * an error as its stack.
 */
export type TaskLogger = PinoLogger<'warning' | 'critical'>;

/** Which task logs. */
export interface TaskIdentity {
  readonly taskName: string;
  readonly taskId: string;
}

/** What a task's pino line becomes: the message with its fields, then the stack of its error. */
export interface TaskEntry {
  readonly message: string;
  readonly details: string;
}

export type TaskWrite = (level: LogLevel, entry: TaskEntry, task: TaskIdentity | undefined) => void;

// A property under a symbol is inherited by the children that a task makes of its logger, and never printed as a field.
const TASK = Symbol('task');

type BoundLogger = TaskLogger & { [TASK]?: TaskIdentity };

/** A logger of its own for one run of a task. */
export function bindTask(root: TaskLogger, task: TaskIdentity): TaskLogger {
  const logger: BoundLogger = root.child({});
  logger[TASK] = task;
  return logger;
}

const PINO_LEVELS: Readonly<Record<LogLevel, string>> = {
  DEBUG: 'trace',
  INFO: 'info',
  WARNING: 'warn',
  ERROR: 'error',
  CRITICAL: 'fatal',
};

/** The logger that those of the tasks are made from; `write` gets what passes `level`. */
export function createTaskRoot(level: LogLevel | 'silent', write: TaskWrite): TaskLogger {
  // Loaded when the first task logs: the supervisor and most short programs never need it.
  const { pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  const stream: DestinationStream & { lastLevel: number; lastLogger: BoundLogger | undefined } = {
    lastLevel: 0,
    lastLogger: undefined,
    write(line: string): void {
      write(levelOfPino(stream.lastLevel), readEntry(line), stream.lastLogger?.[TASK]);
    },
  };
  // Has pino set lastLevel and lastLogger before each write.
  Object.defineProperty(stream, Symbol.for('pino.metadata'), { value: true });
  return pino(
    {
      level: level === 'silent' ? level : PINO_LEVELS[level],
      base: null,
      timestamp: false,
      customLevels: { warning: 41, critical: 61 },
    },
    stream,
  );
}

function levelOfPino(level: number): LogLevel {
  if (level < 30) return 'DEBUG';
  if (level < 40) return 'INFO';
  if (level < 50) return 'WARNING';
  return level < 60 ? 'ERROR' : 'CRITICAL';
}

function readEntry(line: string): TaskEntry {
  const fields = JSON.parse(line) as Record<string, unknown>;
  const { msg, err } = fields;
  delete fields['level'];
  delete fields['msg'];
  const stack = typeof err === 'object' && err !== null && 'stack' in err ? err.stack : undefined;
  if (typeof stack === 'string') delete fields['err'];
  const json = Object.keys(fields).length === 0 ? '' : JSON.stringify(fields);
  const message = typeof msg === 'string' ? msg : msg === undefined ? '' : JSON.stringify(msg);
  return {
    message: message !== '' && json !== '' ? `${message} ${json}` : message + json,
    details: typeof stack === 'string' ? `\n${stack}` : '',
  };
}
