import type { Logger } from '../core/logger.ts';
import { TokenBucket } from '../core/token-bucket.ts';
import type { ClusterState } from './state.ts';

/** How often a camera is told to clean up. */
const CLEANUP_FREQ_S = 3600;

/** Takes pictures of the cluster, for instance into a database: extend it and name the class in `celery-ts events --camera`. */
export abstract class Camera {
  /** Whether a picture, once taken, is forgotten: workers, and tasks that have ended. Default false. */
  readonly clearAfter: boolean = false;

  /** One picture. What it needs later it has to copy before its first `await`: events go on. */
  abstract onShutter(state: ClusterState): void | Promise<void>;

  /** Called once an hour, to remove what is old. */
  onCleanup(): void | Promise<void> {
    // Nothing to remove.
  }
}

export interface ShootOptions {
  readonly state: ClusterState;
  /** Seconds between two pictures. */
  readonly freq: number;
  /** Pictures per second at most; 0 = no limit. */
  readonly maxRate: number;
  readonly logger: Logger;
}

/** Has a camera take pictures until it is stopped, one after the other. */
export class Photographer {
  readonly #camera: Camera;
  readonly #options: ShootOptions;
  readonly #bucket: TokenBucket | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #taking: Promise<void> | undefined;

  constructor(camera: Camera, options: ShootOptions) {
    this.#camera = camera;
    this.#options = options;
    this.#bucket = options.maxRate > 0 ? new TokenBucket(options.maxRate) : undefined;
  }

  start(): void {
    const { freq, logger } = this.#options;
    this.#timers.push(setInterval(() => this.#capture(), freq * 1000));
    const cleanup = async (): Promise<void> => this.#camera.onCleanup();
    this.#timers.push(
      setInterval(() => {
        cleanup().catch((error: unknown) => logger.error('The camera could not clean up', error));
      }, CLEANUP_FREQ_S * 1000),
    );
  }

  /** Takes the last picture, so that nothing that came is missed. */
  async stop(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await this.#taking;
    await this.#take();
  }

  #capture(): void {
    if (this.#taking !== undefined || this.#bucket?.canConsume() === false) return;
    this.#taking = this.#take().finally(() => {
      this.#taking = undefined;
    });
  }

  /** Never rejects: the next picture may succeed. */
  async #take(): Promise<void> {
    const { state, logger } = this.#options;
    logger.debug(`Shutter: ${state.toString()}`);
    try {
      await this.#camera.onShutter(state);
      if (this.#camera.clearAfter) state.clear();
    } catch (error) {
      logger.error('The camera could not take a picture', error);
    }
  }
}
