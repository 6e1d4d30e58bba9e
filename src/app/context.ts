import { freeze } from '../canvas/freeze.ts';
import { readSignature, writeSignature } from '../canvas/signature.ts';
import type { SignatureLike } from '../canvas/signature.ts';
import { sizeOf } from '../canvas/start.ts';
import { stepsOf } from '../canvas/steps.ts';
import {
  ImproperlyConfigured,
  MaxRetriesExceededError,
  Replaced,
  Retry,
  RuntimeError,
  ValueError,
} from '../core/errors.ts';
import type { Logger, TaskLogger } from '../core/logger.ts';
import { saferepr, tupleRepr } from '../core/python-repr.ts';
import type { State } from '../core/states.ts';
import { isoUtc, parseIso } from '../core/time.ts';
import type { EncodedValue } from '../message/outcome.ts';
import { encodePart } from '../message/registry.ts';
import { errorRepr } from '../message/remote-error.ts';
import type { Celery } from './celery.ts';
import { publishRetry } from './call.ts';
import { runningTask } from './current.ts';
import type { AnyResult } from './result-options.ts';
import type { AnyTask } from './task.ts';
import type { RetryOptions, TaskContext, TaskRequest } from './request.ts';

/** The task that is running in this chain of calls, if any: what a task with `bind: true` gets as `self`. */
export function currentContext(): TaskContext | undefined {
  return runningTask.getStore()?.context;
}

/** What a context needs of whoever runs the task. */
export interface ContextHost {
  readonly app: Celery;
  readonly task: AnyTask;
  readonly logger: Logger;
  /** See `TaskContext.signal`. */
  readonly signal: AbortSignal;
  /** Resolves when the state is stored. */
  onState(update: {
    readonly taskId: string;
    readonly state: string;
    readonly meta: EncodedValue;
  }): Promise<void>;
}

/** `self` of one run. */
export class RunContext implements TaskContext {
  readonly #readRequest: () => TaskRequest;
  readonly #host: ContextHost;
  #request: TaskRequest | undefined;
  #logger: TaskLogger | undefined;

  /** @param readRequest called when the task asks for its request: many never do */
  constructor(readRequest: () => TaskRequest, host: ContextHost) {
    this.#readRequest = readRequest;
    this.#host = host;
  }

  get request(): TaskRequest {
    this.#request ??= this.#readRequest();
    return this.#request;
  }

  get name(): string {
    return this.#host.task.name;
  }

  get app(): Celery {
    return this.#host.app;
  }

  get signal(): AbortSignal {
    return this.#host.signal;
  }

  get logger(): TaskLogger {
    this.#logger ??= this.#host.logger.forTask(this.name, this.request.id);
    return this.#logger;
  }

  retry(options: RetryOptions = {}): Retry {
    const { args, kwargs, exc, countdown, eta, maxRetries, ...publish } = options;
    const { request } = this;
    const task = this.#host.task.options;
    if (request.calledDirectly) {
      if (exc !== undefined) throw asThrown(exc);
      throw new Retry('Task can be retried', { when: new Date(), options: {} });
    }
    const most = maxRetries === undefined ? task.maxRetries : maxRetries;
    if (most !== null && request.retries + 1 > most) {
      if (exc !== undefined) throw asThrown(exc);
      throw new MaxRetriesExceededError(
        `Can't retry ${this.name}[${request.id}] ` +
          `args:${tupleRepr(args ?? request.args)} kwargs:${saferepr(kwargs ?? request.kwargs)}`,
      );
    }
    const plan = planRetry(eta, countdown ?? task.defaultRetryDelay);
    const reason = exc === undefined ? '' : `: ${errorRepr(exc)}`;
    return new Retry(`Retry ${plan.text}${reason}`, {
      when: plan.when,
      options: { ...publish },
      ...(exc === undefined ? undefined : { exc }),
      ...(args === undefined ? undefined : { args }),
      ...(kwargs === undefined ? undefined : { kwargs }),
    });
  }

  replace(signature: SignatureLike): never {
    const node = readSignature(signature);
    if (this.request.calledDirectly) {
      throw new RuntimeError(`${this.name} is called as a function: only a task that runs can be replaced.`);
    }
    if ((node.options['chord'] ?? null) !== null) {
      throw new ImproperlyConfigured('A signature replacing a task must not be part of a chord');
    }
    if (node.kind === 'chain' && stepsOf(node).length === 0) {
      throw new ImproperlyConfigured('Cannot replace with an empty chain');
    }
    throw new Replaced('Replaced by new task', writeSignature(node));
  }

  async addToChord(signature: SignatureLike): Promise<AnyResult> {
    const { chord, group, groupIndex } = this.request;
    if (chord === null || group === null) throw new ValueError('Current task is not member of any chord');
    const { app } = this.#host;
    const placement = { groupId: group, groupIndex: groupIndex ?? undefined, chord };
    const { node } = freeze(readSignature(signature), placement, app.signatures.ids);
    // Before it is sent: nobody may think that the chord is complete meanwhile.
    await app.backend.growChord(group, sizeOf(node));
    return (await app.signatures.start(node, [], {})) as AnyResult;
  }

  sendEvent(type: string, fields: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const { app } = this.#host;
    const { id: uuid, hostname } = this.request;
    return app.events.send(type, { uuid, ...fields }, { hostname, retry: publishRetry(app.settings) });
  }

  async updateState(state: State, meta?: unknown): Promise<void> {
    const { app } = this.#host;
    await this.#host.onState({
      taskId: this.request.id,
      state,
      meta: encodePart(meta, app.settings.result_serializer),
    });
  }
}

/** When the next run is, and how the log says it: `in 5s`, `at 2026-11-22 15:24:52+00:00`. */
function planRetry(eta: Date | string | undefined, countdown: number): { when: Date; text: string } {
  if (eta === undefined) {
    return { when: new Date(Date.now() + countdown * 1000), text: `in ${countdown}s` };
  }
  const when = typeof eta === 'string' ? new Date(parseIso(eta)) : eta;
  return { when, text: `at ${isoUtc(when).replace('T', ' ').replace('.000000', '')}` };
}

/** What is thrown on: whatever the task gave, whatever its type; the cast only says so to the compiler. */
function asThrown(exc: unknown): Error {
  return exc as Error;
}
