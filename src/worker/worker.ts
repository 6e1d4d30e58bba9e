import type { Celery } from '../app/celery.ts';
import { deferred } from '../core/async.ts';
import type { Logger } from '../core/logger.ts';
import type { Pool } from '../pool/pool.ts';
import type { Queue } from '../transport/topology.ts';
import { Blueprint } from './blueprint.ts';

/** `warm`: running tasks finish, all other messages go back to the broker. `cold`: running tasks are ended too. */
export type StopMode = 'warm' | 'cold';

/** How a worker ended: on request, or by itself with the error that cannot be helped by trying again. */
export interface WorkerEnd {
  readonly how: StopMode | 'failed';
  readonly error: Error | undefined;
}

/** What the terminal is told; each is called at most once unless said otherwise. */
export interface WorkerListener {
  /** Messages removed by the `purge` option. */
  onPurged?(count: number): void;
  /** All queues are consumed. */
  onReady?(): void;
  /** A shutdown began, or got harder: at most once for each mode. */
  onStopping?(how: StopMode): void;
}

export interface WorkerOptions {
  /** Full node name, `celery@host`. */
  readonly hostname: string;
  /** Runs the tasks; its size is the worker's concurrency. Started and stopped by the worker. */
  readonly pool: Pool;
  readonly logger: Logger;
  /** Names of the queues to consume (`-Q`) instead of all of `task_queues`. */
  readonly queues?: readonly string[];
  /** Names of the queues not to consume (`-X`). */
  readonly excludeQueues?: readonly string[];
  /** Messages taken ahead for each slot; 0 = no limit. Default: `worker_prefetch_multiplier`. */
  readonly prefetchMultiplier?: number;
  /** Remove all messages that wait in the queues before consuming. Default false. */
  readonly purge?: boolean;
  readonly listener?: WorkerListener;
}

/**
 * The daemon: takes task messages of one app from the broker, has the pool run them and settles their outcomes.
 *
 * It leaves the app open: whoever made the app closes it after `finished`.
 */
export class Worker {
  readonly hostname: string;
  /** Resolves when the worker has stopped and everything it opened is closed. Never rejects. */
  readonly finished: Promise<WorkerEnd>;
  readonly #finished = deferred<WorkerEnd>();
  readonly #blueprint: Blueprint;
  readonly #app: Celery;
  readonly #options: WorkerOptions;

  /** @throws {QueueNotFound} a queue of `-Q` is not defined and `task_create_missing_queues` is off */
  constructor(app: Celery, options: WorkerOptions) {
    this.#app = app;
    this.#options = options;
    this.hostname = options.hostname;
    this.finished = this.#finished.promise;
    if (options.queues !== undefined) app.queues.select(options.queues);
    if (options.excludeQueues !== undefined) app.queues.deselect(options.excludeQueues);
    const { pool, logger } = options;
    this.#blueprint = new Blueprint(
      [{ name: 'pool', start: (signal) => pool.start(signal), stop: () => pool.stop() }],
      logger,
    );
  }

  /** The queues it consumes, as the banner lists them. */
  get queues(): readonly Queue[] {
    return this.#app.queues.consumeFrom;
  }

  /**
   * Resolves when the worker is ready, or was stopped before that.
   *
   * @param signal - aborting it stops the worker warmly
   * @throws the error that ended the worker before it was ready; `finished` resolves too, then
   */
  async start(signal: AbortSignal): Promise<void> {
    await this.#blueprint.start(signal);
    this.#options.listener?.onReady?.();
  }

  /**
   * Resolves like `finished`. Repeating it waits for the same end; `cold` during a warm stop ends the running tasks.
   */
  async stop(how: StopMode): Promise<void> {
    this.#options.listener?.onStopping?.(how);
    await this.#blueprint.stop();
    this.#finished.resolve({ how, error: undefined });
  }
}
