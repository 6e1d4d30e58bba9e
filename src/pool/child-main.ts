/**
 * Program of a child process: loads the app, then runs one job after the other for the supervisor at the other end of
 * descriptor 3. It ends when the supervisor says so or is gone.
 */
import { Socket } from 'node:net';
import type { Celery } from '../app/celery.ts';
import { applyConfig, importTasks, loadApp } from '../app/loader.ts';
import type { Tracer } from '../app/trace.ts';
import { createTracer } from '../app/trace.ts';
import { prepareModule } from '../app/user-module.ts';
import { CeleryError, OperationalError, SoftTimeLimitExceeded, Terminated } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { createLogger } from '../core/logger.ts';
import { expand } from '../core/nodename.ts';
import type { Outcome } from '../message/outcome.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import type { ChildInit } from './child-init.ts';
import { FrameReader, FrameWriter } from './frames.ts';
import type { ChildMessage, ParentMessage } from './messages.ts';
import { EscapeGuard } from './escape-guard.ts';
import { decodeParentMessage, encodeChildMessage } from './messages.ts';
import type { StateUpdate } from './pool.ts';
import type { Redirection } from './redirect.ts';
import { redirectOutput } from './redirect.ts';

const CHANNEL_FD = 3;
/** What closing the app's connections may take at the end. */
const CLOSE_TIMEOUT_MS = 3_000;

type QueuedJob = Extract<ParentMessage, { kind: 'job' }>;

interface Loaded {
  readonly app: Celery;
  readonly tracer: Tracer;
}

/** The job that runs, and how it is reached from outside. */
class Current {
  readonly number: number;
  #abort: AbortController | undefined;
  #reason: Error | undefined;
  readonly escapes = new EscapeGuard();
  isBroken = false;

  constructor(number: number) {
    this.number = number;
  }

  // Made when the task asks for it: most never do.
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** Whether the task has taken its signal, so that it may end by itself. */
  get isListening(): boolean {
    return this.#abort !== undefined;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#abort?.abort(reason);
  }
}

class Child {
  readonly #writer: FrameWriter;
  readonly #states = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #prepared: Promise<void> | undefined;
  #loaded: Loaded | undefined;
  #logger: Logger | undefined;
  #output: Redirection | undefined;
  #current: Current | undefined;
  readonly #queue: QueuedJob[] = [];
  #sequence = 0;
  #isWorking = false;
  /** Not to be trusted with another job. */
  #isBroken = false;
  #isEnding = false;
  #isTerminated = false;

