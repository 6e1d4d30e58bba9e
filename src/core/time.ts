import { ImproperlyConfigured, InvalidTaskError } from './errors.ts';

/** ISO-8601 text as Celery writes and reads it, and the arithmetic of eta and expires. */

const MINUTE_MS = 60_000;

/**
 * The time in UTC with six fraction digits and an offset, the one form that every Celery reads right:
 * `2026-11-22T15:15:10.417000+00:00`.
 *
 * @param time a Date or epoch milliseconds
 * @throws {InvalidTaskError} when it is not a time of the years 0001 to 9999
 */
export function isoUtc(time: Date | number): string {
  return `${localIso(typeof time === 'number' ? time : time.getTime())}+00:00`;
}

/**
 * The time in a time zone, with that zone's offset: `2026-11-22T16:15:10.417000+01:00`.
 *
 * @param timeZone an IANA name such as `Europe/Oslo`
 * @throws {ImproperlyConfigured} when there is no such time zone
 */
export function isoInZone(ms: number, timeZone: string): string {
  if (timeZone === 'UTC') return isoUtc(ms);
  const offsetMs = zoneOffsetMs(ms, timeZone);
  return localIso(ms + offsetMs) + offsetText(offsetMs);
}

/** The IANA name of the machine's own time zone, for `enable_utc = false`. */
export function localTimeZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function localIso(ms: number): string {
  const date = new Date(Math.floor(ms));
  const year = date.getUTCFullYear();
  // Also true for an invalid Date, whose year is NaN.
  if (!(year >= 1 && year <= 9999)) {
    throw new InvalidTaskError(`${ms} ms is not a time that a task message can hold (years 0001 to 9999)`);
  }
  return `${date.toISOString().slice(0, -1)}000`;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    try {
      formatter = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
    } catch (error) {
      throw new ImproperlyConfigured(
        `timezone: there is no time zone '${timeZone}'; it takes a name such as 'UTC' or 'Europe/Oslo'`,
        { cause: error },
      );
    }
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

function zoneOffsetMs(ms: number, timeZone: string): number {
  const formatter = formatterOf(timeZone);
  // Like `GMT+01:00`, `GMT-03:30`, and plain `GMT` for zero; seconds in zones of long ago.
  const name = formatter.formatToParts(ms).find((part) => part.type === 'timeZoneName')?.value ?? 'GMT';
  const match = /^GMT([+-])(\d{2}):(\d{2})(?::(\d{2}))?$/.exec(name);
  if (match === null) return 0;
  const [, sign, hours, minutes, seconds = '0'] = match;
  const offset = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS + Number(seconds) * 1000;
  return sign === '-' ? -offset : offset;
}

function offsetText(offsetMs: number): string {
  const sign = offsetMs < 0 ? '-' : '+';
  const minutes = Math.floor(Math.abs(offsetMs) / MINUTE_MS);
  return `${sign}${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

const ISO =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/**
 * Reads an ISO-8601 time: date, or date and time, with any fraction of a second and `Z`, `+hh:mm`, `+hhmm` or no offset.
 *
 * @returns epoch milliseconds, finer digits cut off; a time without an offset is UTC, as for Celery's workers
 * @throws {InvalidTaskError} when the text is no such time
 */
export function parseIso(text: string): number {
  const match = ISO.exec(text);
  if (match === null) throw unreadable(text);
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', offset] = match;
  const date = new Date(0);
  // Not Date.UTC(): it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  // A day that the month does not have has moved on into another month.
  if (date.getUTCMonth() !== Number(month) - 1) throw unreadable(text);
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) throw unreadable(text);
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.slice(0, 3).padEnd(3, '0')));
  return date.getTime() - parseOffset(offset);
}

function parseOffset(text: string | undefined): number {
  if (text === undefined || text === 'Z' || text === 'z') return 0;
  const minutes = Number(text.slice(1, 3)) * 60 + Number(text.slice(3).replace(':', ''));
  return (text.startsWith('-') ? -minutes : minutes) * MINUTE_MS;
}

function unreadable(text: string): InvalidTaskError {
  const shown = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return new InvalidTaskError(
    `cannot read the time '${shown}': expected ISO 8601, such as 2030-01-02T03:04:05+00:00`,
  );
}

/** From where times are counted and how they are written. */
export interface TimeContext {
  /** Epoch milliseconds. */
  readonly nowMs: number;
  /** The app's time zone. */
  readonly timeZone: string;
}

/** When a task may run first, as `applyAsync` takes it. */
export interface EtaOptions {
  /** Seconds from now; wins over `eta`. */
  readonly countdown?: number | null | undefined;
  /** A Date, epoch milliseconds, or ISO-8601 text. */
  readonly eta?: Date | number | string | null | undefined;
}

/**
 * Epoch milliseconds before which the task must not run, undefined when it may run at once (also for `countdown: 0`).
 * @throws {InvalidTaskError}
 */
export function etaMs(options: EtaOptions, nowMs: number): number | undefined {
  const { countdown, eta } = options;
  if (countdown !== undefined && countdown !== null) {
    if (!Number.isFinite(countdown)) {
      throw new InvalidTaskError(`countdown: expected seconds as a number, got ${String(countdown)}`);
    }
    return countdown === 0 ? undefined : nowMs + countdown * 1000;
  }
  return eta === undefined || eta === null ? undefined : momentMs('eta', eta);
}

/**
 * The `eta` header. Text is sent as it was given, after a check that workers can read it.
 * @throws {InvalidTaskError}
 */
export function etaIso(options: EtaOptions, context: TimeContext): string | null {
  const ms = etaMs(options, context.nowMs);
  if (ms === undefined) return null;
  const { countdown, eta } = options;
  if (typeof eta === 'string' && (countdown === undefined || countdown === null)) return eta;
  return isoInZone(ms, context.timeZone);
}

/** The `expires` header and the `expiration` property that goes with it. */
export interface Expiry {
  /** ISO-8601, null when the task does not expire. */
  readonly iso: string | null;
  /** Milliseconds from now, at least 0. */
  readonly expirationMs: number | undefined;
}

/**
 * When a task is too late to run.
 *
 * @param expires seconds from now, a Date, or ISO-8601 text
 * @throws {InvalidTaskError}
 */
export function expiry(expires: number | Date | string | null | undefined, context: TimeContext): Expiry {
  if (expires === undefined || expires === null) return { iso: null, expirationMs: undefined };
  if (typeof expires === 'number') {
    if (!Number.isFinite(expires)) {
      throw new InvalidTaskError(`expires: expected seconds as a number, got ${String(expires)}`);
    }
    const ms = expires * 1000;
    return {
      iso: isoInZone(context.nowMs + ms, context.timeZone),
      expirationMs: Math.max(0, Math.round(ms)),
    };
  }
  const ms = momentMs('expires', expires);
  return {
    iso: typeof expires === 'string' ? expires : isoInZone(ms, context.timeZone),
    expirationMs: Math.max(0, Math.round(ms - context.nowMs)),
  };
}

function momentMs(option: string, time: Date | number | string): number {
  if (typeof time === 'string') return parseIso(time);
  const ms = typeof time === 'number' ? time : time.getTime();
  if (!Number.isFinite(ms)) throw new InvalidTaskError(`${option}: not a valid time`);
  return ms;
}
