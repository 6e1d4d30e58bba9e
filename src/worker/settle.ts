import { constants } from 'node:os';
import {
  BackendError,
  Ignore,
  OperationalError,
  Reject,
  TaskRevokedError,
  TimeLimitExceeded,
  WorkerLostError,
} from '../core/errors.ts';
import { sleep } from '../core/async.ts';
import type { Logger } from '../core/logger.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { delayMs, type RetryPolicy } from '../core/retry.ts';
import { FAILURE, RETRY, REVOKED, SUCCESS } from '../core/states.ts';
import type { Outcome, RemoteError } from '../message/outcome.ts';
import { toRemoteError } from '../message/remote-error.ts';
import type { BadMessages } from './bad-messages.ts';
import type { Following } from './following.ts';
import type { Request } from './request.ts';
import type { Results } from './results.ts';
import type { TaskEvents } from './task-events.ts';
import type { TaskLog } from './task-log.ts';
import type { Workflow } from './workflow.ts';

type Ended<Kind extends Outcome['kind']> = Extract<Outcome, { kind: Kind }>;

export interface SettlementOptions {
  readonly results: Results;
  readonly following: Following;
  readonly workflow: Workflow;
  readonly bad: BadMessages;
  readonly log: TaskLog;
  readonly events: TaskEvents;
  readonly logger: Logger;
  /** A shutdown has begun: nothing is waited for any more. */
  readonly stopping: AbortSignal;
}

/** Before a message goes back whose end could not be recorded, longer each time in a row: it would come again at once. */
const GIVE_BACK: RetryPolicy = {
  maxRetries: null,
  intervalStartMs: 1000,
  intervalStepMs: 2000,
  intervalMaxMs: 30_000,
};

/**
 * Settles how each task ended: sends what follows, stores the state, and only then acknowledges late.
 *
 * A crash between two of these steps repeats the task; the other order would lose it.
 */
export class Settlement {
  readonly #results: Results;
  readonly #following: Following;
  readonly #workflow: Workflow;
  readonly #bad: BadMessages;
  readonly #log: TaskLog;
  readonly #events: TaskEvents;
  readonly #logger: Logger;
  readonly #stopping: AbortSignal;
  /** Ends in a row that could not be recorded, those of tasks that ran at the same time counted once. */
  #failures = 0;

  constructor({ results, following, workflow, bad, log, events, logger, stopping }: SettlementOptions) {
    this.#results = results;
    this.#following = following;
    this.#workflow = workflow;
    this.#bad = bad;
    this.#log = log;
    this.#events = events;
    this.#logger = logger;
    this.#stopping = stopping;
  }

  /** Never rejects. @param job - number of the job, named when its process was lost */
  settle(request: Request, outcome: Outcome, job: number): Promise<void> {
    request.ended = true;
    const { kind } = outcome;
    const isUsual = kind === 'success' && outcome.embed === null && request.stored === undefined;
    if (!isUsual) return this.#record(request, outcome, job);
    try {
      const isWanted = !ignoresResult(request) && this.#results.areKept(request);
      return isWanted ? this.#record(request, outcome, job) : this.#done(request, outcome);
    } catch (error) {
      return this.#giveUp(request, error);
    }
  }

