import { DecodeError } from '../../core/errors.ts';
import type { ResultTuple } from '../../message/outcome.ts';
import { decodeValue, encodeValue } from '../../message/registry.ts';
import { isResultTuple } from '../../message/result-tuple.ts';

/** The document of a saved group, as Celery writes it: `{"result": [["<group>", null], [[["<task>", null], null], …]]}`. */
export function encodeGroup(group: ResultTuple, serializer: string): Buffer {
  return encodeValue({ result: group }, serializer).bytes;
}

/** @throws {DecodeError} */
export function decodeGroup(bytes: Buffer, serializer: string): ResultTuple {
  const document = decodeValue({ serializer, bytes }) as { result?: unknown } | null;
  const group = document?.result;
  if (isResultTuple(group) && group[1] !== null) return group;
  throw new DecodeError('the document of the group is not one that Celery writes');
}
