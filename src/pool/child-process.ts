import type { ChildProcess as NodeChild } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { AppLoadError, WorkerLostError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Timer, TimerHandle } from '../core/timer.ts';
import type { ChildInit } from './child-init.ts';
import { FrameReader, FrameWriter } from './frames.ts';
import { JobFrameWriter } from './job-frames.ts';
import type { ChildMessage, ParentMessage } from './messages.ts';
import { decodeChildMessage, encodeParentMessage } from './messages.ts';
import type { PoolProcess } from './pool.ts';
import { childTitle, describeExit, openSocket, processEnd, spawnChild } from './spawn-child.ts';

/** Between TERM and KILL at the hard time limit and at a cold shutdown. */
export const KILL_AFTER_MS = 400;
/** The same for a task that is revoked: what it has to clean up when its signal is aborted. */
export const TERMINATE_GRACE_MS = 2_000;
/** What exit handlers may take before a child that was told to end is killed. */
const CLOSE_GRACE_MS = 5_000;
/** What a process that has ended may still have in its socket arrives at once, unless someone else holds the other end. */
const LAST_WORDS_MS = 1_000;
/** Loading the app may take that many times as long as starting the process. */
const LOAD_FACTOR = 15;

export interface ChildOptions {
  /** As logs name it: `ForkPoolWorker-3`. */
  readonly name: string;
  /** Number of its slot, from 1; in the names of log files. */
  readonly index: number;
  readonly init: ChildInit;
  readonly logger: Logger;
  /** Shared by all children of a pool. */
  readonly timer: Timer;
  /** A process that was started before, see `EarlyChildren`; undefined: start one. */
  readonly early: NodeChild | undefined;
  /** Milliseconds within which the process has to show up. */
  readonly aliveTimeoutMs: number;
  /** KiB of resident memory after which the child is replaced; null = no limit. */
  readonly maxMemoryKb: number | null;
}

/** What a child says about jobs. */
export type JobMessage = Exclude<ChildMessage, { kind: 'alive' | 'ready' | 'failed' }>;

/** Who has the jobs of a child process. */
export interface ProcessOwner {
  /** The app is loaded: the child takes a job. */
  onReady(): void;
  onMessage(message: JobMessage): void;
  /** Whether an end of the process would be our doing. */
  isEndExpected(): boolean;
  onExit(exit: ChildExit): void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why the child never became ready; undefined when it did. */
  readonly bootError: Error | undefined;
}

/** One child process: its start, the messages to and from it, and its end. Whoever owns it knows what it runs. */
export class ChildProcess implements PoolProcess {
  readonly name: string;
  /** 0 when the process could not even be started. */
  readonly pid: number;
  readonly #options: ChildOptions;
  readonly #owner: ProcessOwner;
  readonly #node: NodeChild;
  readonly #writer: FrameWriter;
  readonly #jobs = new JobFrameWriter();
  readonly #exited: Promise<void>;
  #boot: 'starting' | 'loading' | 'ready' | 'failed' = 'starting';
  #bootError: Error | undefined;
  #deadline: TimerHandle | undefined;
  #isClosing = false;
  #hasExited = false;

  /** @param isConcurrent it runs its jobs at the same time, not one after the other */
  constructor(options: ChildOptions, isConcurrent: boolean, owner: ProcessOwner) {
    this.#options = options;
    this.#owner = owner;
    this.name = options.name;
    const { name, index, init } = options;
    const title = childTitle(init.hostname, name);
    this.#node = options.early ?? spawnChild(title);
    this.pid = this.#node.pid ?? 0;
    const socket = openSocket(this.#node);
    this.#writer = new FrameWriter(socket);
    this.#exited = this.#watch(socket);
    this.send({ kind: 'init', init, name, index, title, isConcurrent });
    this.#expectWithin(
      options.aliveTimeoutMs,
      (limit) => new WorkerLostError(`A child process did not start within ${limit}.`),
    );
  }

  /** It has loaded the app, and lives. */
  get isReady(): boolean {
    return this.#boot === 'ready' && !this.#hasExited;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  send(message: ParentMessage): void {
    const { header, parts } = encodeParentMessage(message, this.#jobs);
    try {
      this.#writer.send(header, parts);
    } catch (error) {
      this.#jobs.forget();
      throw error;
    }
  }

  /** Writes what was sent, now. */
  flush(): void {
    this.#writer.flush();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid !== 0 && this.#node.exitCode === null && this.#node.signalCode === null) {
      this.#node.kill(signal);
    }
  }