  /** Nothing follows, and nobody wants to know. */
  #done(request: Request, outcome: Ended<'success'>): Promise<void> {
    this.#failures = 0;
    const settled = request.settle('ack');
    this.#log.succeeded(request, outcome);
    this.#events.succeeded(request, outcome);
    return settled;
  }

  async #record(request: Request, outcome: Outcome, job: number): Promise<void> {
    try {
      if (request.stored !== undefined) await request.stored;
      await this.#apply(request, outcome, job);
      this.#failures = 0;
    } catch (error) {
      await this.#giveUp(request, error);
    }
  }

  /** The task expired, or was revoked, before it ran. Never rejects. */
  async revoke(request: Request, reason: 'revoked' | 'expired'): Promise<void> {
    this.#log.discarded(request);
    this.#events.revoked(request, reason);
    try {
      await this.#endRevoked(request, new TaskRevokedError(reason));
      await request.settle('ack');
    } catch (error) {
      await this.#giveUp(request, error);
    }
  }

  #apply(request: Request, outcome: Outcome, job: number): Promise<void> {
    switch (outcome.kind) {
      case 'success':
        return this.#succeed(request, outcome);
      case 'failure':
        return this.#fail(request, outcome);
      case 'retry':
        return this.#retry(request, outcome);
      case 'ignore':
        return this.#ignore(request, outcome);
      case 'reject':
        return this.#reject(request, outcome);
      case 'timeout':
        return this.#timeOut(request, outcome);
      case 'terminated':
        return this.#terminate(request, outcome);
      case 'lost':
        return this.#lose(request, outcome, job);
      default:
        return outcome satisfies never;
    }
  }

  async #succeed(request: Request, outcome: Ended<'success'>): Promise<void> {
    const { result, call } = outcome;
    let { children } = outcome;
    const { embed } = outcome;
    if (embed !== null) {
      children = [...children, ...(await this.#workflow.follow(request, embed, result))];
    }
    if (!ignoresResult(request)) await this.#results.store(request, SUCCESS, { result, children, call });
    if (embed !== null) await this.#workflow.succeeded(request, embed, result);
    await request.settle('ack');
    this.#log.succeeded(request, outcome);
    this.#events.succeeded(request, outcome);
  }

  async #fail(request: Request, outcome: Ended<'failure'>): Promise<void> {
    const { error, children, call } = outcome;
    const unreadable = this.#bad.reread(request.envelope, error);
    if (unreadable === undefined) this.#log.failed(request, outcome);
    if (storesErrors(request)) {
      await this.#results.store(request, FAILURE, { error, traceback: error.traceback, children, call });
    }
    if (outcome.embed !== null) {
      const failure = { error, status: FAILURE, isStored: storesErrors(request) };
      await this.#workflow.failed(request, outcome.embed, failure);
    }
    const acknowledged = request.options.acksOnFailureOrTimeout && unreadable === undefined;
    if (!acknowledged) this.#events.rejected(request, false);
    await request.settle(acknowledged ? 'ack' : 'drop');
    this.#events.failed(request, outcome.repr, error.traceback);
  }

  async #retry(request: Request, outcome: Ended<'retry'>): Promise<void> {
    // Before the message: another worker may be done with it in no time.
    this.#events.retried(request, outcome);
    await this.#following.retry(request, outcome.request);
    if (storesErrors(request)) {
      const { error } = outcome;
      const children = [...outcome.children, [[request.id, null], null] as const];
      await this.#results.store(request, RETRY, { error, traceback: error?.traceback ?? null, children });
    }
    await request.settle('ack');
    this.#log.retried(request, outcome);
  }

  async #ignore(request: Request, { embed, replacement }: Ended<'ignore'>): Promise<void> {
    this.#log.ignored(request);
    if (replacement !== undefined) await this.#workflow.replace(request, embed, replacement);
    else if (embed !== null) await this.#workflow.dropped(request, embed, new Ignore());
    await request.settle('ack');
  }

  async #reject(request: Request, outcome: Ended<'reject'>): Promise<void> {
    const { embed, requeue } = outcome;
    this.#log.rejected(request, outcome);
    this.#events.rejected(request, requeue);
    const comesAgain = requeue && request.acksLate;
    if (embed !== null && !comesAgain) {
      await this.#workflow.dropped(request, embed, new Reject(outcome.reason));
    }
    await request.settle(requeue ? 'requeue' : 'drop');
  }

  async #timeOut(request: Request, { seconds }: Ended<'timeout'>): Promise<void> {
    this.#log.hardLimit(request, seconds);
    await this.#failUnended(request, { ...toRemoteError(new TimeLimitExceeded()), args: [seconds] });
    const { acksOnFailureOrTimeout } = request.options;
    if (!acksOnFailureOrTimeout) this.#events.rejected(request, true);
    await request.settle(acksOnFailureOrTimeout ? 'ack' : 'requeue');
    this.#events.failed(request, `${TimeLimitExceeded.name}(${seconds})`, null);
  }

  async #terminate(request: Request, { signal }: Ended<'terminated'>): Promise<void> {
    this.#events.revoked(request, { signal });
    await this.#endRevoked(request, new TaskRevokedError('terminated'));
    await request.settle('ack');
  }

  async #lose(request: Request, outcome: Ended<'lost'>, job: number): Promise<void> {
    const message = `Worker exited prematurely: ${describeExit(outcome)} Job: ${job}.`;
    this.#log.lost(message);
    const { acksLate, rejectOnWorkerLost, acksOnFailureOrTimeout } = request.options;
    if (acksLate && rejectOnWorkerLost) {
      this.#events.rejected(request, true);
      await request.settle('requeue');
      return;
    }
    await this.#failUnended(request, toRemoteError(new WorkerLostError(message)));
    if (!acksOnFailureOrTimeout) this.#events.rejected(request, false);
    await request.settle(acksOnFailureOrTimeout ? 'ack' : 'drop');
    this.#events.failed(request, `${WorkerLostError.name}(${pythonRepr(message)})`, null);
  }

  /** FAILURE of a task whose process can tell nothing about it any more. */
  async #failUnended(request: Request, error: RemoteError): Promise<void> {
    const isStored = storesErrors(request);
    if (isStored) await this.#storeError(request, FAILURE, error);
    const failure = { error: { ...error, traceback: null }, status: FAILURE, isStored };
    await this.#workflow.unrun(request, failure, { callsErrbacks: true });
  }

  /** What waits for it must not wait for ever. In Celery, too, its error callbacks are not called. */
  async #endRevoked(request: Request, revoked: TaskRevokedError): Promise<void> {
    const isStored = storesErrors(request);
    const error = { ...toRemoteError(revoked), traceback: null };
    if (isStored) await this.#storeError(request, REVOKED, error);
    await this.#workflow.unrun(request, { error, status: REVOKED, isStored }, { callsErrbacks: false });
  }

  async #storeError(request: Request, status: string, error: RemoteError): Promise<void> {
    await this.#results.store(request, status, { error, traceback: null });
  }

  /** What follows could not be sent, or the state not be stored: the message is not done with. */
  async #giveUp(request: Request, error: unknown): Promise<void> {
    this.#logger.error(`Task ${request.label} has ended, but that could not be recorded`, error);
    const passes = error instanceof OperationalError || error instanceof BackendError;
    if (request.unsettled && passes) {
      await this.#pause();
      await request.settle('requeue');
      return;
    }
    // Running it again would end in the same way.
    if (!passes && storesErrors(request)) {
      await this.#results.storeUnrun(request.headers, request.envelope, toRemoteError(error));
    }
    await request.settle('ack');
  }

  async #pause(): Promise<void> {
    const failures = this.#failures + 1;
    await sleep(delayMs(GIVE_BACK, failures), this.#stopping).catch(() => undefined);
    this.#failures = Math.max(this.#failures, failures);
  }
}

function ignoresResult({ headers, options }: Request): boolean {
  return headers.ignore_result || options.ignoreResult;
}

function storesErrors(request: Request): boolean {
  return !ignoresResult(request) || request.options.storeErrorsEvenIfIgnored;
}

const SIGNALS: Readonly<Record<string, number>> = constants.signals;

function describeExit({ exitCode, signal }: Ended<'lost'>): string {
  return signal === null
    ? `exitcode ${exitCode ?? 'unknown'}`
    : `signal ${SIGNALS[signal] ?? '?'} (${signal})`;
}
