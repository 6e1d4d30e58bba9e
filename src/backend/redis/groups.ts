import { DecodeError } from '../../core/errors.ts';
import type { ResultTuple } from '../../message/outcome.ts';
import { decodeValue, encodeValue } from '../../message/registry.ts';

/** The document of a saved group, as Celery writes it: `{"result": [["<group>", null], [[["<task>", null], null], …]]}`. */
export function encodeGroup(groupId: string, taskIds: readonly string[], serializer: string): Buffer {
  const members: ResultTuple[] = taskIds.map((id) => [[id, null], null]);
  return encodeValue({ result: [[groupId, null], members] }, serializer).bytes;
}

/** The ids of its members. @throws {DecodeError} */
export function decodeGroup(bytes: Buffer, serializer: string): string[] {
  const document = decodeValue({ serializer, bytes }) as { result?: unknown } | null;
  const members = listOf(listOf(document?.result)[1]);
  return members.map((member) => {
    const [id] = listOf(listOf(member)[0]);
    if (typeof id !== 'string') throw notGroup();
    return id;
  });
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw notGroup();
}

function notGroup(): DecodeError {
  return new DecodeError('the document of the group is not one that Celery writes');
}
