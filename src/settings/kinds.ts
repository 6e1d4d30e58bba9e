import type { LogLevel } from '../core/log-format.ts';
import { compileLogFormat, LOG_LEVELS, parseLogLevel } from '../core/log-format.ts';
import { parseUrl, splitUrls } from '../core/url.ts';

/** Why a value is refused. */
export interface Problem {
  /** Where inside the value, such as `['tasks.add'].queue`; `''` for the value itself. */
  readonly path: string;
  /** What belongs there, to be read after "takes"; `null`: nothing of that name belongs there. */
  readonly takes: string | null;
  readonly got: unknown;
  /** Said after it. */
  readonly hint?: string;
}

export type Reading<Value> =
  { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly problem: Problem };

/** What values a setting takes. */
export interface Kind<out Value> {
  /** To be read after "takes": `an integer`. */
  readonly takes: string;
  /** Checks a value and gives it the form that the code uses. */
  read(value: unknown): Reading<Value>;
  /** The value that a text from the environment or the command line stands for; the text itself when it is none. */
  cast(text: string): unknown;
}

export function accept<Value>(value: Value): Reading<Value> {
  return { ok: true, value };
}

export function refuse<Value>(takes: string | null, got: unknown, path = '', hint?: string): Reading<Value> {
  return { ok: false, problem: { path, takes, got, ...(hint === undefined ? {} : { hint }) } };
}

/** The same problem one level further out. */
export function within<Value>(path: string, reading: Reading<unknown> & { ok: false }): Reading<Value> {
  return { ok: false, problem: { ...reading.problem, path: path + reading.problem.path } };
}

export function kind<Value>(
  takes: string,
  test: (value: unknown) => value is Value,
  cast: (text: string) => unknown = (text) => text,
): Kind<Value> {
  return { takes, read: (value) => (test(value) ? accept(value) : refuse(takes, value)), cast };
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'y', 'on', 't'].map((word): [string, boolean] => [word, true]),
  ...['false', '0', 'no', 'n', 'off', 'f'].map((word): [string, boolean] => [word, false]),
]);

export const boolean: Kind<boolean> = kind(
  'true or false',
  (value) => typeof value === 'boolean',
  (text) => BOOLEANS.get(text.trim().toLowerCase()) ?? text,
);

export const text: Kind<string> = kind('a string', (value) => typeof value === 'string');

export const anything: Kind<unknown> = kind('any value', (value): value is unknown => value !== undefined);

export function integer(minimum: number, maximum = Number.MAX_SAFE_INTEGER): Kind<number> {
  return numeric('an integer', Number.isInteger, minimum, maximum);
}

export function number(minimum: number, maximum = Infinity): Kind<number> {
  return numeric('a number', isNumber, minimum, maximum);
}

export const seconds: Kind<number> = numeric('a number of seconds', isNumber, 0, Infinity);

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && !Number.isNaN(value);
}

function numeric(
  takes: string,
  test: (value: unknown) => boolean,
  minimum: number,
  maximum: number,
): Kind<number> {
  const isBounded = maximum !== Number.MAX_SAFE_INTEGER && maximum !== Infinity;
  const range = isBounded ? `from ${minimum} to ${maximum}` : `of at least ${minimum}`;
  return {
    takes,
    read(value) {
      if (typeof value !== 'number' || !test(value)) return refuse(takes, value);
      return value >= minimum && value <= maximum ? accept(value) : refuse(`${takes} ${range}`, value);
    },
    cast: castNumber,
  };
}

function castNumber(source: string): unknown {
  const value = source.trim() === '' ? NaN : Number(source);
  return Number.isNaN(value) ? source : value;
}

export function choice<const Values extends readonly (string | number)[]>(
  ...values: Values
): Kind<Values[number]> {
  return kind(
    alternatives(values.map((value) => JSON.stringify(value))),
    (value): value is Values[number] => values.some((each) => each === value),
    (source) => values.find((each) => String(each).toLowerCase() === source.trim().toLowerCase()) ?? source,
  );
}

