/** What a stored result says, as the values and errors of this program. */
import { RuntimeError } from '../core/errors.ts';
import { PROPAGATE_STATES } from '../core/states.ts';
import type { EncodedValue } from '../message/outcome.ts';
import { decodeValue } from '../message/registry.ts';
import { fromRemoteError } from '../message/remote-error.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import { runningTask } from './current.ts';
import type { ResultUpdate } from './result-options.ts';

/** @throws {RuntimeError} called inside a task */
export function refuseInsideTask(): void {
  if (runningTask.getStore() === undefined) return;
  throw new RuntimeError(
    'Never call result.get() within a task: it can lock up the workers. Use link or a chain instead, or say ' +
      '{ disableSyncSubtasks: false }. See https://docs.celeryq.dev/en/latest/userguide/tasks.html#avoid-launching-synchronous-subtasks',
  );
}

/** The value. @throws the task's error */
export function valueOrThrow<Result>(meta: ResultMeta): Result {
  const info = infoOf(meta);
  if (PROPAGATE_STATES.has(meta.status)) throw info;
  return info as Result;
}

/** The value, the error, or the meta data of the state. */
export function infoOf(meta: ResultMeta): unknown {
  if (meta.error === null) return decoded(meta.result);
  const error = fromRemoteError(meta.error);
  const remoteTraceback = meta.traceback ?? meta.error.traceback;
  if (remoteTraceback !== null) {
    Object.defineProperty(error, 'remoteTraceback', { value: remoteTraceback, configurable: true });
  }
  return error;
}

export function updateOf(meta: ResultMeta): ResultUpdate {
  return { state: meta.status, info: infoOf(meta), traceback: meta.traceback };
}

export function decoded(value: EncodedValue | null | undefined): unknown {
  return value === null || value === undefined ? null : decodeValue(value);
}
