import type { SignatureLike } from '../canvas/signature.ts';
import { Ignore, Reject, Replaced, Retry } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { saferepr, tupleRepr } from '../core/python-repr.ts';
import type { DeliveryInfo, Embed, TaskBody, TaskHeaders } from '../message/message.ts';
import type { Outcome, RemoteError, ResultTuple, RetryRequest } from '../message/outcome.ts';
import { NO_EMBED } from '../message/protocol2.ts';
import { encodePart, encodeValue } from '../message/registry.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import { isInstance } from './autoretry.ts';
import type { Celery } from './celery.ts';
import type { RunContext } from './context.ts';
import { callErrbacks, failedTask } from './errbacks.ts';
import { toSnakeCase } from './option-names.ts';
import type { TaskRequest } from './request.ts';
import { signatureList } from './signature-options.ts';
import type { AnyTask } from './task.ts';
import type { ToldRun } from './task-signals.ts';

/** What running a task needs of its message. */
export interface TraceJob {
  readonly id: string;
  /** Registered name of the task. */
  readonly task: string;
  readonly headers: TaskHeaders;
  /** Headers that are not Celery's own: `request.headers`. */
  readonly userHeaders: Readonly<Record<string, unknown>> | null;
  readonly body: Buffer;
  readonly contentType: string;
  readonly contentEncoding: string;
  /** The `compression` header, when the body is compressed. */
  readonly compression?: string | undefined;
  /** The caller wants no result. */
  readonly ignoreResult: boolean;
  readonly deliveryInfo: DeliveryInfo;
  readonly replyTo: string | null;
  readonly correlationId: string | null;
  /** Node name of this worker. */
  readonly hostname: string;
  /** Runs in the caller's process. */
  readonly isEager?: boolean;
  /** The task has failed with it elsewhere: it is not run, its error callbacks are called. */
  readonly failure?: RemoteError | undefined;
}

type Failure = Extract<Outcome, { kind: 'failure' }>;

type Ran = Pick<Extract<Outcome, { kind: 'success' }>, 'seconds' | 'children' | 'embed' | 'call'>;

/** What receivers of signals are told of a run that has begun. */
export class Told implements ToldRun {
  readonly task: AnyTask;
  value: unknown;
  readonly #self: RunContext;

  constructor(task: AnyTask, self: RunContext) {
    this.task = task;
    this.#self = self;
  }

  get request(): TaskRequest {
    return this.#self.request;
  }
}

/** One run and the outcomes it can have. */
export class Run {
  readonly job: TraceJob;
  readonly children: ResultTuple[] = [];
  /** Empty until the message is decoded. */
  body: TaskBody = { args: [], kwargs: {}, embed: NO_EMBED };
  /** Undefined until the task is about to run. */
  told: Told | undefined;
  readonly #app: Celery;
  readonly #startMs: number;
  /** What it failed with. */
  #thrown: unknown;

  constructor(app: Celery, job: TraceJob, startMs: number) {
    this.#app = app;
    this.job = job;
    this.#startMs = startMs;
  }

  request(): TaskRequest {
    const { job, body } = this;
    const { headers } = job;
    return {
      id: job.id,
      task: job.task,
      args: body.args,
      kwargs: body.kwargs,
      retries: headers.retries,
      rootId: headers.root_id ?? job.id,
      parentId: headers.parent_id,
      group: headers.group,
      groupIndex: headers.group_index,
      eta: headers.eta,
      expires: headers.expires,
      timeLimit: headers.timelimit,
      deliveryInfo: job.deliveryInfo,
      replyTo: job.replyTo,
      correlationId: job.correlationId,
      headers: job.userHeaders,
      origin: headers.origin,
      shadow: headers.shadow,
      lang: headers.lang,
      argsrepr: headers.argsrepr,
      kwargsrepr: headers.kwargsrepr,
      ignoreResult: headers.ignore_result,
      replacedTaskNesting: headers.replaced_task_nesting,
      stampedHeaders: headers.stamped_headers,
      stamps: headers.stamps,
      hostname: job.hostname,
      isEager: job.isEager ?? false,
      calledDirectly: false,
      callbacks: body.embed.callbacks,
      errbacks: body.embed.errbacks,
      chain: body.embed.chain,
      chord: body.embed.chord,
      children: this.children,
    };
  }

