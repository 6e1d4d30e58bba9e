import { types } from 'node:util';

/** Values that Python prints as one thing, not by their parts. */

/** Whether an object prints as one thing: a date, bytes, an error, …. */
export function isScalarObject(value: object): boolean {
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
export function scalarRepr(value: unknown): string {
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
  // Not exact any more, so a float in Python, which goes to exponents from 1e16.
  if (magnitude >= 1e16) return text.includes('e') ? text : value.toExponential();
  if (magnitude > Number.MAX_SAFE_INTEGER) return `${text}.0`;
  // Below 1e-4 Python goes to exponents as well, and writes two digits there.
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

/** Text in quotes, with Python's escapes. */
export function quoted(text: string): string {
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
