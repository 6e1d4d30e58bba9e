import type { ChildProcess as NodeChild } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { AppLoadError, WorkerLostError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Timer, TimerHandle } from '../core/timer.ts';
import type { Outcome } from '../message/outcome.ts';
import { errorRepr, toRemoteError } from '../message/remote-error.ts';
import type { ChildInit } from './child-init.ts';
import { FrameReader, FrameWriter } from './frames.ts';
import type { ChildMessage, ParentMessage } from './messages.ts';
import { decodeChildMessage, encodeParentMessage } from './messages.ts';
import type { PoolProcess } from './pool.ts';
import { type JobCall, RunningJob } from './running-job.ts';
import { childTitle, describeExit, openSocket, processEnd, spawnChild } from './spawn-child.ts';

/** Between TERM and KILL at the hard time limit and at a cold shutdown. */
const KILL_AFTER_MS = 400;
/** The same for a task that is revoked: what it has to clean up when its signal is aborted. */
const TERMINATE_GRACE_MS = 2_000;
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

export interface ChildListener {
  /** The app is loaded: the child takes a job. */
  onReady(child: ChildProcess): void;
  /** It may finish what it runs, but is not to get another job. */
  onBroken(child: ChildProcess): void;
  /** It did not begin these jobs, and will not. */
  onReturned(child: ChildProcess, jobs: readonly JobCall[]): void;
  onExit(child: ChildProcess, exit: ChildExit): void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why the child never became ready; undefined when it did. */
  readonly bootError: Error | undefined;
}

/** One child process: starting it, one job after the other, time limits, and its end. */
export class ChildProcess implements PoolProcess {
  readonly name: string;
  readonly index: number;
  /** 0 when the process could not even be started. */
  readonly pid: number;
  readonly #options: ChildOptions;
  readonly #listener: ChildListener;
  readonly #node: NodeChild;
  readonly #writer: FrameWriter;
  readonly #exited: Promise<void>;
  /** The one that runs, and those that were given ahead. */
  readonly #queue: RunningJob[] = [];
  #boot: 'starting' | 'loading' | 'ready' | 'failed' = 'starting';
  #bootError: Error | undefined;
  #deadline: TimerHandle | undefined;
  #jobs = 0;
  #numbers = 0;
  /** Begins no job any more. */
  #isBroken = false;
  /** Gets no job any more. */
  #isRetired = false;
  #isClosing = false;
  #hasExited = false;

  constructor(options: ChildOptions, listener: ChildListener) {
    this.#options = options;
    this.#listener = listener;
    this.name = options.name;
    this.index = options.index;
    const title = childTitle(options.init.hostname, options.name);
    this.#node = options.early ?? spawnChild(title);
    this.pid = this.#node.pid ?? 0;
    const socket = openSocket(this.#node);
    this.#writer = new FrameWriter(socket);
    this.#exited = this.#watch(socket);
    this.#send({ kind: 'init', init: options.init, name: this.name, index: this.index, title });
    this.#expectWithin(
      options.aliveTimeoutMs,
      (limit) => new WorkerLostError(`A child process did not start within ${limit}.`),
    );
  }

  /** Jobs it has finished. */
  get jobs(): number {
    return this.#jobs;
  }

  get isReady(): boolean {
    return this.#boot === 'ready' && !this.#hasExited;
  }

  /** Whether it may be given another job. */
  get isUsable(): boolean {
    return this.isReady && !this.#isBroken && !this.#isRetired && !this.#isClosing;
  }

  get isBusy(): boolean {
    return this.#queue.length > 0;
  }

  get running(): RunningJob | undefined {
    return this.#queue[0];
  }

  /** Jobs that wait behind the one that runs. */
  get ahead(): number {
    return Math.max(0, this.#queue.length - 1);
  }

  /** Resolves when the process is gone and its last words are read. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Gives the child a job; one that is busy runs it after those that it has. */
  run(call: JobCall, onEnd: (outcome: Outcome) => void): void {
    this.#numbers += 1;
    const number = this.#numbers;
    try {
      this.#send({ kind: 'job', number, job: call.job, reportMemory: this.#options.maxMemoryKb !== null });
    } catch (error) {
      // Headers or a body that cannot be passed on, such as a date out of range: no fault of this process.
      onEnd(unsendable(error));
      return;
    }
    const running = new RunningJob(number, call, onEnd);
    if (this.#queue.push(running) === 1) this.#begin(running);
  }

  #begin(running: RunningJob): void {
    const { number } = running;
    const { events } = running.call;
    running.start(this.#options.timer, {
      onSoftLimit: (seconds) => {
        this.#send({ kind: 'soft-limit', number, seconds });
        events.onSoftTimeout(seconds);
      },
      onHardLimit: () => {
        running.isTimedOut = true;
        this.#end(running, KILL_AFTER_MS);
      },
    });
    events.onAccepted(this);
  }

  /** It runs what it has, and gets no more. */
  retire(): void {
    this.#isRetired = true;
  }

  /** Asks for the jobs back that it has not begun. */
  recall(): void {
    this.#send({ kind: 'recall' });
  }

  /** Sends a signal to the process for its running task, whose outcome is `terminated` if the process ends of it. */
  terminate(signal: NodeJS.Signals): void {
    const { running } = this;
    this.#isBroken = true;
    if (this.ahead > 0) this.recall();
    if (running !== undefined) running.terminatedBy = signal;
    if (running !== undefined && signal === 'SIGTERM') this.#end(running, TERMINATE_GRACE_MS);
    else this.#kill(signal);
  }