  success(value: unknown, task: AnyTask): Outcome {
    const serializer = this.#app.settings.result_serializer;
    const result = encodePart(this.#isResultWanted(task) ? value : null, serializer);
    const repr = saferepr(value, REPR_LENGTH);
    const { children, body } = this;
    if (this.#app.settings.result_extended || !isEmpty(body.embed)) {
      return { kind: 'success', ...this.#ran(), result, repr };
    }
    // As nearly all of them.
    return { kind: 'success', seconds: this.#seconds(), children, embed: null, result, repr };
  }

  /** How the task ended that threw `error`. */
  ended(error: unknown, task: AnyTask): Outcome {
    if (error instanceof Retry) return this.#retry(error, task);
    if (error instanceof Replaced) {
      const replacement = encodeValue(error.signature, 'json');
      return { kind: 'ignore', ...this.#ran(), replacement };
    }
    if (error instanceof Ignore) return { kind: 'ignore', ...this.#ran() };
    if (error instanceof Reject) {
      const { requeue, reason } = error;
      return { kind: 'reject', ...this.#ran(), requeue, reason, traceback: toRemoteError(error).traceback };
    }
    return this.failure(error, isInstance(error, task.options.throws));
  }

  failure(error: unknown, expected: boolean): Failure {
    this.#thrown = error;
    return { kind: 'failure', ...this.#ran(), error: toRemoteError(error), expected, repr: errorRepr(error) };
  }

  /** Calls the error callbacks that are called here; those that are to be sent are left. */
  async afterFailure(failure: Failure, logger: Logger): Promise<Failure> {
    const { errbacks } = this.body.embed;
    if (errbacks === null || errbacks.length === 0) return failure;
    const failed = failedTask(this.request(), failure.error, this.#thrown);
    const left = await callErrbacks(this.#app, errbacks, failed, (message, error) => {
      logger.error(message, error);
    });
    if (left.length === errbacks.length) return failure;
    return { ...failure, embed: encodeValue({ ...this.body.embed, errbacks: left }, 'json') };
  }

  /** The same where the task failed elsewhere. */
  async callErrbacks(error: RemoteError, logger: Logger): Promise<Outcome> {
    const errbacks = this.body.embed.errbacks ?? [];
    await callErrbacks(this.#app, errbacks, failedTask(this.request(), error), (message, thrown) => {
      logger.error(message, thrown);
    });
    return { kind: 'ignore', ...this.#ran() };
  }

  #retry(retry: Retry, task: AnyTask): Outcome {
    const { exc, when } = retry.details;
    const request: RetryRequest = {
      etaMs: when.getTime(),
      body: this.#nextBody(retry, task),
      options: nextOptions(retry),
    };
    const error = exc === undefined ? null : toRemoteError(exc);
    return { kind: 'retry', ...this.#ran(), error, message: retry.message, request };
  }

  /** The body of the next run; null when nothing in it differs from the one that arrived. */
  #nextBody(retry: Retry, task: AnyTask): RetryRequest['body'] {
    const { options } = retry.details;
    const changes = [retry.details.args, retry.details.kwargs, ...IN_BODY.map((name) => options[name])];
    if (changes.every((change) => change === undefined)) return null;
    const args = retry.details.args ?? this.body.args;
    const kwargs = retry.details.kwargs ?? this.body.kwargs;
    const { embed } = this.body;
    const callbacks = options['link'] === undefined ? embed.callbacks : listOf(options['link']);
    const errbacks = options['linkError'] === undefined ? embed.errbacks : listOf(options['linkError']);
    const serializer =
      typeof options['serializer'] === 'string' ? options['serializer'] : task.options.serializer;
    return {
      value: encodeValue([args, kwargs, { ...embed, callbacks, errbacks }], serializer),
      argsrepr: tupleRepr(args),
      kwargsrepr: saferepr(kwargs),
    };
  }

  #ran(): Ran {
    const { args, kwargs, embed } = this.body;
    const ran = {
      seconds: this.#seconds(),
      children: this.children,
      embed: isEmpty(embed) ? null : encodeValue(embed, 'json'),
    };
    if (!this.#app.settings.result_extended) return ran;
    const serializer = this.#app.settings.result_serializer;
    return { ...ran, call: { args: encodePart(args, serializer), kwargs: encodePart(kwargs, serializer) } };
  }

  #seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  /** A result that nobody reads needs no encoding, and must not fail for want of one. */
  #isResultWanted(task: AnyTask): boolean {
    const isIgnored = task.options.ignoreResult || this.job.ignoreResult;
    return !isIgnored || !isEmpty(this.body.embed) || this.job.isEager === true;
  }
}

/** Celery's `resultrepr_maxsize`. */
const REPR_LENGTH = 1024;

/** Options of a retry that change the body of the message. */
const IN_BODY = ['link', 'linkError', 'serializer', 'compression'] as const;

function nextOptions(retry: Retry): Readonly<Record<string, unknown>> {
  const entries = Object.entries(retry.details.options)
    .filter(([name, value]) => value !== undefined && name !== 'link' && name !== 'linkError')
    .map(([name, value]) => [toSnakeCase(name), value]);
  return Object.fromEntries(entries) as Readonly<Record<string, unknown>>;
}

function listOf(signatures: unknown): Embed['callbacks'] {
  return signatureList(signatures as SignatureLike | readonly SignatureLike[]);
}

function isEmpty({ callbacks, errbacks, chain, chord }: Embed): boolean {
  return chord === null && [callbacks, errbacks, chain].every((list) => list === null || list.length === 0);
}
