import { DecodeError } from '../core/errors.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * The members of a JSON object as the bytes of their values, none of them decoded: a result can be handed on untouched.
 * Only the object's own frame is checked here; a value that is not JSON is found when it is decoded.
 * @throws {DecodeError} when the bytes are not an object
 */
export function jsonMembers(bytes: Buffer): Map<string, Buffer> {
  const members = new Map<string, Buffer>();
  let at = expect(bytes, space(bytes, 0), OPEN_BRACE);
  at = space(bytes, at);
  let more = bytes[at] !== CLOSE_BRACE;
  while (more) {
    const keyEnd = stringEnd(bytes, at);
    const key = keyOf(bytes.subarray(at, keyEnd));
    at = space(bytes, expect(bytes, space(bytes, keyEnd), COLON));
    const end = valueEnd(bytes, at);
    members.set(key, bytes.subarray(at, end));
    at = space(bytes, end);
    more = bytes[at] === COMMA;
    if (more) at = space(bytes, at + 1);
  }
  at = space(bytes, expect(bytes, at, CLOSE_BRACE));
  if (at < bytes.length) throw malformed(at);
  return members;
}

function space(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

function expect(bytes: Buffer, at: number, byte: number): number {
  if (bytes[at] !== byte) throw malformed(at);
  return at + 1;
}

function stringEnd(bytes: Buffer, start: number): number {
  if (bytes[start] !== QUOTE) throw malformed(start);
  for (let at = start + 1; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at += 1;
  }
  throw malformed(bytes.length);
}

function valueEnd(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (depth === 0) return scalarEnd(bytes, start, at);
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (byte === COMMA && depth === 0) return scalarEnd(bytes, start, at);
    at += 1;
  }
  throw malformed(at);
}

function scalarEnd(bytes: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && space(bytes, at - 1) !== at - 1) at -= 1;
  if (at === start) throw malformed(start);
  return at;
}

function keyOf(quoted: Buffer): string {
  const text = quoted.toString('utf8');
  if (!text.includes('\\')) return text.slice(1, -1);
  try {
    return String(JSON.parse(text));
  } catch (error) {
    throw new DecodeError(`cannot decode JSON: ${text.slice(0, 64)} is not a key`, { cause: error });
  }
}

function malformed(at: number): DecodeError {
  return new DecodeError(`cannot decode JSON: not an object, at byte ${at}`);
}
