import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as LoggerModule from '../../src/core/logger.ts';
import type { Logger } from '../../src/core/logger.ts';
import type { Outcome } from '../../src/message/outcome.ts';
import type { ChildInit } from '../../src/pool/child-init.ts';
import type { Job, JobEvents, PoolProcess, StateUpdate } from '../../src/pool/pool.ts';
import type * as AsyncModule from '../../src/pool/async-pool.ts';
import type * as PreforkModule from '../../src/pool/prefork.ts';
import type { PreforkOptions, ProcessPool } from '../../src/pool/prefork.ts';

// The built code: children are separate processes, which start from it.
const BUILD = join(import.meta.dirname, '../../build');
const { createLogger } = (await import(join(BUILD, 'core/logger.js'))) as typeof LoggerModule;
const { createPreforkPool } = (await import(join(BUILD, 'pool/prefork.js'))) as typeof PreforkModule;
const { createAsyncPool } = (await import(join(BUILD, 'pool/async-pool.js'))) as typeof AsyncModule;

const FIXTURES = join(import.meta.dirname, '../fixtures/pool');
const FORMAT = '[%(levelname)s/%(processName)s] %(message)s';
const TASK_FORMAT = '[%(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s';

export type PoolSettings = Partial<Omit<PreforkOptions, 'child' | 'logger'>> & {
  /** Child processes of an async pool; without it the pool is prefork. */
  readonly processes?: number;
  /** Fixture module. */
  readonly app?: string;
  readonly child?: Partial<ChildInit>;
  /** For all log files together. */
  readonly logName?: string;
};

/** A pool of child processes, of a fixture app that logs to a file. */
export class TestPool implements AsyncDisposable {
  readonly pool: ProcessPool;
  readonly folder = mkdtempSync(join(tmpdir(), 'celery-ts-pool-'));
  readonly #logger: Logger;
  readonly #logFile: string;
  #ids = 0;

  constructor(options: PoolSettings = {}) {
    const { app = 'tasks.js', child, logName = 'worker.log', processes, ...settings } = options;
    this.#logFile = join(this.folder, 'worker.log');
    const log = { level: 'INFO', format: FORMAT, taskFormat: TASK_FORMAT, color: false } as const;
    this.#logger = createLogger({ ...log, destination: this.#logFile, processName: 'MainProcess' });
    const all: PreforkOptions = {
      size: 1,
      maxTasksPerChild: null,
      maxMemoryPerChildKb: null,
      aliveTimeoutMs: 20_000,
      ...settings,
      logger: this.#logger,
      child: {
        appSpec: app,
        cwd: FIXTURES,
        environment: {},
        commandLine: {},
        configFile: null,
        hostname: 'worker@example.com',
        log: { ...log, destination: join(this.folder, logName) },
        redirectStdouts: true,
        redirectLevel: 'WARNING',
        ...child,
      },
    };
    this.pool = processes === undefined ? createPreforkPool(all) : createAsyncPool({ ...all, processes });
  }

  start(): Promise<void> {
    return this.pool.start(new AbortController().signal);
  }

  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  job(task: string, args: readonly unknown[] = [], change: Partial<Job> = {}): Job {
    this.#ids += 1;
    return testJob(`id-${this.#ids}`, task, args, change);
  }

  /** Runs a task; its outcome and what the pool told on the way. */
  async run(task: string, args: readonly unknown[] = [], change: Partial<Job> = {}): Promise<Report> {
    const events = new Events();
    const outcome = await this.pool.submit(this.job(task, args, change), events);
    return { outcome, events, value: valueOf(outcome) };
  }

  /** Starts a task; resolves when a process has it. */
  async begin(
    task: string,
    args: readonly unknown[] = [],
    change: Partial<Job> = {},
  ): Promise<{ process: PoolProcess; outcome: Promise<Outcome>; id: string }> {
    const events = new Events();
    const job = this.job(task, args, change);
    const outcome = this.pool.submit(job, events);
    return { process: await events.accepted, outcome, id: job.id };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.kill();
    this.#logger.close();
    await rm(this.folder, { recursive: true });
  }
}

export interface Report {
  readonly outcome: Outcome;
  readonly events: Events;
  /** Decoded result of a success. */
  readonly value: unknown;
}

/** Remembers what a pool told about a job. */
export class Events implements JobEvents {
  readonly states: [string, unknown][] = [];
  readonly softTimeouts: number[] = [];
  readonly accepted: Promise<PoolProcess>;
  readonly onAccepted: (process: PoolProcess) => void;
  acceptances = 0;

  constructor() {
    let accept: ((process: PoolProcess) => void) | undefined;
    this.accepted = new Promise((resolve) => (accept = resolve));
    this.onAccepted = (process) => {
      this.acceptances += 1;
      accept?.(process);
    };
  }

  onState(update: StateUpdate): Promise<void> {
    this.states.push([update.state, JSON.parse(update.meta.bytes.toString())]);
    return Promise.resolve();
  }

  onSoftTimeout(seconds: number): void {
    this.softTimeouts.push(seconds);
  }
}

/** A job as the worker makes it of a message. */
export function testJob(
  id: string,
  task: string,
  args: readonly unknown[] = [],
  change: Partial<Job> = {},
): Job {
  const embed = { callbacks: null, errbacks: null, chain: null, chord: null };
  return {
    id,
    task,
    headers: {
      lang: 'py',
      task,
      id,
      shadow: null,
      eta: null,
      expires: null,
      group: null,
      group_index: null,
      retries: 0,
      timelimit: [null, null],
      root_id: id,
      parent_id: null,
      argsrepr: '()',
      kwargsrepr: '{}',
      origin: 'gen1@host',
      ignore_result: false,
      replaced_task_nesting: 0,
      stamped_headers: null,
      stamps: {},
    },
    userHeaders: null,
    body: Buffer.from(JSON.stringify([args, {}, embed])),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    ignoreResult: false,
    deliveryInfo: { exchange: '', routing_key: 'celery', priority: null, redelivered: false },
    replyTo: null,
    correlationId: id,
    hostname: 'worker@example.com',
    timeLimit: undefined,
    softTimeLimit: undefined,
    ...change,
  };
}

function valueOf(outcome: Outcome): unknown {
  return outcome.kind === 'success' ? JSON.parse(outcome.result.bytes.toString()) : undefined;
}

/** Whether a process of that pid exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits for a thing that nothing announces. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10));
}
