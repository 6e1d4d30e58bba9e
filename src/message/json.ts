import { isUtf8 } from 'node:buffer';

import { DecodeError, EncodeError } from '../core/errors.ts';
import { bytesExtra, dateExtra, dateText, EXTRA_MARK, reviveExtras } from './json-extras.ts';
import { readExactJson } from './json-read.ts';
import { isPlain, type JsonForms, writeJson } from './json-write.ts';
import type { Serializer } from './serializer.ts';

/** kombu's typed extras. */
const TYPED: JsonForms = {
  date: (date) => JSON.stringify(dateExtra(date)),
  bytes: (bytes) => JSON.stringify(bytesExtra(bytes)),
};

const PLAIN: JsonForms = {
  date: (date) => JSON.stringify(dateText(date)),
  bytes: () => undefined,
};

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

/**
 * JSON as kombu before 5.3 writes it, for clusters that have such a Python: a Date is text, bytes are refused. It is read as
 * all JSON is.
 */
export const plainJsonSerializer: Serializer = {
  ...jsonSerializer,
  name: 'json-plain',
  encode: (value) => Buffer.from(encodeJson(value, PLAIN), 'utf8'),
};

/** The JSON text of a value. @throws {EncodeError} which names the place of what cannot be written. */
export function encodeJson(value: unknown, forms = TYPED): string {
  try {
    if (value === undefined) return 'null';
    return isPlain(value) ? JSON.stringify(value) : writeJson(value, forms);
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
