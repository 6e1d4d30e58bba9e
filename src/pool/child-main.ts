/**
 * Program of a child process: loads the app, then runs jobs for the supervisor at the other end of descriptor 3. It ends when the supervisor says so or is gone.
 */
import { Socket } from 'node:net';
import type { Celery } from '../app/celery.ts';
import { applyConfig, importTasks, loadApp } from '../app/loader.ts';
import { workerProcessInit, workerProcessShutdown } from '../app/signals.ts';
import type { ProcessEvent } from '../app/signals.ts';
import type { Tracer } from '../app/trace.ts';
import { prepareChecks } from '../app/parameters.ts';
import { createTracer } from '../app/trace.ts';
import { prepareModule } from '../app/user-module.ts';
import { CeleryError, OperationalError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { createLogger } from '../core/logger.ts';
import { expand } from '../core/nodename.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import type { ChildInit } from './child-init.ts';
import { ChildRuns } from './child-runs.ts';
import { FrameReader, FrameWriter } from './frames.ts';
import { JobFrameReader } from './job-frames.ts';
import type { ChildMessage, ReadParentMessage } from './messages.ts';
import { decodeParentMessage, encodeChildMessage } from './messages.ts';
import type { Redirection } from './redirect.ts';
import { redirectOutput } from './redirect.ts';

const CHANNEL_FD = 3;
/** What closing the app's connections may take at the end. */
const CLOSE_TIMEOUT_MS = 3_000;

interface Loaded {
  readonly app: Celery;
  /** What receivers of signals are told of this process. */
  readonly event: ProcessEvent;
  readonly runs: ChildRuns;
}

class Child {
  readonly #writer: FrameWriter;
  #prepared: Promise<void> | undefined;
  #loaded: Loaded | undefined;
  #logger: Logger | undefined;
  #output: Redirection | undefined;
  #isEnding = false;

  constructor(socket: Socket) {
    this.#writer = new FrameWriter(socket);
    const jobs = new JobFrameReader();
    const reader = new FrameReader((header, parts) => {
      this.#onMessage(decodeParentMessage(header, parts, jobs));
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

  #onMessage(message: ReadParentMessage): void {
    switch (message.kind) {
      case 'prepare':
        // What goes wrong here goes wrong again when the app is loaded, and is told there.
        this.#prepared = prepareModule(message.file).catch(() => undefined);
        break;
      case 'init':
        void this.#load(message);
        break;
      case 'job':
        this.#runs.take(message);
        break;
      case 'recall':
        this.#runs.recall();
        break;
      case 'soft-limit':
        this.#runs.softLimit(message.number, message.seconds);
        break;
      case 'abort':
        this.#runs.giveUp(message.number);
        break;
      case 'stored':
        this.#runs.stored(message.sequence, message.error);
        break;
      case 'shutdown':
        void this.#end();
        break;
      default:
        message satisfies never;
    }
  }

  /** The supervisor sends jobs only when the app is loaded. */
  get #runs(): ChildRuns {
    if (this.#loaded === undefined) throw new OperationalError('A job arrived before the app was loaded.');
    return this.#loaded.runs;
  }

  async #load(message: Extract<ReadParentMessage, { kind: 'init' }>): Promise<void> {
    const { init, name, index, title, isConcurrent } = message;
    try {
      process.title = title;
      const logger = openLog(init, name, index);
      this.#logger = logger;
      if (init.redirectStdouts) this.#output = redirectOutput(logger, init.redirectLevel);
      await this.#prepared;
      const app = await loadTasks(init);
      const event = { sender: init.hostname, app, pid: process.pid };
      await workerProcessInit.send(event, logger);
      this.#loaded = { app, event, runs: this.#createRuns(createTracer(app, { logger }), isConcurrent) };
      this.#send({ kind: 'ready', tasks: [...app.tasks.keys()] });
      // While nobody waits for it.
      setImmediate(prepareChecks);
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

  #createRuns(tracer: Tracer, isConcurrent: boolean): ChildRuns {
    return new ChildRuns({
      tracer,
      isConcurrent,
      send: (message) => {
        this.#send(message);
      },
      flush: () => {
        this.#writer.flush();
      },
      onIdle: () => this.#output?.flush(),
      onTerminated: () => {
        this.#die();
      },
    });
  }

  /** An error that no code caught: the task that runs fails with it, and this process is not used any more. */
  #onEscaped(error: unknown): void {
    if (this.#loaded === undefined) {
      void this.#failToLoad(error);
      return;
    }
    if (this.#loaded.runs.takeEscaped(error)) return;
    this.#logger?.error(
      'An error that no task caught, in code that one left running; this process is replaced.',
      error,
    );
  }

  /** The supervisor ends this process, and what it runs. */
  terminate(): void {
    if (this.#loaded === undefined) this.#die();
    else this.#loaded.runs.terminate();
  }

  #die(): void {
    this.#output?.flush();
    this.#writer.flush();
    dieOf('SIGTERM');
  }

  async #end(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const timeout = setTimeout(() => {
      exit(0);
    }, CLOSE_TIMEOUT_MS);
    try {
      if (this.#loaded !== undefined) await workerProcessShutdown.send(this.#loaded.event, this.#logger);
      await this.#loaded?.app.close();
      await this.#writer.sent();
    } catch (error) {
      this.#logger?.error('The connections of this process could not be closed.', error);
    }
    clearTimeout(timeout);
    exit(0);
  }
}

async function loadTasks(init: ChildInit): Promise<Celery> {
  const { app, file } = await loadApp(init.appSpec, { cwd: init.cwd });
  const { cwd, configFile, environment, commandLine } = init;
  await applyConfig(app, { cwd, file, configFile, environment, commandLine });
  await importTasks(app, { cwd, file });
  return app;
}

function openLog(init: ChildInit, name: string, index: number): Logger {
  const { destination, ...log } = init.log;
  return createLogger({
    ...log,
    destination: destination === undefined ? 2 : expand(destination, { nodename: init.hostname, index }),
    processName: name,
  });
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
