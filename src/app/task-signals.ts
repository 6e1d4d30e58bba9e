import type { Logger } from '../core/logger.ts';
import { FAILURE, IGNORED, REJECTED, RETRY, REVOKED, SUCCESS } from '../core/states.ts';
import type { Outcome } from '../message/outcome.ts';
import type { TaskRequest } from './request.ts';
import type { RunEvent } from './signals.ts';
import { taskFailure, taskPostrun, taskPrerun, taskRetry, taskSuccess } from './signals.ts';
import type { AnyTask } from './task.ts';

/** A run, as receivers of signals see it. */
export interface ToldRun {
  readonly task: AnyTask;
  readonly request: TaskRequest;
  /** What the task returned or threw. */
  readonly value: unknown;
}

const STATES: Readonly<Record<Outcome['kind'], string>> = {
  success: SUCCESS,
  failure: FAILURE,
  retry: RETRY,
  ignore: IGNORED,
  reject: REJECTED,
  // Nobody is left to tell of these.
  lost: FAILURE,
  timeout: FAILURE,
  terminated: REVOKED,
};

/** Whether anybody wants to know how runs end. */
export function isEndTold(): boolean {
  return (
    taskPostrun.isConnected || taskSuccess.isConnected || taskFailure.isConnected || taskRetry.isConnected
  );
}

export function tellStart(task: AnyTask, request: TaskRequest, logger: Logger): Promise<void> {
  return taskPrerun.send(runEvent(task, request), logger);
}

export async function tellEnd(run: ToldRun, outcome: Outcome, logger: Logger): Promise<void> {
  const event = runEvent(run.task, run.request);
  const { value } = run;
  if (outcome.kind === 'success') await taskSuccess.send({ ...event, result: value }, logger);
  if (outcome.kind === 'failure') await taskFailure.send({ ...event, error: value }, logger);
  if (outcome.kind === 'retry') await taskRetry.send({ ...event, error: value }, logger);
  await taskPostrun.send({ ...event, retval: value, state: STATES[outcome.kind] }, logger);
}

function runEvent(task: AnyTask, request: TaskRequest): RunEvent {
  return { sender: task, taskId: request.id, args: request.args, kwargs: request.kwargs, request };
}
