import type { Celery } from '../app/celery.ts';
import { workerInit, workerReady, workerShutdown, workerShuttingDown } from '../app/signals.ts';
import type { WorkerEvent } from '../app/signals.ts';
import { setMaxListeners } from 'node:events';
import { deferred, sleep } from '../core/async.ts';
import { OperationalError } from '../core/errors.ts';
import { errorRepr } from '../message/remote-error.ts';
import type { Queue } from '../transport/topology.ts';
import { assemble } from './assembly.ts';
import type { WorkerParts } from './assembly.ts';
import { Blueprint, WORKER_STEPS } from './blueprint.ts';
import type { Bootstep, WorkerStep } from './blueprint.ts';
import type { StopMode, WorkerEnd, WorkerOptions } from './options.ts';
import type { WorkerState } from './state.ts';

export type { StopMode, WorkerEnd, WorkerListener, WorkerOptions } from './options.ts';

/** Settlements under way get this long in a cold shutdown. */
const COLD_SETTLE_MS = 2000;

/**
 * The daemon: takes task messages of one app from the broker, has the pool run them and settles their outcomes.
 *
 * It leaves the app open: whoever made the app closes it after `finished`.
 */
export class Worker {
  readonly hostname: string;
  /** Resolves when the worker has stopped and everything it opened is closed. Never rejects. */
  readonly finished: Promise<WorkerEnd>;
  readonly #app: Celery;
  readonly #options: WorkerOptions;
  readonly #finished = deferred<WorkerEnd>();
  readonly #cold = deferred<undefined>();
  /** Ends what waits: the boot, and the sending of what cannot be sent. */
  readonly #booting = new AbortController();
  readonly #sending = new AbortController();
  #parts: WorkerParts | undefined;
  #blueprint: Blueprint | undefined;
  #mode: StopMode | undefined;
  #failure: Error | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws {ImproperlyConfigured} a queue of `-Q` is not defined and `task_create_missing_queues` is off */
  constructor(app: Celery, options: WorkerOptions) {
    this.#app = app;
    this.#options = options;
    this.hostname = options.hostname;
    this.finished = this.#finished.promise;
    // As many wait for it as there are tasks whose follow-ups are being sent.
    setMaxListeners(0, this.#sending.signal);
    if (options.queues !== undefined) app.queues.select(options.queues);
    if (options.excludeQueues !== undefined) app.queues.deselect(options.excludeQueues);
  }

  /** The queues it consumes, as the banner lists them. */
  get queues(): readonly Queue[] {
    return this.#parts?.consumer.queues ?? this.#app.queues.consumeFrom;
  }

  /** What it has in hand. */
  get state(): WorkerState | undefined {
    return this.#parts?.state;
  }

  /**
   * Resolves when the worker is ready, or was stopped before that.
   *
   * @param signal - aborting it while the worker starts stops it
   * @throws the error that ended the worker before it was ready; `finished` resolves too, then
   */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#blueprint !== undefined || this.#stopping !== undefined) return;
    const giveUp = (): void => {
      void this.stop('warm');
    };
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      await this.#boot();
    } catch (error) {
      if (this.#mode === undefined) {
        await this.#fail(error);
        throw error;
      }
      await this.finished;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Resolves like `finished`. Repeating it waits for the same end; `cold` during a warm stop ends the running tasks. */
  async stop(how: StopMode): Promise<void> {
    if (this.#mode === undefined || (this.#mode === 'warm' && how === 'cold')) {
      this.#mode = how;
      this.#options.listener?.onStopping?.(how);
      void workerShuttingDown.send({ ...this.#event, how }, this.#options.logger);
      if (how === 'cold') this.#cold.resolve(undefined);
      this.#stopping ??= this.#shutDown();
    }
    await this.finished;
  }

  get #event(): WorkerEvent {
    return { sender: this.hostname, app: this.#app };
  }

  async #boot(): Promise<void> {
    const { pool, logger, listener } = this.#options;
    const { signal } = this.#booting;
    await this.#app.ready();
    await workerInit.send(this.#event, logger);
    signal.throwIfAborted();
    const parts = assemble(this.#app, this.#options, {
      sending: this.#sending.signal,
      onFailed: (error) => {
        // There is no broker any more to send to: the end must not wait for it.
        this.#sending.abort(new OperationalError('The worker has given up the broker.', { cause: error }));
        void this.#fail(error);
      },
      onShutdown: () => void this.stop('warm'),
    });
    this.#parts = parts;
    void pool.failed?.then((error) => this.#fail(error));
    parts.events.prepare(signal);
    const steps = this.#steps(parts);
    this.#blueprint = new Blueprint(
      WORKER_STEPS.flatMap((name) => {
        const step = steps[name];
        return step === undefined ? [] : [{ name, ...step }];
      }),
      logger,
    );
    await this.#blueprint.start(signal);
    signal.throwIfAborted();
    logger.info(`${this.hostname} ready.`);
    listener?.onReady?.();
    void workerReady.send(this.#event, logger);
  }

  /** The worker cannot go on: says why, and shuts down warmly. */
  async #fail(error: unknown): Promise<void> {
    if (this.#mode !== undefined || this.#failure !== undefined) return;
    this.#failure = error instanceof Error ? error : new Error(String(error));
    this.#options.logger.critical(`Unrecoverable error: ${errorRepr(error)}`, error);
    this.#stopping ??= this.#shutDown();
    await this.finished;
  }

  async #shutDown(): Promise<void> {
    const { logger } = this.#options;
    const parts = this.#parts;
    try {
      if (parts !== undefined) {
        parts.state.beginStop();
        await parts.consumer.drain();
        await parts.giveBack();
        await Promise.race([parts.state.idle(), this.#cold.promise]);
        if (this.#mode === 'cold') await this.#abandon(parts);
      }
      this.#booting.abort();
      this.#sending.abort(new OperationalError('The worker has stopped.'));
      await this.#blueprint?.stop();
    } catch (error) {
      logger.error('The shutdown did not go as planned', error);
    }
    await workerShutdown.send(this.#event, logger);
    this.#finished.resolve({
      how: this.#failure === undefined ? (this.#mode ?? 'warm') : 'failed',
      error: this.#failure,
    });
  }

  /** Ends the running tasks; what is not acknowledged by then goes back to the broker when the channel closes. */
  async #abandon({ state, taskEvents }: WorkerParts): Promise<void> {
    state.abandoned = true;
    for (const request of state.active.values()) if (request.acksLate) taskEvents.cancelled(request);
    await this.#options.pool.kill();
    const stop = new AbortController();
    await Promise.race([state.idle(), sleep(COLD_SETTLE_MS, stop.signal).catch(() => undefined)]);
    stop.abort();
  }

  #steps(parts: WorkerParts): Readonly<Record<WorkerStep, Omit<Bootstep, 'name'> | undefined>> {
    const { pool } = this.#options;
    const { autoscaler, consumer, events } = parts;
    return {
      Pool: { start: (starting) => pool.start(starting), stop: () => this.#stopPool() },
      StateDB: this.#stateDb(parts),
      Events: { start: () => Promise.resolve(), stop: () => events.close() },
      Consumer: { start: (starting) => consumer.start(starting), stop: () => consumer.stop() },
      Autoscaler: autoscaler && {
        start: async () => {
          await Promise.resolve();
          autoscaler.start();
        },
        stop: async () => {
          await Promise.resolve();
          autoscaler.stop();
        },
      },
    };
  }

  #stateDb({ state }: WorkerParts): Omit<Bootstep, 'name'> | undefined {
    const { stateDb, logger } = this.#options;
    if (stateDb === undefined) return undefined;
    let open: AsyncDisposable | undefined;
    return {
      start: () => {
        open = stateDb.attach(state, this.#app.clock, logger);
        return Promise.resolve();
      },
      stop: async () => {
        await open?.[Symbol.asyncDispose]();
      },
    };
  }

  #stopPool(): Promise<void> {
    const { pool } = this.#options;
    return this.#mode === 'cold' ? pool.kill() : pool.stop();
  }
}
