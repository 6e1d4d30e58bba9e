import { LimitedSet } from '../core/limited-set.ts';
import type { MissedVerdicts, Request, Verdict } from './request.ts';

/** Verdicts that could not be given, kept for the day their messages come again. */
const MISSED_MAX = 10_000;
const MISSED_EXPIRES_MS = 3_600_000;

/** As many revoked ids as Celery remembers, as long: the message of an older one is not known any more. */
const REVOKED_MAX = 50_000;
const REVOKED_EXPIRES_MS = 10_800_000;

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
  readonly #missed = new LimitedSet({ max: MISSED_MAX, expiresMs: MISSED_EXPIRES_MS });
  readonly #waiters: (() => void)[] = [];
  #busy = 0;

  /** A shutdown has begun: nothing starts any more. */
  stopping = false;
  /** A cold shutdown has taken the running tasks. */
  abandoned = false;
  /** Number of the last job given to the pool; logs of lost processes name it. */
  jobs = 0;

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
    if (request?.headers.retries !== retries) return undefined;
    // An early acknowledgement that did not get through: the delivery that comes now gets its own verdict.
    this.missed(id, retries);
    return request;
  }

  remember(request: Request, verdict: Verdict): void {
    if (verdict !== 'requeue') this.#missed.add(key(request.id, request.headers.retries, verdict));
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
    if (this.#busy > 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Resolves when nothing is running or being settled. */
  idle(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}

function key(id: string, retries: number, verdict: Verdict): string {
  return `${verdict}:${retries}:${id}`;
}
