import { types } from 'node:util';

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
  const shown = parts.entries.map(([key, item]) =>
    key === undefined ? fullRepr(item, inside) : `${fullRepr(key, inside)}: ${fullRepr(item, inside)}`,
  );
  return parts.open + shown.join(', ') + parts.close;
}

// Deeper than any sane value, far from the end of the stack.
const MAX_FULL_DEPTH = 200;

interface Parts {
  readonly open: string;
  readonly close: string;
  /** Key and item of a dict; the key is undefined in lists and sets. */
  readonly entries: readonly (readonly [unknown, unknown])[];
}

/** The parts of what Python shows as list, dict or set; undefined for everything else. */
function containerOf(value: unknown): Parts | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) {
    return { open: '[', close: ']', entries: value.map((item: unknown) => [undefined, item] as const) };
  }
  if (types.isMap(value)) return { open: '{', close: '}', entries: [...value] };
  if (types.isSet(value)) {
    if (value.size === 0) return undefined;
    return { open: '{', close: '}', entries: [...value].map((item) => [undefined, item] as const) };
  }
  if (isScalarObject(value)) return undefined;
  return { open: '{', close: '}', entries: ownEntries(value) };
}

function ownEntries(value: object): [string, unknown][] {
  try {
    return Object.entries(value);
  } catch {
    // A getter that throws must not break a log line.
    return Object.keys(value).map((key) => [key, undefined]);
  }
}

function isScalarObject(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isNativeError(value) ||
    value instanceof Error ||
    types.isSet(value) ||
    types.isPromise(value) ||
    types.isRegExp(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isBoxedPrimitive(value) ||
    ArrayBuffer.isView(value) ||
    value instanceof URL
  );
}

/** What is not text and not shown by its parts. */
function scalarRepr(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return numberRepr(value);
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return value.toString();
    case 'undefined':
      return 'None';
    case 'function':
      return `<function ${value.name === '' ? '<anonymous>' : value.name}>`;
    case 'symbol':
      return value.toString();
    case 'string':
      return quoted(value);
    case 'object':
      return value === null ? 'None' : objectRepr(value);
  }
}

function objectRepr(value: object): string {
  if (types.isDate(value)) return dateRepr(value);
  if (types.isUint8Array(value)) return bytesRepr(value);
  if (types.isSet(value)) return 'set()';
  if (types.isBoxedPrimitive(value)) return scalarRepr(value.valueOf());
  try {
    if (value instanceof Error) return `${value.name}(${quoted(value.message)})`;
    if (types.isRegExp(value)) return `re.compile(${quoted(value.source)})`;
    if (value instanceof URL) return quoted(value.href);
    return `<${value.constructor.name} object>`;
  } catch {
    return '<object>';
  }
}

function numberRepr(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  const magnitude = Math.abs(value);
  // Python goes to exponents below 1e-4 and writes two digits there.
  if (magnitude >= 1e-4 || value === 0) return text;
  return (text.includes('e') ? text : value.toExponential()).replace(/e-(\d)$/, 'e-0$1');
}

function dateRepr(date: Date): string {
  if (Number.isNaN(date.getTime())) return 'datetime.datetime(invalid)';
  const parts = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  parts.push(date.getUTCHours(), date.getUTCMinutes());
  const seconds = date.getUTCSeconds();
  const microseconds = date.getUTCMilliseconds() * 1000;
  if (seconds !== 0 || microseconds !== 0) parts.push(seconds);
  if (microseconds !== 0) parts.push(microseconds);
  return `datetime.datetime(${parts.join(', ')}, tzinfo=datetime.timezone.utc)`;
}

function bytesRepr(bytes: Uint8Array): string {
  let text = '';
  let hasSingle = false;
  let hasDouble = false;
  for (const byte of bytes) {
    if (byte === 0x27) hasSingle = true;
    if (byte === 0x22) hasDouble = true;
    if (byte === 0x5c) text += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += SHORT_ESCAPES[byte] ?? `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `b${inQuotes(text, hasSingle, hasDouble)}`;
}

const SHORT_ESCAPES: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r' };

// Python's idea of what a terminal cannot show; a plain space is the one separator it prints.
const UNPRINTABLE = /[\\\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

function quoted(text: string): string {
  const escaped = text.replace(UNPRINTABLE, escapeCharacter);
  return inQuotes(escaped, text.includes("'"), text.includes('"'));
}

function inQuotes(escaped: string, hasSingle: boolean, hasDouble: boolean): string {
  if (hasSingle && !hasDouble) return `"${escaped}"`;
  return `'${hasSingle ? escaped.replaceAll("'", "\\'") : escaped}'`;
}

function escapeCharacter(character: string): string {
  if (character === '\\') return '\\\\';
  const code = character.codePointAt(0) ?? 0;
  const short = SHORT_ESCAPES[code];
  if (short !== undefined) return short;
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
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
  const entries = items.map((item) => [undefined, item] as const);
  writer.container({ open: '(', close: items.length === 1 ? ',)' : ')', entries }, items, 0);
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
    if (this.#full()) return;
    this.#write(shorten(shortScalar(value), this.#left));
  }

  container(parts: Parts, source: object, level: number): void {
    if (this.#full()) return;
    this.#write(parts.open);
    this.#ancestors.push(source);
    if (level >= MAX_LEVELS && parts.entries.length > 0) this.#token('...');
    else this.#entries(parts.entries, level);
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
    this.#left -= text.length;
  }

  #full(): boolean {
    if (this.#cut) return true;
    if (this.#left > 0) return false;
    this.#cut = true;
    this.text += ', ...';
    return true;
  }
}

function shortScalar(value: unknown): string {
  if (!types.isUint8Array(value)) return scalarRepr(value);
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  // Bytes that are text are shown as text, others in hexadecimal.
  const text = bytes.toString('latin1');
  return `b'${/^[\x20-\x7e]*$/.test(text) ? text : bytes.toString('hex')}'`;
}

/** Text that does not fit ends in `...`, at a blank where there is one. */
function shorten(text: string, room: number): string {
  if (text.length < room) return text;
  const kept = text.slice(0, room);
  const blank = kept.lastIndexOf(' ');
  return `${blank === -1 ? kept : kept.slice(0, blank)}...`;
}
