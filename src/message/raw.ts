import { EncodeError } from '../core/errors.ts';
import type { Serializer } from './serializer.ts';

/**
 * Bytes as they are, kombu's `raw`: a text is written as UTF-8, and bytes come back. The body of a task is a structure, which
 * has no such form.
 */
export const rawSerializer: Serializer = {
  name: 'raw',
  contentType: 'application/data',
  contentEncoding: 'binary',
  encode: encodeRaw,
  decode: (body) => body,
  parse: (body) => body,
  revive: (value) => value,
};

function encodeRaw(value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new EncodeError('the serializer raw takes text and bytes only; use json, msgpack or yaml');
}