  /** Lets the child end by itself when it has nothing to do any more. */
  async close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#deadline?.cancel();
      this.#send({ kind: 'shutdown' });
      this.#deadline = this.#options.timer.callAfter(CLOSE_GRACE_MS, () => {
        this.#kill('SIGKILL');
      });
    }
    await this.#exited;
  }

  /** Ends it, and the task that it runs, at once. */
  async kill(): Promise<void> {
    this.#isClosing = true;
    if (this.running === undefined) {
      this.#kill('SIGKILL');
    } else {
      this.#kill('SIGTERM');
      this.#deadline?.cancel();
      // Holds also when the task ends by itself meanwhile: its process may go on.
      this.#deadline = this.#options.timer.callAfter(KILL_AFTER_MS, () => {
        this.#kill('SIGKILL');
      });
    }
    await this.#exited;
  }

  #send(message: ParentMessage): void {
    const { header, parts } = encodeParentMessage(message);
    this.#writer.send(header, parts);
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
        this.#giveUp('it sent what is no frame', error);
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
        this.#kill('SIGKILL');
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

  #giveUp(reason: string, error: unknown): void {
    this.#options.logger.error(`Process '${this.name}' pid:${this.pid} is replaced: ${reason}`, error);
    this.#kill('SIGKILL');
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
        this.#listener.onReady(this);
        break;
      case 'failed':
        this.#failBoot(loadError(message.message, message.stack));
        break;
      case 'state':
        void this.#storeState(message);
        break;
      case 'outcome':
        this.#finish(message);
        break;
      case 'returned':
        this.#onReturned(message.number);
        break;
      case 'broken':
        this.#isBroken = true;
        this.#listener.onBroken(this);
        break;
      default:
        message satisfies never;
    }
  }

  #finish(message: Extract<ChildMessage, { kind: 'outcome' }>): void {
    this.#jobs += 1;
    const { maxMemoryKb } = this.#options;
    const isTooLarge = maxMemoryKb !== null && message.memoryKb !== null && message.memoryKb > maxMemoryKb;
    const { running } = this;
    // Too late: it is being killed at its hard limit, and that is how the task ended.
    if (running?.isTimedOut === true) return;
    // The signal for this task may end the process only now, and would take the next one with it.
    const isSignalled = running?.terminatedBy !== undefined;
    if (message.isBroken || isTooLarge || isSignalled) {
      this.#isBroken = true;
      this.#listener.onBroken(this);
    }
    this.#settle(message.outcome);
  }

  /** The running job has ended; the next one begins, unless the child will not run it any more. */
  #settle(outcome: Outcome): void {
    const ended = this.#queue.shift();
    if (ended === undefined) return;
    ended.cancelLimits();
    const next = this.running;
    if (next !== undefined && !this.#isBroken) this.#begin(next);
    ended.onEnd(outcome);
  }

  #onReturned(number: number): void {
    const at = this.#queue.findIndex((each) => each.number === number);
    const [returned] = at === -1 ? [] : this.#queue.splice(at, 1);
    if (returned === undefined) return;
    returned.cancelLimits();
    const next = this.running;
    if (at === 0 && next !== undefined && !this.#isBroken) this.#begin(next);
    this.#listener.onReturned(this, [returned.call]);
  }

  async #storeState(message: Extract<ChildMessage, { kind: 'state' }>): Promise<void> {
    const { sequence, update } = message;
    try {
      await this.running?.call.events.onState(update);
      this.#send({ kind: 'stored', sequence, error: null });
    } catch (error) {
      this.#send({ kind: 'stored', sequence, error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Tells the child to die: it aborts the task's signal first. A task that does not listen to it is not waited for. */
  #end(running: RunningJob, graceMs: number): void {
    this.#kill('SIGTERM');
    running.endAfter(this.#options.timer, graceMs, () => {
      this.#kill('SIGKILL');
    });
  }

  #expectWithin(ms: number, makeError: (limit: string) => Error): void {
    this.#deadline?.cancel();
    this.#deadline = this.#options.timer.callAfter(ms, () => {
      this.#failBoot(makeError(`${ms / 1000} s`));
      this.#kill('SIGKILL');
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
    if (!this.#isEndExplained()) {
      this.#options.logger.error(
        `Process '${this.name}' pid:${this.pid} exited with '${describeExit(code, signal)}'`,
      );
    }
    if (this.#boot !== 'ready' && !this.#isClosing) {
      this.#bootError ??= new WorkerLostError(
        `The child process ended with ${describeExit(code, signal)} before it had loaded the app.`,
      );
    }
    // The listener first: it counts this child out before the outcome brings the next job.
    this.#listener.onExit(this, { code, signal, bootError: this.#bootError });
    // It tells of each end before it begins the next job: those behind the running one have not begun.
    const unstarted = this.#queue.splice(1).map(({ call }) => call);
    if (this.running !== undefined) this.#settle(this.running.outcomeOfExit(code, signal));
    if (unstarted.length > 0) this.#listener.onReturned(this, unstarted);
  }

  /** We ended it, or others are told why it ended. */
  #isEndExplained(): boolean {
    return this.#isClosing || this.#bootError !== undefined || this.running?.isEndedByUs === true;
  }

  #kill(signal: NodeJS.Signals): void {
    if (this.pid !== 0 && this.#node.exitCode === null && this.#node.signalCode === null) {
      this.#node.kill(signal);
    }
  }
}

function unsendable(error: unknown): Outcome {
  return {
    kind: 'failure',
    seconds: 0,
    children: [],
    embed: null,
    error: toRemoteError(error),
    expected: false,
    repr: errorRepr(error),
  };
}

function loadError(message: string, stack: string | null): AppLoadError {
  const error = new AppLoadError(message);
  if (stack !== null) error.stack = stack;
  return error;
}
