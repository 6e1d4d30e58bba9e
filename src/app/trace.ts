import type { SignatureLike } from '../canvas/signature.ts';
import { Ignore, NotRegistered, Reject, Replaced, Retry, SoftTimeLimitExceeded } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { saferepr, tupleRepr } from '../core/python-repr.ts';
import type { DeliveryInfo, Embed, TaskBody, TaskHeaders } from '../message/message.ts';
import type { Outcome, RemoteError, ResultTuple, RetryRequest } from '../message/outcome.ts';
import { decodeTaskBody, NO_EMBED } from '../message/protocol2.ts';
import {
  acceptedTypes,
  DEFAULT_LIMITS,
  encodePart,
  encodeValue,
  type MessageBody,
} from '../message/registry.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import { autoretry, isInstance } from './autoretry.ts';
import type { Celery } from './celery.ts';
import type { ContextHost } from './context.ts';
import { RunContext } from './context.ts';
import { runningTask, type RunningTask } from './current.ts';
import { callErrbacks, failedTask } from './errbacks.ts';
import { toSnakeCase } from './option-names.ts';
import { bindArguments } from './parameters.ts';
import type { TaskRequest } from './request.ts';
import { signatureList } from './signature-options.ts';
import { taskPrerun } from './signals.ts';
import type { AnyTask } from './task.ts';
import type { ToldRun } from './task-signals.ts';
import { isEndTold, tellEnd, tellStart } from './task-signals.ts';

/** What the tracer needs of a job. */
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

/** How the tracer talks to whoever asked for the run. */
export interface TraceHooks extends Pick<ContextHost, 'signal' | 'onState'> {
  /** Stands around the run of the task's function; what it resolves or rejects with is how the function ended. */
  guard?(run: Promise<unknown>): Promise<unknown>;
}

/** Runs one task and says how it ended; never rejects. */
export type Tracer = (job: TraceJob, hooks: TraceHooks) => Promise<Outcome>;

export interface TracerOptions {
  /** Where `self.logger` writes. */
  readonly logger: Logger;
}

/** Makes the function that runs task messages of an app: decodes, calls, encodes the result, names the outcome. */
export function createTracer(app: Celery, options: TracerOptions): Tracer {
  const { settings } = app;
  const accept = acceptedTypes(settings.accept_content);
  const attempt = async (run: Run, hooks: TraceHooks): Promise<Outcome> => {
    const { job } = run;
    try {
      run.body = decodeTaskBody(bodyOf(job), accept, DEFAULT_LIMITS);
      if (job.failure !== undefined) return await run.callErrbacks(job.failure, options.logger);
      const task = app.tasks.get(job.task);
      if (task === undefined) throw new NotRegistered(job.task);
      return await execute(run, task, { app, task, logger: options.logger, hooks });
    } catch (error) {
      if (run.told !== undefined) run.told.value = error;
      return run.afterFailure(run.failure(error, false), options.logger);
    }
  };
  return async (job, hooks) => {
    const run = new Run(app, job, performance.now());
    const outcome = await attempt(run, hooks);
    const { told } = run;
    if (told !== undefined && isEndTold()) await tellEnd(told, outcome, options.logger);
    return outcome;
  };
}

const NO_HEADERS = {};

function bodyOf({ body, contentType, contentEncoding, compression }: TraceJob): MessageBody {
  const headers = compression === undefined ? NO_HEADERS : { compression };
  return { body, contentType, contentEncoding, headers };
}

interface Surroundings {
  readonly app: Celery;
  readonly task: AnyTask;
  readonly logger: Logger;
  readonly hooks: TraceHooks;
}

async function execute(run: Run, task: AnyTask, surroundings: Surroundings): Promise<Outcome> {
  const self = new RunContext(() => run.request(), new HookedHost(surroundings));
  const inherited = new Inherited(run, self);
  const told = new Told(task, self);
  run.told = told;
  if (taskPrerun.isConnected) await tellStart(task, self.request, surroundings.logger);
  let value: unknown;
  try {
    const called = runningTask.run(inherited, () => call(task, self, run.body));
    value = await (surroundings.hooks.guard?.(called) ?? called);
  } catch (error) {
    told.value = autoretry(cause(error, surroundings.hooks), self, task.options);
    const outcome = run.ended(told.value, task);
    if (outcome.kind !== 'failure') return outcome;
    return runningTask.run(inherited, () => run.afterFailure(outcome, surroundings.logger));
  }
  told.value = value;
  return run.success(value, task);
}

/** What calls made inside of a run inherit. */
class Inherited implements RunningTask {
  readonly context: RunContext;
  readonly #run: Run;

  constructor(run: Run, context: RunContext) {
    this.#run = run;
    this.context = context;
  }

  get id(): string {
    return this.#run.job.id;
  }

  get rootId(): string {
    return this.#run.job.headers.root_id ?? this.id;
  }

  get priority(): number | null {
    return this.#run.job.deliveryInfo.priority ?? null;
  }

  get isEager(): boolean {
    return this.#run.job.isEager ?? false;
  }

  addChild(child: ResultTuple): void {
    this.#run.children.push(child);
  }
}

/** Calls the task's function; what it throws, returns or promises is how the promise settles. */
function call(task: AnyTask, self: RunContext, body: TaskBody): Promise<unknown> {
  return new Promise((resolve) => {
    const args = bindArguments(task, body.args, body.kwargs);
    const run = task.run as (...args: unknown[]) => unknown;
    resolve(task.options.bind ? run(self, ...args) : run(...args));
  });
}

/** What really ended the task: Node's own functions reject with an AbortError whose cause is the signal's reason. */
function cause(error: unknown, hooks: TraceHooks): unknown {
  if (!(error instanceof Error) || error.name !== 'AbortError') return error;
  return error.cause instanceof SoftTimeLimitExceeded && hooks.signal.reason === error.cause
    ? error.cause
    : error;
}

class HookedHost implements ContextHost {
  readonly app: Celery;
  readonly task: AnyTask;
  readonly logger: Logger;
  readonly #hooks: TraceHooks;

  constructor({ app, task, logger, hooks }: Surroundings) {
    this.app = app;
    this.task = task;
    this.logger = logger;
    this.#hooks = hooks;
  }

  // Not read before the task asks for it: most never do, and a signal costs more than the rest of the context.
  get signal(): AbortSignal {
    return this.#hooks.signal;
  }

  onState(update: Parameters<ContextHost['onState']>[0]): Promise<void> {
    return this.#hooks.onState(update);
  }
}

type Failure = Extract<Outcome, { kind: 'failure' }>;

type Ran = Pick<Extract<Outcome, { kind: 'success' }>, 'seconds' | 'children' | 'embed' | 'call'>;

/** What receivers of signals are told of a run that has begun. */
class Told implements ToldRun {
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
class Run {
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
