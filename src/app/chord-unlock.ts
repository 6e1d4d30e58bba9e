/** `celery.chord_unlock`: asks again and again whether a chord's members have ended. Sent where nobody counts them. */
import { abandoned } from '../canvas/abandon.ts';
import { readSignature } from '../canvas/signature.ts';
import { ChordError } from '../core/errors.ts';
import { FAILURE } from '../core/states.ts';
import type { SignatureJson } from '../message/message.ts';
import type { RemoteError, ResultTuple } from '../message/outcome.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import { callErrbacks, failedTask, unsentRequest } from './errbacks.ts';
import type { GroupResult } from './group-result.ts';
import type { TaskContext } from './request.ts';

/**
 * Calls the body when all members have ended, or fails it with a `ChordError`; asks again `interval` seconds later otherwise.
 *
 * Unlike in Celery it gives up: after `max_retries`, and when the members' results would have expired.
 */
export async function unlockChord(
  self: TaskContext,
  group_id: string,
  callback: SignatureJson,
  interval: number | null = null,
  max_retries: number | null = null,
  result: readonly ResultTuple[] = [],
): Promise<void> {
  const { app } = self;
  const members = result.map((tuple) => app.resultFromTuple(tuple));
  const group = app.GroupResult(group_id, members);
  if (!(await group.ready())) {
    const countdown = interval ?? app.settings.result_chord_retry_interval;
    if (mayAskAgain(self, countdown, max_retries)) throw self.retry({ countdown, maxRetries: null });
    const missing = `Its members did not end while it was asked ${self.request.retries + 1} times`;
    await failBody(
      self,
      callback,
      new ChordError(`${missing}: one of them is lost, or its result has expired`),
    );
    return;
  }
  let values: readonly unknown[];
  try {
    const timeout = app.settings.result_chord_join_timeout;
    values = await group.join({ timeout, disableSyncSubtasks: false });
  } catch (error) {
    const reason = await reasonOf(group, error);
    await failBody(self, callback, new ChordError(reason, { cause: error }));
    return;
  }
  try {
    await app.signature(callback).applyAsync([values]);
  } catch (error) {
    const reason = `Callback error: ${errorRepr(error)}`;
    await failBody(self, callback, new ChordError(reason, { cause: error }));
  }
}

function mayAskAgain({ app, request }: TaskContext, intervalS: number, maxRetries: number | null): boolean {
  const { result_expires: expiresS } = app.settings;
  if (maxRetries !== null && request.retries >= maxRetries) return false;
  return expiresS === null || expiresS === 0 || request.retries * intervalS < expiresS;
}

async function reasonOf(group: GroupResult, error: unknown): Promise<string> {
  for (const member of group) {
    if (await member.failed()) return `Dependency ${member.id} raised ${errorRepr(error)}`;
  }
  return errorRepr(error);
}

/** Whoever waits for the body learns of it, and its error callbacks are called. */
async function failBody(
  { app, logger, request }: TaskContext,
  body: SignatureJson,
  failure: ChordError,
): Promise<void> {
  logger.error(`Chord '${String(request.args[0])}' raised: ${errorRepr(failure)}`);
  const error = toRemoteError(failure);
  const { tasks, errbacks } = abandoned(readSignature(body));
  for (const { id, groupId } of tasks) await app.backend.store(failedMeta(id, groupId, error));
  for (const each of errbacks) {
    const failed = failedTask(unsentRequest(each, request.hostname), error, failure);
    const toSend = await callErrbacks(app, each.errbacks, failed, (message, thrown) => {
      logger.error(thrown, message);
    });
    for (const errback of toSend) await app.signature(errback).applyAsync([each.taskId]);
  }
}

function failedMeta(taskId: string, groupId: string | null, error: RemoteError) {
  return {
    ...{ taskId, status: FAILURE, result: null, error, traceback: error.traceback },
    ...{ children: [], dateDone: new Date(), groupId, parentId: null, extended: null },
  };
}
