/** The life of a chord in the result backend: its size told, its members counted, and what becomes of it in the end. */
import type { ResultBackend } from '../backend/backend.ts';
import type { ChordMember, ChordPart } from '../backend/chord.ts';
import { BackendError, ChordError, OperationalError } from '../core/errors.ts';
import type { RemoteError, ResultTuple } from '../message/outcome.ts';
import { decodeValue } from '../message/registry.ts';
import { errorRepr, fromRemoteError, toRemoteError } from '../message/remote-error.ts';
import type { CanvasNode } from './signature.ts';
import type { ChordStart } from './start.ts';

/** What becomes of a chord whose members have all ended: its body is called with their values, or fails with a `ChordError`. */
export type ChordVerdict =
  | { readonly kind: 'values'; readonly values: readonly unknown[] }
  | { readonly kind: 'error'; readonly error: RemoteError };

/**
 * Makes a chord known to the backend, before any of its members is sent.
 * @throws {ImproperlyConfigured} the backend has no chords
 */
export async function registerChord(
  backend: ResultBackend,
  { groupId, size, header }: Pick<ChordStart, 'groupId' | 'size' | 'header'>,
): Promise<void> {
  await backend.startChord(groupId, size);
  // Celery's workers, too, look for the groups in it only where something is saved.
  if (header.some(([, members]) => members !== null)) await backend.saveGroup([[groupId, null], header]);
}

/**
 * Counts a member that has ended. Whoever gets a verdict sends the body, or fails it, and then calls `endChord` of the backend.
 * @throws {BackendError} it could not be counted now
 */
export async function endMember(backend: ResultBackend, part: ChordPart): Promise<ChordVerdict | undefined> {
  try {
    const members = await backend.endPart(part);
    return members && (await verdict(backend, part.groupId, members));
  } catch (error) {
    if (error instanceof BackendError || error instanceof OperationalError) throw error;
    if (error instanceof ChordError) return failedWith(error);
    return failedWith(new ChordError(`Join error: ${errorRepr(error)}`, { cause: error }));
  }
}

async function verdict(
  backend: ResultBackend,
  groupId: string,
  members: readonly ChordMember[],
): Promise<ChordVerdict> {
  const failed = members.find(({ error }) => error !== null);
  if (failed !== undefined) return failedWith(dependencyError(failed));
  const group = await backend.loadGroup(groupId);
  if (group === undefined) return { kind: 'values', values: members.map(valueOf) };
  const byId = new Map(members.map((member) => [member.taskId, member]));
  const values = await nested(backend, group, byId);
  // Those that were added while it ran.
  return { kind: 'values', values: [...values, ...[...byId.values()].map(valueOf)] };
}

/** The values in the form of the header; those that were found are taken out. */
async function nested(
  backend: ResultBackend,
  [, results]: ResultTuple,
  members: Map<string, ChordMember>,
): Promise<readonly unknown[]> {
  const values: unknown[] = [];
  for (const result of results ?? []) {
    const [[id], inner] = result;
    if (inner !== null) {
      values.push(await nested(backend, result, members));
      continue;
    }
    const member = members.get(id) ?? (await backend.fetch(id));
    members.delete(id);
    if (member === undefined) throw new ChordError(`Dependency ${id} has no result`);
    if (member.error !== null) throw dependencyError({ ...member, taskId: id });
    values.push(valueOf(member));
  }
  return values;
}

function valueOf({ result }: Pick<ChordMember, 'result'>): unknown {
  return result === null ? null : decodeValue(result);
}

function dependencyError({ taskId, error }: Pick<ChordMember, 'taskId' | 'error'>): ChordError {
  const cause = error === null ? undefined : fromRemoteError(error);
  return new ChordError(`Dependency ${taskId} raised ${errorRepr(cause)}`, { cause });
}

/** Ids of the tasks of a body that run first: those that are sent when it is called. */
export function firstIds(body: CanvasNode): readonly string[] {
  switch (body.kind) {
    case 'task':
      return [body.options['task_id']].filter((id) => typeof id === 'string');
    case 'chain':
      return body.tasks.slice(0, 1).flatMap(firstIds);
    case 'group':
      return body.tasks.flatMap(firstIds);
    case 'chord':
      return body.header.tasks.flatMap(firstIds);
  }
}

function failedWith(error: ChordError): ChordVerdict {
  return { kind: 'error', error: toRemoteError(error) };
}
