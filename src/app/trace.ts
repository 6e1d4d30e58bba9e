import { NotRegistered, SoftTimeLimitExceeded } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { TaskBody } from '../message/message.ts';
import type { Outcome, ResultTuple } from '../message/outcome.ts';
import { decodeTaskBody } from '../message/protocol2.ts';
import { acceptedTypes, DEFAULT_LIMITS, type MessageBody } from '../message/registry.ts';
import { autoretry } from './autoretry.ts';
import type { Celery } from './celery.ts';
import type { ContextHost } from './context.ts';
import { RunContext } from './context.ts';
import { runningTask, type RunningTask } from './current.ts';
import { bindArguments } from './parameters.ts';
import { Run, Told, type TraceJob } from './run.ts';
import { taskPrerun } from './signals.ts';
import type { AnyTask } from './task.ts';
import { isEndTold, tellEnd, tellStart } from './task-signals.ts';

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
