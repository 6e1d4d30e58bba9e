import { Timer } from '../core/timer.ts';
import type { TimerHandle } from '../core/timer.ts';
import { parseRate, TokenBucket } from '../core/token-bucket.ts';
import type { Prefetch } from './prefetch.ts';
import type { Request } from './request.ts';

/** Requests of one type of task that wait for tokens, first come, first served. */
interface Lane {
  bucket: TokenBucket | undefined;
  readonly waiting: Request[];
  timer: TimerHandle | undefined;
}

export interface HoldingOptions {
  readonly prefetch: Prefetch;
  /** Takes a request whose time has come. */
  readonly onDue: (request: Request) => void;
  /** Takes a request that has its token. */
  readonly onToken: (request: Request) => void;
}

/** Messages that wait here for their time (`eta`, `countdown`) or for a token (`rate_limit`), unacknowledged. */
export class Holding {
  readonly #prefetch: Prefetch;
  readonly #onDue: (request: Request) => void;
  readonly #onToken: (request: Request) => void;
  readonly #timer = new Timer();
  readonly #scheduled = new Map<Request, TimerHandle>();
  readonly #lanes = new Map<string, Lane>();

  constructor({ prefetch, onDue, onToken }: HoldingOptions) {
    this.#prefetch = prefetch;
    this.#onDue = onDue;
    this.#onToken = onToken;
  }

  /** Requests that wait for their time. */
  get scheduled(): Iterable<Request> {
    return this.#scheduled.keys();
  }

  /** Whether it waits here, for whatever. */
  has(request: Request): boolean {
    return (
      this.isScheduled(request) || this.#lanes.get(request.headers.task)?.waiting.includes(request) === true
    );
  }

  /** Whether it waits for its time. */
  isScheduled(request: Request): boolean {
    return this.#scheduled.has(request);
  }

  /** How many wait, for whatever. */
  get size(): number {
    let size = this.#scheduled.size;
    for (const lane of this.#lanes.values()) size += lane.waiting.length;
    return size;
  }

  holdUntil(request: Request, etaMs: number): void {
    this.#prefetch.holdForTime(1);
    const handle = this.#timer.callAt(etaMs, () => {
      this.#scheduled.delete(request);
      this.#prefetch.holdForTime(-1);
      this.#onDue(request);
    });
    this.#scheduled.set(request, handle);
  }

  /** Whether the request may run now; otherwise it is kept and `onToken` gets it later. */
  admit(request: Request): boolean {
    const lane = this.#lanes.get(request.headers.task);
    if (lane === undefined) return true;
    if (lane.waiting.length === 0 && (lane.bucket?.canConsume() ?? true)) return true;
    lane.waiting.push(request);
    this.#prefetch.holdForToken(1);
    this.#arm(lane);
    return false;
  }

  /**
   * Limits a type of task from now on, in place of an earlier limit; those that wait stay in line.
   *
   * @param rate - `'10/m'`, a number per second; null, '' and 0 lift the limit
   * @throws ValueError, KeyError when it is no rate; the old limit stays then
   */
  limit(task: string, rate: string | number | null): void {
    const fillRate = parseRate(rate);
    const lane = this.#lanes.get(task) ?? { bucket: undefined, waiting: [], timer: undefined };
    lane.bucket = fillRate > 0 && Number.isFinite(fillRate) ? new TokenBucket(fillRate) : undefined;
    if (lane.bucket === undefined && lane.waiting.length === 0) {
      this.#lanes.delete(task);
      return;
    }
    this.#lanes.set(task, lane);
    lane.timer?.cancel();
    lane.timer = undefined;
    this.#drain(lane);
  }

  /** Empties it: the messages go back to the broker, or came from a connection that is gone. */
  takeAll(): Request[] {
    const taken = [...this.#scheduled.keys()];
    this.#scheduled.clear();
    this.#timer.clear();
    for (const lane of this.#lanes.values()) {
      taken.push(...lane.waiting.splice(0));
      lane.timer = undefined;
    }
    return taken;
  }

  #drain(lane: Lane): void {
    while (lane.waiting.length > 0 && (lane.bucket?.canConsume() ?? true)) {
      const request = lane.waiting.shift();
      if (request === undefined) break;
      this.#prefetch.holdForToken(-1);
      this.#onToken(request);
    }
    this.#arm(lane);
  }

  #arm(lane: Lane): void {
    if (lane.timer !== undefined || lane.waiting.length === 0 || lane.bucket === undefined) return;
    // At least a millisecond: the bucket may be short of a token by less than a timer can wait.
    lane.timer = this.#timer.callAfter(Math.max(1, lane.bucket.expectedMs()), () => {
      lane.timer = undefined;
      this.#drain(lane);
    });
  }
}
