import { EncodeError } from '../core/errors.ts';
import { readMsgpack } from './msgpack-read.ts';
import { writeMsgpack } from './msgpack-write.ts';
import { type PlainLeaf, plainTree } from './plain-tree.ts';
import type { Serializer } from './serializer.ts';

/**
 * MessagePack as kombu reads and writes it (`use_bin_type=True`, `raw=False`).
 *
 * Bytes are bytes and integers of 64 bits are exact, a BigInt beyond 2^53; a Date is msgpack's timestamp, which Python reads as
 * `msgpack.Timestamp`. What has no form fails: larger integers, lone surrogates. Undefined is as in JSON.
 */
export const msgpackSerializer: Serializer = {
  name: 'msgpack',
  contentType: 'application/x-msgpack',
  contentEncoding: 'binary',
  encode: encodeMsgpack,
  decode: readMsgpack,
  parse: readMsgpack,
  revive: (value) => value,
};

function encodeMsgpack(value: unknown): Buffer {
  try {
    return writeMsgpack(plainTree(value, 'msgpack', problemOf));
  } catch (error) {
    if (error instanceof EncodeError) throw error;
    const why = error instanceof Error ? error.message : 'unknown error';
    throw new EncodeError(`cannot encode as msgpack: ${why}`, { cause: error });
  }
}

const MIN_INT64 = -(2n ** 63n);
const MAX_UINT64 = 2n ** 64n - 1n;

function problemOf(leaf: PlainLeaf): string | undefined {
  if (typeof leaf === 'string' && /\p{Surrogate}/u.test(leaf)) return 'a text with half a surrogate pair';
  if (typeof leaf === 'bigint' && (leaf < MIN_INT64 || leaf > MAX_UINT64))
    return 'an integer of more than 64 bits';
  return undefined;
}
