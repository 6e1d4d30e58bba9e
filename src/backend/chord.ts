import { DecodeError, ImproperlyConfigured } from '../core/errors.ts';
import { EXCEPTION_STATES } from '../core/states.ts';
import type { EncodedValue, RemoteError } from '../message/outcome.ts';
import { decodeValue, encodeValue } from '../message/registry.ts';
import { errorFromJson, errorToJson } from '../message/remote-error.ts';

/** How one member of a chord's header ended: with a value, or with an error. */
export interface ChordMember {
  readonly taskId: string;
  readonly status: string;
  /** The value of a SUCCESS. */
  readonly result: EncodedValue | null;
  /** The error of a FAILURE, or of REVOKED. */
  readonly error: RemoteError | null;
}

/** A member that has ended, to be counted. */
export interface ChordPart extends ChordMember {
  /** Id of the header's group; header `group` of the member. */
  readonly groupId: string;
  /** Place in the header; those without one come last, in the order in which they ended. */
  readonly groupIndex: number | null;
}

/** A member as Celery's Redis backend keeps it: `[1, "<task id>", "SUCCESS", 2]`. @throws {EncodeError} */
export function encodeMember({ taskId, status, result, error }: ChordMember, serializer: string): Buffer {
  if (error === null && serializer === 'json' && result?.serializer === 'json') {
    const head = Buffer.from(`[1, ${JSON.stringify(taskId)}, ${JSON.stringify(status)}, `);
    return Buffer.concat([head, result.bytes, Buffer.from(']')]);
  }
  const value = error === null ? (result === null ? null : decodeValue(result)) : errorToJson(error);
  return encodeValue([1, taskId, status, value], serializer).bytes;
}

/** @throws {DecodeError} it is none */
export function decodeMember(bytes: Buffer, serializer: string): ChordMember {
  const member = decodeValue({ serializer, bytes });
  const [, taskId, status, value] = Array.isArray(member) ? (member as readonly unknown[]) : [];
  if (typeof taskId !== 'string' || typeof status !== 'string') {
    throw new DecodeError('a member of a chord that is not one Celery writes');
  }
  if (!EXCEPTION_STATES.has(status)) {
    return { taskId, status, result: encodeValue(value, serializer), error: null };
  }
  const unknown: RemoteError = { type: 'Exception', module: 'builtins', args: [value], traceback: null };
  return { taskId, status, result: null, error: errorFromJson(value, null) ?? unknown };
}

/** Of a backend that nobody but the caller can read. @param url as printed */
export function noChords(url: string): ImproperlyConfigured {
  return new ImproperlyConfigured(
    `The result backend ${url} does not support chords: the members of a chord count themselves there, so that all workers must ` +
      'be able to read it. A group followed by a task is a chord too. Set result_backend to redis://… or sqlite:///….',
  );
}
