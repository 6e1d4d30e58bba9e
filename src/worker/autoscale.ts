import type { AutoscalerInfo } from '../app/control-replies.ts';
import { ImproperlyConfigured, ValueError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Pool } from '../pool/pool.ts';
import type { Prefetch } from './prefetch.ts';
import type { WorkerState } from './state.ts';

/** How often the load is looked at. */
const PERIOD_MS = 1000;
/** What was added for a load stays at least so long, so that the next wave finds it. */
const KEEP_ALIVE_MS = 30_000;

/** Between how many processes the pool is sized: Celery's `--autoscale=max,min`. */
export interface AutoscaleLimits {
  readonly max: number;
  readonly min: number;
}

export interface AutoscalerOptions extends AutoscaleLimits {
  readonly pool: Pool;
  readonly state: WorkerState;
  readonly prefetch: Prefetch;
  readonly logger: Logger;
  /** Gives waiting tasks to new processes. */
  readonly pump: () => void;
  readonly keepAliveMs?: number;
  readonly periodMs?: number;
}

/** Sizes the pool by what the worker has in hand: a process for each task, within limits. */
export class Autoscaler {
  readonly #options: AutoscalerOptions;
  #max: number;
  #min: number;
  #grownMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#max = options.max;
    this.#min = options.min;
    this.#grownMs = Date.now();
    checkLimits(options);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.scale(), this.#options.periodMs ?? PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Changes the limits and, where the pool is outside of them, its size. @throws {ValueError} max is below min */
  update(change: { readonly max?: number | undefined; readonly min?: number | undefined }): AutoscaleLimits {
    const limits = { max: change.max ?? this.#max, min: change.min ?? this.#min };
    if (limits.max < Math.max(1, limits.min)) {
      throw new ValueError(`max=${limits.max} is below ${Math.max(1, limits.min)}`);
    }
    this.#max = limits.max;
    this.#min = limits.min;
    this.#options.prefetch.resize(limits.max);
    const { size } = this.#options.pool;
    if (size > limits.max) this.#shrink(size - limits.max);
    else if (size < limits.min) this.#grow(limits.min - size);
    return limits;
  }

  /** Looks at the load and grows or shrinks the pool by it. */
  scale(): void {
    const { pool, state } = this.#options;
    if (state.stopping) return;
    const { size } = pool;
    const wanted = Math.max(Math.min(state.reserved.size, this.#max), this.#min, 1);
    if (wanted > size) this.#grow(wanted - size);
    else if (wanted < size && Date.now() - this.#grownMs > (this.#options.keepAliveMs ?? KEEP_ALIVE_MS)) {
      this.#shrink(size - wanted);
    }
  }

  /** For `inspect stats`. */
  info(): AutoscalerInfo {
    const { pool, state } = this.#options;
    return { max: this.#max, min: this.#min, current: pool.size, qty: state.reserved.size };
  }

  #grow(count: number): void {
    const { pool, logger, pump } = this.#options;
    this.#grownMs = Date.now();
    logger.info(`Scaling up ${count} processes.`);
    pool.grow(count).catch((error: unknown) => logger.error('Autoscaler: the pool could not grow', error));
    pump();
  }

  /** As many as are idle; the others when they are. */
  #shrink(count: number): void {
    const { pool, logger } = this.#options;
    const idle = Math.min(count, pool.free, pool.size - 1);
    if (idle <= 0) return;
    logger.info(`Scaling down ${idle} processes.`);
    pool.shrink(idle).catch((error: unknown) => {
      // A task came in between.
      if (error instanceof ValueError)
        logger.debug("Autoscaler won't scale down: all processes busy.", error);
      else logger.error('Autoscaler: the pool could not shrink', error);
    });
  }
}

function checkLimits({ max, min, pool }: AutoscalerOptions): void {
  if (pool.name === 'solo') {
    throw new ImproperlyConfigured(
      '--autoscale takes the prefork or the async pool: the solo pool has one slot.',
    );
  }
  if (max < 1 || min < 0 || max < min) {
    throw new ImproperlyConfigured(
      `--autoscale takes max,min with max from 1 and min up to max, got ${max},${min}`,
    );
  }
}
