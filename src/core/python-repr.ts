import { types } from 'node:util';

import { isScalarObject, quoted, scalarRepr } from './python-scalars.ts';

/** Values as Python prints them: what logs, events and the `argsrepr` header show. */

/**
 * `repr(value)`: strings quoted and escaped, `None`, `True`, dicts and lists of any depth.
 *
 * Never throws; a container inside itself shows as `[...]` or `{...}`.
 */
export function pythonRepr(value: unknown): string {
  return fullRepr(value, []);
}

function fullRepr(value: unknown, ancestors: readonly object[]): string {
  if (typeof value === 'string') return quoted(value);
  const parts = containerOf(value);
  if (parts === undefined || typeof value !== 'object' || value === null) return scalarRepr(value);
  if (ancestors.includes(value) || ancestors.length >= MAX_FULL_DEPTH) {
    return `${parts.open}...${parts.close}`;
  }
  const inside = [...ancestors, value];
  const shown: string[] = [];
  for (const [key, item] of parts.entries) {
    const text = fullRepr(item, inside);
    shown.push(key === undefined ? text : `${fullRepr(key, inside)}: ${text}`);
  }
  return parts.open + shown.join(', ') + parts.close;
}

// Deeper than any sane value, far from the end of the stack.
const MAX_FULL_DEPTH = 200;

interface Parts {
  readonly open: string;
  readonly close: string;
  /** Key and item of a dict; the key is undefined in lists and sets. Lazy, since most of a long list is never shown. */
  readonly entries: Iterable<readonly [unknown, unknown]>;
}

/** The parts of what Python shows as list, dict or set; undefined for everything else. */
function containerOf(value: unknown): Parts | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return { open: '[', close: ']', entries: itemsOf(value) };
  if (types.isMap(value)) return { open: '{', close: '}', entries: value };
  if (types.isSet(value)) {
    // An empty one is `set()`.
    return value.size === 0 ? undefined : { open: '{', close: '}', entries: itemsOf(value) };
  }
  return isScalarObject(value) ? undefined : { open: '{', close: '}', entries: membersOf(value) };
}

function* itemsOf(items: Iterable<unknown>): Iterable<readonly [undefined, unknown]> {
  for (const item of items) yield [undefined, item];
}

function* membersOf(value: object): Iterable<readonly [string, unknown]> {
  for (const key of Object.keys(value)) yield [key, memberOf(value, key)];
}

function memberOf(value: object, key: string): unknown {
  try {
    return (value as Readonly<Record<string, unknown>>)[key];
  } catch {
    // A getter that throws must not break a log line.
    return undefined;
  }
}

/**
 * Short, single-line-ish form for headers, events and logs, as Celery cuts it: containers below the third level show as
 * `[...]`, text is not escaped, and what is longer than `maxLength` ends in `...`.
 */
export function saferepr(value: unknown, maxLength = 1024): string {
  const writer = new CutWriter(maxLength);
  writer.value(value, 0);
  return writer.text;
}

/** `saferepr` of positional arguments, which Python shows as a tuple: `()`, `(4,)`, `(4, 4)`. */
export function tupleRepr(items: readonly unknown[], maxLength = 1024): string {
  const writer = new CutWriter(maxLength);
  const close = items.length === 1 ? ',)' : ')';
  writer.container({ open: '(', close, entries: itemsOf(items) }, items, 0);
  return writer.text;
}

const MAX_LEVELS = 3;

/**
 * Writes tokens until the length is used up, then `, ...` and the brackets that are still open. The token that finds no room
 * is left out, even when it is itself a bracket: that is how Celery's texts come to end without one.
 */
class CutWriter {
  text = '';
  #left: number;
  #cut = false;
  readonly #ancestors: object[] = [];

  constructor(maxLength: number) {
    this.#left = maxLength;
  }

  value(value: unknown, level: number): void {
    if (typeof value === 'string') {
      this.#string(value);
      return;
    }
    const parts = containerOf(value);
    if (parts !== undefined && typeof value === 'object' && value !== null) {
      this.container(parts, value, level);
      return;
    }
    this.#shortened(shortScalar(value, this.#left));
  }

  container(parts: Parts, source: object, level: number): void {
    if (level >= MAX_LEVELS) {
      this.#shortened(`${parts.open}...${parts.close}`);
      return;
    }
    const wasCut = this.#cut;
    this.#token(parts.open);
    // A container that comes after the cut leaves no trace; one whose own bracket fell to it is still closed.
    if (wasCut) return;
    this.#ancestors.push(source);
    this.#entries(parts.entries, level);
    this.#ancestors.pop();
    this.#close(parts.close);
  }

  #entries(entries: Parts['entries'], level: number): void {
    let first = true;
    for (const [key, item] of entries) {
      if (this.#cut) return;
      if (!first) this.#token(', ');
      first = false;
      if (key !== undefined) {
        this.value(key, level + 1);
        this.#token(': ');
      }
      if (typeof item === 'object' && item !== null && this.#ancestors.includes(item)) this.#token('...');
      else this.value(item, level + 1);
    }
  }

  #string(text: string): void {
    if (this.#full()) return;
    this.#write(`'${shorten(text, this.#left).replaceAll("'", "\\'")}'`);
  }

  #shortened(text: string): void {
    if (!this.#full()) this.#write(shorten(text, this.#left));
  }

  #token(text: string): void {
    if (!this.#full()) this.#write(text);
  }

  /** A closing bracket is written also after the cut, unless the cut fell on it. */
  #close(text: string): void {
    if (this.#cut) this.text += text;
    else this.#token(text);
  }

  #write(text: string): void {
    this.text += text;
    this.#left -= lengthOf(text);
  }

  #full(): boolean {
    if (this.#cut) return true;
    if (this.#left > 0) return false;
    this.#cut = true;
    this.text += ', ...';
    return true;
  }
}

function shortScalar(value: unknown, room: number): string {
  if (!types.isUint8Array(value)) return scalarRepr(value);
  const bytes = Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, Math.max(room, 0)));
  // Bytes that are text are shown as text, others in hexadecimal.
  const text = bytes.toString('latin1');
  return `b'${/^[\x20-\x7e]*$/.test(text) ? text : bytes.toString('hex')}'`;
}

/** Text that does not fit ends in `...`, at a blank where there is one. */
function shorten(text: string, room: number): string {
  if (text.length < room) return text;
  // A character is at most two units, so that no more of a long text need be looked at.
  const head = text.slice(0, room * 2);
  if (lengthOf(head) < room) return text;
  const kept = ASTRAL.test(head) ? Array.from(head).slice(0, room).join('') : head.slice(0, room);
  const blank = kept.lastIndexOf(' ');
  return `${blank === -1 ? kept : kept.slice(0, blank)}...`;
}

const ASTRAL = /[\ud800-\udbff]/;

/** Python counts characters where JavaScript counts UTF-16 units. */
function lengthOf(text: string): number {
  return ASTRAL.test(text) ? Array.from(text).length : text.length;
}
