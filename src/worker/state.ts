import { LimitedSet } from '../core/limited-set.ts';
import { Waiters } from '../core/waiters.ts';
import type { ChangedOptions, MissedVerdicts, Request, Verdict } from './request.ts';

/** Verdicts that could not be given, kept for the day their messages come again. */
const MISSED_MAX = 10_000;
const MISSED_EXPIRES_MS = 3_600_000;
/** A dead connection is noticed after two missed heartbeats, which are 120 s apart by default. */
const GIVEN_EXPIRES_MS = 300_000;

/** As many revoked ids as Celery remembers, as long: the message of an older one is not known any more. */
const REVOKED_MAX = 50_000;
const REVOKED_EXPIRES_MS = 10_800_000;

interface Given {
  readonly id: string;
  readonly retries: number;
  readonly verdict: Verdict;
  readonly atMs: number;
}

/** What one worker has in hand. */
export class WorkerState implements MissedVerdicts {
  /** Received and not ended, in order of arrival: held, waiting for a slot or running. */
  readonly reserved = new Set<Request>();
  /** Of these, running, by id. */
  readonly active = new Map<string, Request>();
  /** Started so far, by name of the task. */
  readonly totals = new Map<string, number>();
  /** Ids of tasks that must not run here. */
  readonly revoked = new LimitedSet({ max: REVOKED_MAX, expiresMs: REVOKED_EXPIRES_MS });
  /** Stamps of tasks that must not run here, by header. */
  readonly revokedStamps = new Map<string, Set<unknown>>();
  /** What remote control has changed, by name of the task. */
  readonly changedOptions = new Map<string, ChangedOptions>();
  /** Of `inspect memsample`, for `memdump`. */
  readonly memorySamples: string[] = [];
  /** Told when something was revoked. */
  onRevoked: (() => void) | undefined;
  readonly #missed = new LimitedSet({ max: MISSED_MAX, expiresMs: MISSED_EXPIRES_MS });
  /** Verdicts written a short while ago, in a ring: each takes the place of the oldest. */
  readonly #given: Given[] = [];
  #givenAt = 0;
  readonly #idle = new Waiters();
  readonly #stop = new AbortController();
  #busy = 0;

  /** A cold shutdown has taken the running tasks. */
  abandoned = false;
  /** Number of the last job given to the pool; logs of lost processes name it. */
  jobs = 0;

  /** A shutdown has begun: nothing starts any more. */
  get stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Aborted when a shutdown begins. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  beginStop(): void {
    this.#stop.abort();
  }

  change(task: string, options: ChangedOptions): void {
    this.changedOptions.set(task, { ...this.changedOptions.get(task), ...options });
  }

  revoke(ids: Iterable<string>): void {
    for (const id of ids) this.revoked.add(id);
    this.onRevoked?.();
  }

  revokeStamps(header: string, values: Iterable<unknown>): void {
    this.revokedStamps.set(header, new Set([...(this.revokedStamps.get(header) ?? []), ...values]));
    this.onRevoked?.();
  }

  /** Whether its id or one of its stamps was revoked. */
  isRevoked(request: Request): boolean {
    if (this.revoked.size > 0 && this.revoked.has(request.id)) return true;
    if (this.revokedStamps.size === 0) return false;
    return [...this.revokedStamps].some(([header, revoked]) => {
      const stamp = request.headers.stamps[header];
      return (Array.isArray(stamp) ? stamp : [stamp]).some((value) => value !== null && revoked.has(value));
    });
  }

  /** Revoked ids as workers tell each other: when on the monotonic clock of the machine, in seconds, and the id. */
  revokedTimes(): Record<string, readonly [number, string]> {
    const now = monotonicSeconds();
    return Object.fromEntries(
      [...this.revoked.ages()].map(([id, ageMs]) => [id, [now - ageMs / 1000, id] as const]),
    );
  }

  /** Takes what another worker tells. Its clock is another one when it runs on another machine: such an id counts as new. */
  mergeRevoked(theirs: object): void {
    const now = monotonicSeconds();
    for (const [id, told] of Object.entries(theirs)) {
      const at: unknown = Array.isArray(told) ? told[0] : told;
      const ageMs = typeof at === 'number' ? (now - at) * 1000 : 0;
      const isPlausible = ageMs > 0 && ageMs < REVOKED_EXPIRES_MS;
      if (!this.revoked.has(id)) this.revoked.add(id, isPlausible ? ageMs : 0);
    }
    this.onRevoked?.();
  }

  accepted(request: Request): void {
    const { task } = request.headers;
    this.active.set(request.id, request);
    this.totals.set(task, (this.totals.get(task) ?? 0) + 1);
  }

  /** Forgets a request: it has its verdict, or went back to the broker. */
  forget(request: Request): void {
    this.reserved.delete(request);
    if (this.active.get(request.id) === request) this.active.delete(request.id);
  }

  /**
   * The run of this very message that is under way here, when the broker delivers it again after a lost connection.
   * A retry has the same id, but counts one retry more.
   */
  running(id: string, retries: number): Request | undefined {
    const request = this.active.get(id);
    if (request?.headers.retries !== retries || request.givenBack) return undefined;
    // An early acknowledgement that did not get through: the delivery that comes now gets its own verdict.
    this.missed(id, retries);
    return request;
  }

  remember(request: Request, verdict: Verdict): void {
    if (verdict !== 'requeue') this.#missed.add(key(request.id, request.headers.retries, verdict));
  }

  given(request: Request, verdict: Verdict): void {
    if (verdict === 'requeue') return;
    const { id } = request;
    this.#given[this.#givenAt] = { id, retries: request.headers.retries, verdict, atMs: Date.now() };
    this.#givenAt = (this.#givenAt + 1) % MISSED_MAX;
  }

  /** The channel is gone: the last verdicts may not have arrived, and a message that comes again gets the same. */
  sessionLost(): void {
    const since = Date.now() - GIVEN_EXPIRES_MS;
    // The oldest first, so that they are the first to be forgotten.
    const given = this.#given.splice(0);
    for (const { id, retries, verdict, atMs } of [
      ...given.slice(this.#givenAt),
      ...given.slice(0, this.#givenAt),
    ]) {
      if (atMs > since) this.#missed.add(key(id, retries, verdict));
    }
    this.#givenAt = 0;
  }

  /** The verdict of a run that ended while the connection was lost. */
  missed(id: string, retries: number): Verdict | undefined {
    if (this.#missed.size === 0) return undefined;
    for (const verdict of ['ack', 'drop'] as const) {
      if (this.#missed.delete(key(id, retries, verdict))) return verdict;
    }
    return undefined;
  }

  /** Counts work that the end of the worker waits for. */
  begin(): void {
    this.#busy += 1;
  }

  end(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#idle.wake();
  }

  /** Resolves when nothing is running or being settled. */
  idle(): Promise<void> {
    return this.#busy === 0 ? Promise.resolve() : this.#idle.wait();
  }
}

/** Python's `time.monotonic()`: the same on all processes of a machine. */
function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

function key(id: string, retries: number, verdict: Verdict): string {
  return `${verdict}:${retries}:${id}`;
}
