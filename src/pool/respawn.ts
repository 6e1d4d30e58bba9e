import { backoff } from '../core/retry.ts';

/** Failed starts in a row, with no child at work, after which starting more is hopeless. */
const MOST_FAILURES = 5;
const LONGEST_WAIT_S = 10;
const FIRST_WAIT_S = 0.25;

/** Decides how soon a child is started in place of one that ended: at once, unless children do not even start. */
export class RespawnPolicy {
  #failures = 0;
  #hasEverBeenReady = false;

  /** A child has loaded the app. */
  ready(): void {
    this.#hasEverBeenReady = true;
  }

  /** A child has done a job: starting works. */
  worked(): void {
    this.#failures = 0;
  }

  /**
   * A child ended without having done a job.
   *
   * @param isExplained the child itself said why it cannot load the app
   * @param isAlone no other child is ready
   * @returns milliseconds to wait before the next start; undefined when there is no sense in another one
   */
  failed(isExplained: boolean, isAlone: boolean): number | undefined {
    this.#failures += 1;
    // The first children tell about the app, later ones perhaps about the moment.
    const isHopeless = this.#failures >= MOST_FAILURES || (isExplained && !this.#hasEverBeenReady);
    if (isAlone && isHopeless) return undefined;
    const retries = Math.min(this.#failures - 1, 30);
    return backoff({ factorS: FIRST_WAIT_S, retries, maxS: LONGEST_WAIT_S, jitter: false }) * 1000;
  }
}
