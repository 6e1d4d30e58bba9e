import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAMS, type Command } from './contenders.ts';
import type { Bench } from './model.ts';
import { treeOf } from './proc.ts';

/** What the tasks have counted so far, over all processes. */
export interface Count {
  readonly tasks: number;
  /** Milliseconds since 1970 of the first and the last task. */
  readonly first: number;
  readonly last: number;
}

/** No task for so long means that there will be none. */
const STALLED_MS = 30_000;
const STOP_MS = 15_000;

/** A program of a contender that runs: its output goes to a file, its tasks are counted. */
export class Running implements AsyncDisposable {
  /** Milliseconds since 1970. */
  readonly started = Date.now();
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #running: Set<Running>;

  constructor(bench: Bench, { command, args, bench: settings }: Command) {
    this.#folder = mkdtempSync(join(bench.folder, 'run-'));
    const log = openSync(join(this.#folder, 'log'), 'w');
    this.#child = spawn(command, args, {
      cwd: PROGRAMS,
      env: {
        ...process.env,
        NODE_OPTIONS: undefined,
        BENCH: JSON.stringify(settings),
        BENCH_COUNTERS: this.#folder,
        PYTHONDONTWRITEBYTECODE: '1',
        // Celery warns of it; the bench owns the machine.
        C_FORCE_ROOT: '1',
      },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    // Told by the missing process id.
    this.#child.on('error', () => undefined);
    this.#running = bench.running;
    this.#running.add(this);
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.#child.spawnfile} could not be started`);
    return pid;
  }

  /** The processes of it, the supervisor first. */
  get tree(): number[] {
    return treeOf(this.pid);
  }

  get log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }

  get count(): Count {
    let [tasks, first, last] = [0, Infinity, 0];
    for (const file of readdirSync(this.#folder)) {
      if (file === 'log') continue;
      const bytes = readFileSync(join(this.#folder, file));
      if (bytes.length < 24 || bytes.readDoubleLE(0) === 0) continue;
      tasks += bytes.readDoubleLE(0);
      first = Math.min(first, bytes.readDoubleLE(8));
      last = Math.max(last, bytes.readDoubleLE(16));
    }
    return { tasks, first, last };
  }

  /**
   * Resolves with the count once at least so many tasks have run, or the limit has passed.
   *
   * @throws {Error} the program has ended, or no task has run for 30 seconds
   * @param limitMs default: none
   */
  async until(tasks: number, pollMs = 25, limitMs = Infinity): Promise<Count> {
    const begin = Date.now();
    let seen = this.count;
    let since = Date.now();
    while (seen.tasks < tasks) {
      this.#mustRun();
      if (Date.now() - since > STALLED_MS) throw new Error(`stalled after ${seen.tasks} of ${tasks} tasks`);
      if (Date.now() - begin > limitMs) return seen;
      await sleep(pollMs);
      const now = this.count;
      if (now.tasks > seen.tasks) since = Date.now();
      seen = now;
    }
    return seen;
  }

  /** Resolves as soon as this is in the log. */
  async untilLogged(text: string): Promise<void> {
    const begin = Date.now();
    while (!this.log.includes(text)) {
      this.#mustRun();
      if (Date.now() - begin > STALLED_MS) throw new Error(`${text} was never logged`);
      await sleep(3);
    }
  }

  /** Waits for its end and gives what it printed. */
  async output(): Promise<string> {
    if (this.#isRunning) await once(this.#child, 'exit');
    if (this.#child.exitCode !== 0)
      throw new Error(`ended with ${this.#child.exitCode}: ${this.log.slice(-2_000)}`);
    return this.log;
  }

  /** Asks for a warm shutdown; what is not gone in time is killed. */
  async stop(): Promise<void> {
    const tree = this.tree;
    if (this.#isRunning) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
    }
    await this.#kill(tree);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid !== undefined) await this.#kill(this.tree);
    this.#running.delete(this);
  }

  get #isRunning(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid !== undefined && exitCode === null && signalCode === null;
  }

  #mustRun(): void {
    if (!this.#isRunning) throw new Error(`the program has ended: ${this.log.slice(-2_000)}`);
  }

  async #kill(tree: readonly number[]): Promise<void> {
    const ended = this.#isRunning ? once(this.#child, 'exit') : undefined;
    const gone = new Set(this.#isRunning ? [] : [this.pid]);
    for (const pid of tree) {
      // Only what is still one of ours: its folder for counters is in its environment.
      if (gone.has(pid) || !this.#isOurs(pid)) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
    await ended;
  }

  #isOurs(pid: number): boolean {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(this.#folder);
    } catch {
      return false;
    }
  }
}
