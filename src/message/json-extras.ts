import { isUtf8 } from 'node:buffer';

import { DecodeError } from '../core/errors.ts';
import { isoUtc, parseIso } from '../core/time.ts';

/**
 * The typed values that kombu (5.3 and later) adds to JSON: `{"__type__": "datetime", "__value__": "2030-01-02T03:04:05"}`.
 *
 * What they become here: datetime a Date (a time without offset is UTC), bytes a Buffer; date, time, decimal and uuid text.
 */
interface Extra {
  readonly __type__: string;
  readonly __value__: string;
}

/** What a text of JSON holds when there may be an extra in it. */
export const EXTRA_MARK = '"__type__"';

/** The extra of a Date. @throws {InvalidTaskError} when the Date is not valid. */
export function dateExtra(date: Date): Extra {
  return { __type__: 'datetime', __value__: isoUtc(date) };
}

/** A Date as kombu before 5.3 writes a datetime in UTC: `2030-01-02T03:04:05Z`. @throws {InvalidTaskError} as above */
export function dateText(date: Date): string {
  return isoUtc(date).replace(/(\.0+)?\+00:00$/, 'Z');
}

/** The extra of bytes: as text where they are UTF-8, as kombu does. */
export function bytesExtra(bytes: Uint8Array): Extra {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer)
    ? { __type__: 'bytes', __value__: buffer.toString('utf8') }
    : { __type__: 'base64', __value__: buffer.toString('base64') };
}

/**
 * Replaces the extras in decoded JSON by values, in place.
 * @throws {DecodeError} for an extra of a type that kombu does not have, or whose value is not of its type
 */
export function reviveExtras(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    value.forEach((item: unknown, index) => {
      if (typeof item === 'object' && item !== null) value[index] = reviveExtras(item);
    });
    return value;
  }
  const keys = Object.keys(value);
  if (keys.length === 2 && Object.hasOwn(value, '__type__') && Object.hasOwn(value, '__value__')) {
    return reviveExtra(value as { __type__: unknown; __value__: unknown });
  }
  const record = value as Record<string, unknown>;
  for (const key of keys) {
    const item = record[key];
    // An own `__proto__` is assigned to as what it is: plain data.
    if (typeof item === 'object' && item !== null) record[key] = reviveExtras(item);
  }
  return value;
}

function reviveExtra(extra: { __type__: unknown; __value__: unknown }): unknown {
  const { __type__: type, __value__: value } = extra;
  if (type === 'uuid') return uuidText(value);
  if (typeof value !== 'string') throw malformed(type);
  switch (type) {
    case 'datetime':
      return dateOf(value);
    case 'bytes':
      return Buffer.from(value, 'utf8');
    case 'base64':
      return Buffer.from(value, 'base64');
    case 'date':
    case 'time':
    case 'decimal':
      return value;
    default:
      throw new DecodeError(`cannot decode JSON: a value of the unknown type ${JSON.stringify(type)}`);
  }
}

function dateOf(text: string): Date {
  try {
    return new Date(parseIso(text));
  } catch (error) {
    throw new DecodeError(`cannot decode JSON: ${text.slice(0, 64)} is not a datetime`, { cause: error });
  }
}

function uuidText(value: unknown): string {
  const hex = typeof value === 'object' && value !== null ? (value as { hex?: unknown }).hex : value;
  const match =
    typeof hex === 'string'
      ? /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i.exec(hex)
      : null;
  if (match === null) throw malformed('uuid');
  return match.slice(1).join('-').toLowerCase();
}

function malformed(type: unknown): DecodeError {
  return new DecodeError(`cannot decode JSON: a value of the type ${JSON.stringify(type)} is malformed`);
}