  constructor(socket: Socket) {
    this.#writer = new FrameWriter(socket);
    const reader = new FrameReader((header, parts) => {
      this.#onMessage(decodeParentMessage(header, parts));
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#logger?.critical('The worker cannot be understood; this process ends.', error);
        exit(1);
      }
    });
    // The supervisor is gone, and with it whoever could use a result.
    socket.on('end', () => {
      exit(1);
    });
    socket.on('error', () => {
      exit(1);
    });
    // Results that are queued when user code calls process.exit(): what the socket takes now is not lost.
    process.on('exit', () => {
      this.#output?.flush();
      this.#writer.flush();
    });
    process.on('uncaughtException', (error) => {
      this.#onEscaped(error);
    });
    process.on('unhandledRejection', (reason) => {
      this.#onEscaped(reason);
    });
    this.#send({ kind: 'alive' });
  }

  #send(message: ChildMessage): void {
    const { header, parts } = encodeChildMessage(message);
    this.#writer.send(header, parts);
  }

  #onMessage(message: ParentMessage): void {
    switch (message.kind) {
      case 'prepare':
        // What goes wrong here goes wrong again when the app is loaded, and is told there.
        this.#prepared = prepareModule(message.file).catch(() => undefined);
        break;
      case 'init':
        void this.#load(message);
        break;
      case 'job':
        this.#queue.push(message);
        if (!this.#isWorking) void this.#work();
        break;
      case 'recall':
        this.#returnQueue();
        break;
      case 'soft-limit':
        if (this.#current?.number === message.number) {
          this.#current.abort(new SoftTimeLimitExceeded('', message.seconds));
        }
        break;
      case 'stored':
        this.#onStored(message.sequence, message.error);
        break;
      case 'shutdown':
        void this.#end();
        break;
      default:
        message satisfies never;
    }
  }

  async #load({ init, name, index, title }: Extract<ParentMessage, { kind: 'init' }>): Promise<void> {
    try {
      process.title = title;
      const logger = openLog(init, name, index);
      this.#logger = logger;
      if (init.redirectStdouts) this.#output = redirectOutput(logger, init.redirectLevel);
      await this.#prepared;
      this.#loaded = await loadTasks(init, logger);
      this.#send({ kind: 'ready', tasks: [...this.#loaded.app.tasks.keys()] });
    } catch (error) {
      await this.#failToLoad(error);
    }
  }

  async #failToLoad(error: unknown): Promise<void> {
    const message = error instanceof CeleryError ? error.message : errorRepr(error);
    this.#send({ kind: 'failed', message, stack: toRemoteError(error).traceback });
    await this.#writer.sent();
    exit(1);
  }

  /** Runs what it was given, one job after the other. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (this.#isBroken) {
        this.#send({ kind: 'returned', number: next.number });
        continue;
      }
      await this.#run(next);
      if (this.#isTerminated) return;
      // Before the next one begins: should this process end of it, the supervisor knows what was done.
      this.#writer.flush();
    }
    this.#isWorking = false;
  }

  #returnQueue(): void {
    for (const { number } of this.#queue.splice(0)) this.#send({ kind: 'returned', number });
  }

  async #run({ number, job, reportMemory }: QueuedJob): Promise<void> {
    const { tracer } = this.#loaded ?? {};
    if (tracer === undefined) throw new OperationalError('A job arrived before the app was loaded.');
    const current = new Current(number);
    this.#current = current;
    const outcome = await tracer(job, {
      get signal() {
        return current.signal;
      },
      onState: (update) => this.#storeState(update),
      guard: (run) => current.escapes.guard(run),
    });
    this.#output?.flush();
    this.#current = undefined;
    this.#isBroken ||= current.isBroken;
    if (this.#isTerminated) dieOf('SIGTERM');
    else this.#finish(outcome, reportMemory, current.isBroken);
  }

  #finish(outcome: Outcome, reportMemory: boolean, isBroken: boolean): void {
    const memoryKb = reportMemory ? Math.ceil(process.memoryUsage.rss() / 1024) : null;
    try {
      this.#send({ kind: 'outcome', outcome, memoryKb, isBroken });
    } catch (error) {
      // Too large for a frame.
      this.#send({ kind: 'outcome', outcome: failureInstead(outcome, error), memoryKb, isBroken });
    }
  }

  #storeState(update: StateUpdate): Promise<void> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    return new Promise((resolve, reject) => {
      this.#states.set(sequence, { resolve, reject });
      this.#send({ kind: 'state', sequence, update });
    });
  }

  #onStored(sequence: number, error: string | null): void {
    const waiting = this.#states.get(sequence);
    this.#states.delete(sequence);
    if (error === null) waiting?.resolve();
    else waiting?.reject(new OperationalError(`The state could not be stored: ${error}`));
  }

  /** An error that no code caught: the task that runs fails with it, and this process is not used any more. */
  #onEscaped(error: unknown): void {
    if (this.#loaded === undefined) {
      void this.#failToLoad(error);
      return;
    }
    const current = this.#current;
    if (current?.escapes.fail(error) === true) {
      current.isBroken = true;
      return;
    }
    this.#logger?.error(
      'An error that no task caught, in code that one left running; this process is replaced.',
      error,
    );
    this.#isBroken = true;
    this.#send({ kind: 'broken' });
    this.#returnQueue();
  }

  /** The supervisor ends the task that runs: one that has its signal may clean up, until it is killed. */
  terminate(): void {
    this.#isTerminated = true;
    if (this.#current?.isListening === true) {
      this.#current.abort(new Terminated());
      return;
    }
    this.#output?.flush();
    dieOf('SIGTERM');
  }

  async #end(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const timeout = setTimeout(() => {
      exit(0);
    }, CLOSE_TIMEOUT_MS);
    try {
      await this.#loaded?.app.close();
      await this.#writer.sent();
    } catch (error) {
      this.#logger?.error('The connections of this process could not be closed.', error);
    }
    clearTimeout(timeout);
    exit(0);
  }
}

async function loadTasks(init: ChildInit, logger: Logger): Promise<Loaded> {
  const { app, file } = await loadApp(init.appSpec, { cwd: init.cwd });
  const { cwd, configFile, environment, commandLine } = init;
  await applyConfig(app, { cwd, file, configFile, environment, commandLine });
  await importTasks(app, { cwd, file });
  return { app, tracer: createTracer(app, { logger }) };
}

function openLog(init: ChildInit, name: string, index: number): Logger {
  const { destination, ...log } = init.log;
  return createLogger({
    ...log,
    destination: destination === undefined ? 2 : expand(destination, { nodename: init.hostname, index }),
    processName: name,
  });
}

function failureInstead(outcome: Outcome, error: unknown): Outcome {
  const seconds = 'children' in outcome ? outcome.seconds : 0;
  return {
    kind: 'failure',
    seconds,
    children: [],
    embed: null,
    error: toRemoteError(error),
    expected: false,
    repr: errorRepr(error),
  };
}

function exit(code: number): never {
  // eslint-disable-next-line no-restricted-properties -- this file is a program: it ends its own process
  process.exit(code);
}

/** Ends this process the way the signal would have. */
function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

// Ctrl-C and Ctrl-\ reach every process of the terminal; what they mean for the tasks is the supervisor's decision.
process.on('SIGINT', () => undefined);
process.on('SIGQUIT', () => undefined);

const child = new Child(new Socket({ fd: CHANNEL_FD, readable: true, writable: true }));
process.on('SIGTERM', () => {
  child.terminate();
});
