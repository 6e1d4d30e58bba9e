import type { Logger } from '../core/logger.ts';

/** Messages held for a rate limit beyond the usual window, so that they do not keep other types of task waiting. */
const LONGEST_RATE_QUEUE = 1000;

export interface PrefetchOptions {
  /** Slots of the pool. */
  readonly concurrency: number;
  /** Messages taken ahead for each slot; 0 = no limit. */
  readonly multiplier: number;
  /** `worker_eta_task_limit`: the window never grows beyond it for messages that wait for their time. */
  readonly etaLimit: number | null;
  /** `worker_disable_prefetch`: a message for each slot, and none for one whose task runs on without its message. */
  readonly slotsOnly?: boolean;
  /** The largest window that the broker keeps to. Default: it keeps to any. */
  readonly largest?: number;
  readonly logger: Logger;
}

/** A number of messages, 0 for any number; or none at all. */
export type PrefetchWindow = number | 'closed';

/**
 * How many unsettled messages the broker may leave with this worker.
 *
 * A message that is held for its time or for a token would otherwise take the place of one that could run, so each raises
 * the window by one. Changes of one turn of the event loop reach the broker as one.
 */
export class Prefetch {
  #base: number;
  readonly #multiplier: number;
  readonly #etaLimit: number | null;
  readonly #largest: number;
  readonly #logger: Logger;
  /** `worker_disable_prefetch`. */
  readonly slotsOnly: boolean;
  /** Tasks that run and have been acknowledged. */
  readonly #occupied = new Set<object>();
  /** Wait until the broker heeds the window of now. */
  #heeded: (() => void)[] = [];
  #apply: ((window: PrefetchWindow) => Promise<void>) | undefined;
  #reduced = 0;
  #waitingForTime = 0;
  #waitingForToken = 0;
  #applied: PrefetchWindow | undefined;
  #scheduled = false;
  #applying = false;

  constructor({
    concurrency,
    multiplier,
    etaLimit,
    slotsOnly = false,
    largest = Infinity,
    logger,
  }: PrefetchOptions) {
    this.slotsOnly = slotsOnly;
    this.#multiplier = slotsOnly ? 1 : multiplier;
    this.#base = concurrency * this.#multiplier;
    this.#etaLimit = etaLimit;
    this.#largest = largest;
    this.#logger = logger;
  }

  /** The window now; 0 = no limit, or none at all. */
  get count(): number {
    return this.#window === 'closed' ? 0 : this.#window;
  }

  get #window(): PrefetchWindow {
    if (this.#base === 0) return 0;
    const usual = Math.max(0, this.#base - this.#reduced - this.#occupied.size);
    const raised = usual + this.#waitingForTime;
    const withTime = this.#etaLimit === null ? raised : Math.max(usual, Math.min(raised, this.#etaLimit));
    return withTime + Math.min(this.#waitingForToken, LONGEST_RATE_QUEUE) || 'closed';
  }

  /** The pool has another number of slots. */
  resize(concurrency: number): void {
    this.#base = concurrency * this.#multiplier;
    this.#reduced = Math.min(this.#reduced, Math.max(0, this.#base - this.#multiplier));
    this.#schedule();
  }

  /** Raises or lowers the usual window; it stays at 1 at least, and a window without limit stays so. */
  change(by: number): void {
    if (this.#base > 0) this.#base = Math.max(1, this.#base + by);
    this.#schedule();
  }

  /** Sets the window of a new channel, and from now on every change of it. */
  async attach(apply: (window: PrefetchWindow) => Promise<void>): Promise<void> {
    this.#apply = apply;
    const window = this.#window;
    this.#note(window);
    await apply(window);
  }

  /** Forgets the channel; nothing is held any more. */
  detach(): void {
    this.#apply = undefined;
    this.#applied = undefined;
    this.#waitingForTime = 0;
    this.#waitingForToken = 0;
    this.#tellHeeded();
  }

  /**
   * The task is about to be acknowledged while it runs: its slot is taken without a message that the broker counts.
   *
   * Resolves when the broker knows, so that it sends nothing for the acknowledgement. Undefined: there is nothing to wait for.
   */
  occupy(task: object): Promise<void> | undefined {
    if (!this.slotsOnly) return undefined;
    this.#occupied.add(task);
    if (this.#apply === undefined) return undefined;
    const heeded = new Promise<void>((resolve) => this.#heeded.push(resolve));
    this.#schedule();
    return heeded;
  }

  /** The task has ended. */
  vacate(task: object): void {
    if (this.#occupied.delete(task)) this.#schedule();
  }

  holdForTime(change: 1 | -1): void {
    this.#waitingForTime = Math.max(0, this.#waitingForTime + change);
    this.#schedule();
  }

  holdForToken(change: 1 | -1): void {
    this.#waitingForToken = Math.max(0, this.#waitingForToken + change);
    this.#schedule();
  }

  /** After a lost connection: takes less ahead while tasks of the time before are still running. */
  reduce(running: number): void {
    if (this.slotsOnly) return;
    const reduced = Math.min(running * this.#multiplier, this.#base - this.#multiplier);
    if (running === 0 || reduced <= 0) return;
    this.#reduced = reduced;
    this.#logger.info(
      `Temporarily reducing the prefetch count to ${this.#base - reduced} to avoid over-fetching since ${running} tasks are currently being processed.\n` +
        `The prefetch count will be gradually restored to ${this.#base} as the tasks complete processing.`,
    );
  }

  /** One of those tasks has ended. */
  restore(): void {
    if (this.#reduced === 0) return;
    this.#reduced = Math.max(0, this.#reduced - this.#multiplier);
    this.#schedule();
    if (this.#reduced > 0) return;
    this.#logger.info(
      `Resuming normal operations following a restart.\nPrefetch count has been restored to the maximum of ${this.#base}`,
    );
  }

  #schedule(): void {
    if (this.#scheduled || this.#applying || this.#apply === undefined || this.#base === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const apply = this.#apply;
    const window = this.#window;
    if (apply === undefined || window === this.#applied) {
      this.#tellHeeded();
      return;
    }
    this.#applying = true;
    this.#note(window);
    apply(window)
      // The channel is gone; the next one gets the window when it is attached.
      .catch((error: unknown) => {
        this.#logger.debug('The prefetch count could not be changed', error);
      })
      .finally(() => {
        this.#applying = false;
        if (this.#apply === apply && this.#window !== this.#applied) this.#schedule();
        else this.#tellHeeded();
      });
  }

  /** The window is about to be in force; says so when the broker cannot keep to it, and sends whatever there is. */
  #note(window: PrefetchWindow): void {
    if (this.#isTooLarge(window) && !this.#isTooLarge(this.#applied)) {
      this.#logger.warning(`QoS: Disabled: prefetch_count exceeds ${this.#largest}`);
    }
    this.#applied = window;
  }

  #isTooLarge(window: PrefetchWindow | undefined): boolean {
    return typeof window === 'number' && window > this.#largest;
  }

  #tellHeeded(): void {
    for (const resolve of this.#heeded.splice(0)) resolve();
  }
}
