/** What waits for company waits no longer. A timer of Node's has no finer steps. */
const MOST_MS = 1;

/**
 * Does something once for all that asks for it within a short time: at the end of this turn of the event loop when enough have
 * asked, else a millisecond after the first.
 */
export class Gathering {
  readonly #run: () => void;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(run: () => void) {
    this.#run = run;
  }

  /** @param isEnough nobody else is waited for beyond this turn */
  ask(isEnough: boolean): void {
    if (this.#turn !== undefined) return;
    if (isEnough) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#turn = setImmediate(() => this.now());
    } else {
      this.#timer ??= setTimeout(() => this.now(), MOST_MS);
    }
  }

  /** Does it now. */
  now(): void {
    this.cancel();
    this.#run();
  }

  /** Nobody asks any more. */
  cancel(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
    this.#turn = undefined;
  }
}
