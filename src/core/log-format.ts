import { ImproperlyConfigured } from './errors.ts';

/** Severity of a log line, as Celery and Python's logging name them. */
export type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

/** The levels and their rank, as in Python's logging. */
export const LOG_LEVELS: Readonly<Record<LogLevel, number>> = {
  DEBUG: 10,
  INFO: 20,
  WARNING: 30,
  ERROR: 40,
  CRITICAL: 50,
};

/** The level of that name in any case, also by its other names `WARN` and `FATAL`; undefined when there is none. */
export function parseLogLevel(name: string): LogLevel | undefined {
  const upper = name.toUpperCase();
  if (upper === 'WARN') return 'WARNING';
  if (upper === 'FATAL') return 'CRITICAL';
  return (Object.keys(LOG_LEVELS) as LogLevel[]).find((level) => level === upper);
}

/** What one log line is made from. */
export interface LogRecord {
  readonly timeMs: number;
  readonly level: LogLevel;
  /** Name of the logger, `celery` or `celery.task`. */
  readonly name: string;
  readonly processName: string;
  readonly message: string;
  readonly taskName?: string | undefined;
  readonly taskId?: string | undefined;
}

type Field = (record: LogRecord) => string | number;

const UNKNOWN_TASK = '???';

function fields(): Readonly<Record<string, Field>> {
  return {
    asctime: localTime(),
    created: (record) => record.timeMs / 1000,
    levelname: (record) => record.level,
    levelno: (record) => LOG_LEVELS[record.level],
    message: (record) => record.message,
    msecs: (record) => record.timeMs % 1000,
    name: (record) => record.name,
    process: () => process.pid,
    processName: (record) => record.processName,
    task_id: (record) => record.taskId ?? UNKNOWN_TASK,
    task_name: (record) => record.taskName ?? UNKNOWN_TASK,
    threadName: () => 'MainThread',
  };
}

const PLACEHOLDER = /%(?:%|\((\w*)\)([-0]*)(\d*)(?:\.(\d+))?([sdifr])|.?)/gs;

/**
 * Turns a format like `[%(asctime)s: %(levelname)s/%(processName)s] %(message)s` into a function.
 *
 * @throws {@link ImproperlyConfigured} for a field that does not exist or a `%` that is none.
 */
export function compileLogFormat(format: string): (record: LogRecord) => string {
  const known = fields();
  const parts: (string | Field)[] = [];
  let end = 0;
  for (const match of format.matchAll(PLACEHOLDER)) {
    parts.push(format.slice(end, match.index));
    end = match.index + match[0].length;
    parts.push(match[0] === '%%' ? '%' : compileField(match, known, format));
  }
  parts.push(format.slice(end));
  const used = parts.filter((part) => part !== '');
  return (record) => {
    let line = '';
    for (const part of used) line += typeof part === 'string' ? part : String(part(record));
    return line;
  };
}

function compileField(match: RegExpExecArray, known: Readonly<Record<string, Field>>, format: string): Field {
  const [placeholder, name = '', flags = '', width = '', precision, conversion = 's'] = match;
  const field = Object.hasOwn(known, name) ? known[name] : undefined;
  if (field === undefined) {
    throw new ImproperlyConfigured(
      `log format ${JSON.stringify(format)}: ${placeholder} is not known. It takes ` +
        Object.keys(known)
          .map((each) => `%(${each})s`)
          .join(', '),
    );
  }
  if (width === '' && precision === undefined && conversion === 's') return field;
  return (record) => {
    const text = convert(field(record), conversion, precision);
    if (flags.includes('-')) return text.padEnd(Number(width));
    return text.padStart(Number(width), flags.includes('0') && conversion !== 's' ? '0' : ' ');
  };
}

function convert(value: string | number, conversion: string, precision: string | undefined): string {
  if (typeof value === 'number' && conversion === 'f') return value.toFixed(Number(precision ?? 6));
  if (typeof value === 'number' && conversion !== 's') return String(Math.trunc(value));
  return precision === undefined ? String(value) : String(value).slice(0, Number(precision));
}

// Calendar arithmetic costs more than the rest of a line, so the part down to the second is kept while it lasts.
function localTime(): Field {
  let cachedSecond = NaN;
  let cachedText = '';
  return ({ timeMs }) => {
    const second = Math.floor(timeMs / 1000);
    if (second !== cachedSecond) {
      cachedSecond = second;
      cachedText = secondText(new Date(second * 1000));
    }
    const milliseconds = Math.floor(timeMs - second * 1000);
    return `${cachedText},${pad(milliseconds, 3)}`;
  };
}

function secondText(date: Date): string {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1, 2)}-${pad(date.getDate(), 2)}`;
  return `${day} ${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}`;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
