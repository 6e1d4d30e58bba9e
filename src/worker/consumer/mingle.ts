import type { Celery } from '../../app/celery.ts';
import type { Reply } from '../../app/control.ts';
import type { Logger } from '../../core/logger.ts';
import type { WorkerState } from '../state.ts';

/** How long other workers may take to answer, after the last answer. */
const TIMEOUT_S = 1;

export interface MingleOptions {
  readonly app: Celery;
  readonly hostname: string;
  readonly state: WorkerState;
  readonly logger: Logger;
}

/** Before a worker takes tasks, it asks the others which are revoked, and for the time of their clocks. */
export class Mingle {
  readonly #options: MingleOptions;
  #asked: Promise<readonly Reply[] | undefined> | undefined;

  constructor(options: MingleOptions) {
    this.#options = options;
  }

  /** Asks now; the next `sync` takes the answers. */
  ask(signal: AbortSignal): void {
    this.#asked = this.#hello(signal).catch(() => undefined);
  }

  /** Never rejects: a worker that hears nothing works all the same. */
  async sync(signal: AbortSignal): Promise<void> {
    const { logger, hostname } = this.#options;
    logger.info('mingle: searching for neighbors');
    try {
      const asked = this.#asked;
      this.#asked = undefined;
      const replies = (await asked) ?? (await this.#hello(signal));
      const others = replies.flatMap((reply) => Object.entries(reply)).filter(([node]) => node !== hostname);
      if (others.length === 0) {
        logger.info('mingle: all alone');
        return;
      }
      const told = others.filter(([, reply]) => isRecord(reply));
      logger.info(`mingle: sync with ${told.length} nodes`);
      for (const [node, reply] of told) this.#take(node, reply);
      logger.info('mingle: sync complete');
    } catch (error) {
      if (!signal.aborted) logger.warning('mingle: The other workers could not be asked', error);
    }
  }

  #hello(signal: AbortSignal): Promise<Reply[]> {
    const { app, hostname, state } = this.#options;
    return app.control.broadcast(
      'hello',
      { from_node: hostname, revoked: state.revokedTimes() },
      { reply: true, timeout: TIMEOUT_S, signal },
    );
  }

  #take(node: string, reply: unknown): void {
    const { app, state, logger } = this.#options;
    if (!isRecord(reply)) return;
    logger.debug(`mingle: processing reply from ${node}`);
    const { clock, revoked } = reply;
    if (typeof clock === 'number') app.clock.adjust(clock);
    else app.clock.forward();
    if (isRecord(revoked)) state.mergeRevoked(revoked);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
