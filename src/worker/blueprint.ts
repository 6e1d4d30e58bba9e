import type { Logger } from '../core/logger.ts';

/** What a worker starts, in this order; some only when asked for. It stops in reverse. `graph bootsteps` draws it. */
export const WORKER_STEPS = ['Pool', 'StateDB', 'Events', 'Consumer', 'Autoscaler'] as const;

export type WorkerStep = (typeof WORKER_STEPS)[number];

/** What its consumer opens on each connection, in this order. */
export const CONSUMER_STEPS = ['Connection', 'Mingle', 'Gossip', 'Heart', 'Control', 'Tasks'] as const;

/** One part of a running worker, in the order of the blueprint. */
export interface Bootstep {
  /** As shown in logs: `pool`, `consumer`. */
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  /** Releases what `start` took, also when that failed half-way; safe before `start`, and twice. */
  stop(): Promise<void>;
}

/**
 * Starts parts in order and stops them in reverse.
 *
 * Only the parts whose start was tried are stopped. One that cannot be stopped is logged and does not keep the others.
 */
export class Blueprint {
  readonly #steps: readonly Bootstep[];
  readonly #logger: Logger;
  #started = 0;

  constructor(steps: readonly Bootstep[], logger: Logger) {
    this.#steps = steps;
    this.#logger = logger;
  }

  /** @throws what the first failing step throws; the steps before it go on running until `stop`. */
  async start(signal: AbortSignal): Promise<void> {
    for (const step of this.#steps.slice(this.#started)) {
      signal.throwIfAborted();
      this.#started += 1;
      this.#logger.debug(`Worker: Starting ${step.name}`);
      await step.start(signal);
    }
  }

  async stop(): Promise<void> {
    const started = this.#steps.slice(0, this.#started).reverse();
    this.#started = 0;
    for (const step of started) {
      this.#logger.debug(`Worker: Closing ${step.name}...`);
      try {
        await step.stop();
      } catch (error) {
        this.#logger.error(`Worker: ${step.name} could not be closed`, error);
      }
    }
  }
}