export const object: Kind<Readonly<Record<string, unknown>>> = kind('an object', isObject, castJson);

/** True for plain objects and those of a class, not for lists, maps and functions. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function castJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    // The text goes on as it is and is refused with the name of the setting and what it takes.
    return source;
  }
}

export const texts: Kind<readonly string[]> = kind(
  'a list of strings',
  (value): value is readonly string[] =>
    Array.isArray(value) && value.every((each) => typeof each === 'string'),
  castList,
);

/** One string stands for a list of one, as in Celery. */
export const textOrTexts: Kind<readonly string[]> = {
  takes: texts.takes,
  read: (value) =>
    texts.read(typeof value === 'string' ? [value] : value instanceof Set ? [...value] : value),
  cast: castList,
};

function castList(source: string): unknown {
  return source
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

const URL_FORM = 'a URL such as "amqp://user:password@host:5672/vhost"';

/** One URL, several with `;` between, or a list of them. */
export const urls: Kind<string | readonly string[]> = {
  takes: `${URL_FORM}, or a list of them`,
  read(value) {
    const reading = typeof value === 'string' ? accept([value]) : texts.read(value);
    if (!reading.ok || reading.value.length === 0) return refuse(this.takes, value);
    try {
      splitUrls(reading.value).forEach(parseUrl);
    } catch (error) {
      return refuse(this.takes, value, '', error instanceof Error ? error.message : undefined);
    }
    return accept(value as string | readonly string[]);
  },
  cast: (source) => source,
};

export const timeZone: Kind<string> = kind(
  'the name of a time zone such as "Europe/Oslo"',
  (value): value is string => {
    try {
      return typeof value === 'string' && new Intl.DateTimeFormat('en', { timeZone: value }).format() !== '';
    } catch {
      return false;
    }
  },
);

/** Log format with the fields that exist. */
export const logFormat: Kind<string> = {
  takes: 'a log format such as "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"',
  read(value) {
    if (typeof value !== 'string') return refuse(this.takes, value);
    try {
      compileLogFormat(value);
    } catch (error) {
      return refuse(this.takes, value, '', error instanceof Error ? error.message : undefined);
    }
    return accept(value);
  },
  cast: (source) => source,
};

/** A level in any case, `WARN` and `FATAL` included. */
export const logLevel: Kind<LogLevel> = {
  takes: Object.keys(LOG_LEVELS).join(', '),
  read(value) {
    const level = typeof value === 'string' ? parseLogLevel(value) : undefined;
    return level === undefined ? refuse(this.takes, value) : accept(level);
  },
  cast: (source) => source,
};

/** `null` stands for Celery's None: unset. */
export function nullable<Value>(inner: Kind<Value>): Kind<Value | null> {
  return {
    takes: `${inner.takes}, or null`,
    read: (value) => (value === null ? accept(null) : inner.read(value)),
    cast: (source) => (/^(null|none|)$/i.test(source.trim()) ? null : inner.cast(source)),
  };
}

/** The first kind that the value is of. */
export function oneOf<Values extends readonly unknown[]>(
  ...kinds: { [Index in keyof Values]: Kind<Values[Index]> }
): Kind<Values[number]> {
  const takes = alternatives(kinds.map((each) => each.takes));
  return {
    takes,
    read(value) {
      const readings = kinds.map((each) => each.read(value));
      const fitting = readings.find((reading) => reading.ok);
      if (fitting !== undefined) return fitting;
      // One that got further inside the value says more than "none of these".
      const deep = readings.find((reading) => !reading.ok && reading.problem.path !== '');
      return deep ?? refuse(takes, value);
    },
    cast(source) {
      for (const each of kinds) {
        const value = each.cast(source);
        if (each.read(value).ok) return value;
      }
      return source;
    },
  };
}

function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}