  /** Lets the child end by itself when it has nothing to do any more; resolves when it is gone and its last words are read. */
  async close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#deadline?.cancel();
      this.send({ kind: 'shutdown' });
      this.#deadline = this.#options.timer.callAfter(CLOSE_GRACE_MS, () => {
        this.signal('SIGKILL');
      });
    }
    await this.#exited;
  }

  /** Ends it, and what it runs, at once. @param isBusy it runs something, that is told first */
  async kill(isBusy: boolean): Promise<void> {
    this.#isClosing = true;
    if (!isBusy) {
      this.signal('SIGKILL');
    } else {
      this.signal('SIGTERM');
      this.#deadline?.cancel();
      // Holds also when the task ends by itself meanwhile: its process may go on.
      this.#deadline = this.#options.timer.callAfter(KILL_AFTER_MS, () => {
        this.signal('SIGKILL');
      });
    }
    await this.#exited;
  }

  /** Kills it for a fault of its own. */
  giveUp(reason: string, error?: unknown): void {
    this.#options.logger.error(`Process '${this.name}' pid:${this.pid} is replaced: ${reason}`, error);
    this.signal('SIGKILL');
  }

  async #watch(socket: Duplex): Promise<void> {
    const node = this.#node;
    const reader = new FrameReader((header, parts) => {
      this.#onMessage(decodeChildMessage(header, parts));
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.giveUp('it sent what is no frame', error);
        socket.destroy();
      }
    });
    // A broken socket and a failed start are followed by the end of the process, which settles everything.
    socket.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => {
        resolve();
      });
    });
    // Its end of the socket closes when it ends, or when user code closed the descriptor: then it can never answer.
    let late: TimerHandle | undefined;
    socket.on('end', () => {
      late = this.#options.timer.callAfter(LAST_WORDS_MS, () => {
        this.signal('SIGKILL');
      });
    });
    await processEnd(node);
    late?.cancel();
    late = this.#options.timer.callAfter(LAST_WORDS_MS, () => {
      socket.destroy();
    });
    await closed;
    late.cancel();
    this.#onExit();
  }

  #onMessage(message: ChildMessage): void {
    switch (message.kind) {
      case 'alive':
        this.#boot = 'loading';
        this.#expectWithin(
          this.#options.aliveTimeoutMs * LOAD_FACTOR,
          (limit) =>
            new AppLoadError(
              `A child process did not load the app within ${limit}: its import does not come to an end.`,
            ),
        );
        break;
      case 'ready':
        this.#boot = 'ready';
        if (!this.#isClosing) this.#deadline?.cancel();
        this.#owner.onReady();
        break;
      case 'failed':
        this.#failBoot(loadError(message.message, message.stack));
        break;
      default:
        this.#owner.onMessage(message);
    }
  }

  #expectWithin(ms: number, makeError: (limit: string) => Error): void {
    this.#deadline?.cancel();
    this.#deadline = this.#options.timer.callAfter(ms, () => {
      this.#failBoot(makeError(`${ms / 1000} s`));
      this.signal('SIGKILL');
    });
  }

  #failBoot(error: Error): void {
    this.#boot = 'failed';
    this.#bootError ??= error;
  }

  #onExit(): void {
    this.#hasExited = true;
    this.#deadline?.cancel();
    const { exitCode: code, signalCode: signal } = this.#node;
    // What we did, or what others are told, needs no line here.
    if (!this.#isClosing && this.#bootError === undefined && !this.#owner.isEndExpected()) {
      this.#options.logger.error(
        `Process '${this.name}' pid:${this.pid} exited with '${describeExit(code, signal)}'`,
      );
    }
    if (this.#boot !== 'ready' && !this.#isClosing) {
      this.#bootError ??= new WorkerLostError(
        `The child process ended with ${describeExit(code, signal)} before it had loaded the app.`,
      );
    }
    this.#owner.onExit({ code, signal, bootError: this.#bootError });
  }
}

function loadError(message: string, stack: string | null): AppLoadError {
  const error = new AppLoadError(message);
  if (stack !== null) error.stack = stack;
  return error;
}
