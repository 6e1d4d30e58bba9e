import { isUtf8 } from 'node:buffer';

import { DecodeError, EncodeError } from '../core/errors.ts';
import { EXTRA_MARK, reviveExtras } from './json-extras.ts';
import { readExactJson } from './json-read.ts';
import { isPlain, writeJson } from './json-write.ts';
import type { Serializer } from './serializer.ts';

/**
 * JSON as kombu reads and writes it.
 *
 * Date and bytes are kombu's typed extras. An integer beyond 2^53 is a BigInt, exact both ways; a number beyond is written as
 * a float, so that it stays a number. NaN and Infinity are the bare words of Python. Undefined is null at the top and in
 * arrays, and left out of objects. A key `__proto__` is plain data.
 */
export const jsonSerializer: Serializer = {
  name: 'json',
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  encode: (value) => Buffer.from(encodeJson(value), 'utf8'),
  decode: (body) => decodeJson(textOf(body)),
  parse: (body) => parseJson(textOf(body)),
  revive: reviveJson,
};

/** The JSON text of a value. @throws {EncodeError} which names the place of what cannot be written. */
export function encodeJson(value: unknown): string {
  try {
    if (value === undefined) return 'null';
    return isPlain(value) ? JSON.stringify(value) : writeJson(value);
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    // A toJSON or getter of the user's that throws, or more text than a string holds.
    throw new EncodeError(
      `cannot encode as JSON: ${error instanceof Error ? error.message : 'unknown error'}`,
      {
        cause: error,
      },
    );
  }
}

/** The value of a JSON text, typed extras made values. @throws {DecodeError} */
export function decodeJson(text: string): unknown {
  const value = parseJson(text);
  return text.includes(EXTRA_MARK) ? reviveJson(value) : value;
}

// Digits that a number may not hold exactly, with neither fraction nor exponent. A hit inside a string only costs time.
const LONG_INTEGER = /(?:^|[[,:\s])-?[1-9]\d{15,}(?![\d.eE])/;

/** The value of a JSON text with typed extras left as they are. @throws {DecodeError} */
export function parseJson(text: string): unknown {
  if (LONG_INTEGER.test(text)) return readExactJson(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.includes('NaN') || text.includes('Infinity')) return readExactJson(text);
    throw new DecodeError(`cannot decode JSON: ${error instanceof Error ? error.message : 'unknown error'}`, {
      cause: error,
    });
  }
}

function reviveJson(value: unknown): unknown {
  try {
    return reviveExtras(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DecodeError('cannot decode JSON: it is nested too deeply', { cause: error });
  }
}

function textOf(body: Buffer): string {
  if (!isUtf8(body)) throw new DecodeError('cannot decode JSON: the bytes are not UTF-8');
  return body.toString('utf8');
}
