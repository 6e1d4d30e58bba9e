import { types } from 'node:util';

import { kindRefused, type Place, placeIn, refused } from './place.ts';

// Deeper values take the road that looks for cycles.
const PLAIN_DEPTH = 100;

/** Whether JSON.stringify alone writes the value as Python reads it: plain data, finite numbers, no extras. */
export function isPlain(value: unknown, depth = 0): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true;
    case 'number':
      // False for NaN and both infinities as well.
      return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER;
    case 'object':
      return value === null || (depth < PLAIN_DEPTH && isPlainContainer(value, depth + 1));
    default:
      return false;
  }
}

function isPlainContainer(value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    for (const item of value) if (!isPlain(item, depth)) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const record = value as Record<string, unknown>;
  for (const key in record) if (!isPlain(record[key], depth)) return false;
  return true;
}

/** How what JSON has no form for is written. */
export interface JsonForms {
  /** The JSON text of a valid Date. */
  date(date: Date): string;
  /** The JSON text of bytes, or undefined when they are refused. */
  bytes(bytes: Uint8Array): string | undefined;
}

/**
 * JSON of any value that has such a form: BigInt as digits, NaN and Infinity as the bare words that Python writes.
 * @throws {EncodeError} which names the place of what cannot be written
 */
export function writeJson(value: unknown, forms: JsonForms): string {
  return new Writer(forms).written(value, undefined, '') ?? 'null';
}

class Writer {
  readonly #forms: JsonForms;

  constructor(forms: JsonForms) {
    this.#forms = forms;
  }

  /** Undefined for undefined, which objects leave out and arrays show as null. */
  written(value: unknown, parent: Place | undefined, key: string | number): string | undefined {
    switch (typeof value) {
      case 'undefined':
        return undefined;
      case 'string':
        return JSON.stringify(value);
      case 'number':
        return writtenNumber(value);
      case 'boolean':
      case 'bigint':
        return String(value);
      case 'object':
        return value === null ? 'null' : this.#object(value, parent, key);
      default:
        throw refused(`a ${typeof value}`, parent, key, 'JSON');
    }
  }

  #object(value: object, parent: Place | undefined, key: string | number): string | undefined {
    if (types.isDate(value)) {
      if (Number.isNaN(value.getTime())) throw refused('an invalid Date', parent, key, 'JSON');
      return this.#forms.date(value);
    }
    if (types.isUint8Array(value)) return this.#bytes(value, parent, key);
    if (types.isArrayBuffer(value)) return this.#bytes(new Uint8Array(value), parent, key);
    if (types.isBoxedPrimitive(value)) return this.written(value.valueOf(), parent, key);
    const place = placeIn(value, parent, key, 'JSON');
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === 'function') {
      const replacement: unknown = Reflect.apply(toJSON, value, [String(key)]);
      // What returns itself has said all it can: its properties are written.
      if (replacement !== value) return this.written(replacement, place, key);
    }
    const kind = kindRefused(value);
    if (kind !== undefined) throw refused(kind, parent, key, 'JSON');
    return Array.isArray(value) ? this.#array(value, place) : this.#record(value, place);
  }

  #bytes(bytes: Uint8Array, parent: Place | undefined, key: string | number): string {
    const text = this.#forms.bytes(bytes);
    if (text !== undefined) return text;
    throw refused('bytes (use msgpack, or json for kombu 5.3 and later)', parent, key, 'plain JSON');
  }

  #array(array: readonly unknown[], place: Place): string {
    const items = array.map((item, index) => this.written(item, place, index) ?? 'null');
    return `[${items.join(',')}]`;
  }

  #record(record: object, place: Place): string {
    const members: string[] = [];
    for (const [key, item] of Object.entries(record)) {
      const text = this.written(item, place, key);
      if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
    }
    return `{${members.join(',')}}`;
  }
}

/** A number too large to be exact is written as a float, so that it comes back as the number it is, not as a BigInt. */
function writtenNumber(value: number): string {
  const text = Object.is(value, -0) ? '0' : String(value);
  return Math.abs(value) > Number.MAX_SAFE_INTEGER && /^-?\d+$/.test(text) ? value.toExponential() : text;
}
