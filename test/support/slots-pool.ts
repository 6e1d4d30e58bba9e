import type { Celery } from '../../src/app/celery.ts';
import { createTracer } from '../../src/app/trace.ts';
import type { Tracer } from '../../src/app/trace.ts';
import type { Logger } from '../../src/core/logger.ts';
import type { Outcome } from '../../src/message/outcome.ts';
import type { Job, JobEvents, Pool } from '../../src/pool/pool.ts';

/** Runs several tasks at a time in the process of the tests, with a kill that a process of its own would have. */
export class SlotsPool implements Pool {
  readonly name = 'slots';
  readonly pids = [process.pid];
  readonly size: number;
  /** Jobs that were started, in order. */
  readonly started: Job[] = [];
  readonly #tracer: Tracer;
  readonly #running = new Map<Job, (outcome: Outcome) => void>();
  readonly #waiting: (() => void)[] = [];
  readonly #drainWaiters: (() => void)[] = [];

  constructor(app: Celery, logger: Logger, size = 2) {
    this.#tracer = createTracer(app, { logger });
    this.size = size;
  }

  get free(): number {
    return this.size - this.#running.size;
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  submit(job: Job, events: JobEvents): Promise<Outcome> {
    return new Promise((done) => {
      const run = (): void => void this.#run(job, events, done);
      if (this.free > 0) run();
      else this.#waiting.push(run);
    });
  }

  takeWaiting(): readonly string[] {
    this.#waiting.length = 0;
    return [];
  }

  terminate(taskId: string, signal: NodeJS.Signals): boolean {
    for (const [job, end] of this.#running) {
      if (job.id !== taskId) continue;
      end({ kind: 'terminated', signal });
      return true;
    }
    return false;
  }

  async grow(): Promise<void> {
    await Promise.resolve();
  }

  async shrink(): Promise<void> {
    await Promise.resolve();
  }

  drained(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  stop(): Promise<void> {
    return this.drained();
  }

  async kill(): Promise<void> {
    for (const end of [...this.#running.values()]) end({ kind: 'lost', exitCode: null, signal: 'SIGKILL' });
    await this.drained();
  }

  stats(): Readonly<Record<string, unknown>> {
    return {};
  }

  async #run(job: Job, events: JobEvents, done: (outcome: Outcome) => void): Promise<void> {
    const abort = new AbortController();
    const end = (outcome: Outcome): void => {
      if (!this.#running.delete(job)) return;
      done(outcome);
      this.#waiting.shift()?.();
      if (this.#running.size === 0) for (const resolve of this.#drainWaiters.splice(0)) resolve();
    };
    this.#running.set(job, end);
    this.started.push(job);
    events.onAccepted({ pid: process.pid, name: 'SlotsWorker-1' });
    end(await this.#tracer(job, { signal: abort.signal, onState: (update) => events.onState(update) }));
  }
}
