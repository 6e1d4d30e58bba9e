import type { Logger } from '../core/logger.ts';
import { STARTED } from '../core/states.ts';
import type { Outcome } from '../message/outcome.ts';
import { encodePart } from '../message/registry.ts';
import type { JobEvents, Pool, PoolProcess, StateUpdate } from '../pool/pool.ts';
import type { Errbacks } from './errbacks.ts';
import type { Holding } from './holding.ts';
import type { Prefetch } from './prefetch.ts';
import type { Request } from './request.ts';
import type { Results } from './results.ts';
import type { Settlement } from './settle.ts';
import type { TaskEvents } from './task-events.ts';
import type { WorkerState } from './state.ts';
import type { TaskLog } from './task-log.ts';

export interface RunnerOptions {
  readonly hostname: string;
  readonly pool: Pool;
  readonly state: WorkerState;
  readonly results: Results;
  readonly settlement: Settlement;
  readonly errbacks: Errbacks;
  readonly prefetch: Prefetch;
  readonly log: TaskLog;
  readonly events: TaskEvents;
  readonly logger: Logger;
  /** `result_serializer`. */
  readonly resultSerializer: string;
}

/** Takes requests from their arrival through the pool to their end. */
export class Runner {
  readonly #options: RunnerOptions;
  // In order of arrival. Here, not in the pool: a task that expires while it waits must not run.
  readonly #waiting = new Set<Request>();
  readonly #submitted = new Set<Request>();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** A message has arrived and was read. @param holding - keeps it until it may run */
  receive(request: Request, holding: Holding): void {
    const { state, log, events } = this.#options;
    state.reserved.add(request);
    log.received(request);
    const reason = this.#reasonToDrop(request);
    if (reason !== undefined) {
      this.#revoke(request, reason);
      return;
    }
    events.received(request);
    if (request.etaMs !== undefined && request.etaMs > Date.now()) holding.holdUntil(request, request.etaMs);
    else this.admit(request, holding);
  }

  /** Its time has come. */
  admit(request: Request, holding: Holding): void {
    const reason = this.#reasonToDrop(request);
    if (reason !== undefined) this.#revoke(request, reason);
    else if (holding.admit(request)) this.run(request);
  }

  /** Runs it as soon as a slot is free. */
  run(request: Request): void {
    this.#waiting.add(request);
    this.pump();
  }

  /** Gives waiting requests to free slots; called by itself at the end of each task, and by whoever adds slots. */
  pump(): void {
    const { pool, state } = this.#options;
    for (const request of this.#waiting) {
      if (state.stopping) return;
      if (this.#submitted.size >= pool.size && pool.hasRoom?.(request.headers.task) !== true) return;
      this.#waiting.delete(request);
      const reason = this.#reasonToDrop(request);
      if (reason === undefined) this.#submit(request);
      else this.#revoke(request, reason);
    }
  }

  /** Requests that wait for a slot; they are forgotten here. */
  takeWaiting(): Request[] {
    const { pool, state } = this.#options;
    const ids = new Set(pool.takeWaiting());
    // A slot whose process is being replaced: the pool has the job, no process has.
    const unstarted = [...this.#submitted].filter(
      (request) => request.process === undefined && !request.ended && ids.has(request.id),
    );
    for (const request of unstarted) {
      this.#submitted.delete(request);
      state.end();
    }
    this.#options.errbacks.submitAgain(ids);
    const taken = [...unstarted, ...this.#waiting];
    this.#waiting.clear();
    return taken;
  }

  #submit(request: Request): void {
    const { pool, state, hostname } = this.#options;
    state.begin();
    state.jobs += 1;
    const job = state.jobs;
    const changed = state.changedOptions.get(request.headers.task);
    this.#submitted.add(request);
    void pool.submit(request.job(hostname, changed), new Run(request, this.#options)).then((outcome) => {
      this.#submitted.delete(request);
      this.pump();
      return this.#end(request, outcome, job);
    });
  }

  async #end(request: Request, outcome: Outcome, job: number): Promise<void> {
    const { state, settlement, prefetch } = this.#options;
    // It came back from a process that did not begin it, while the pool was being stopped.
    if (outcome.kind === 'lost' && request.process === undefined) await request.settle('requeue');
    // A cold shutdown decides itself about the tasks that it ended.
    else if (!(state.abandoned && wasEnded(outcome))) await settlement.settle(request, outcome, job);
    state.forget(request);
    prefetch.restore();
    prefetch.vacate(request);
    state.end();
  }

  #reasonToDrop(request: Request): 'expired' | 'revoked' | undefined {
    if (request.expired) return 'expired';
    return this.#options.state.isRevoked(request) ? 'revoked' : undefined;
  }

  #revoke(request: Request, reason: 'expired' | 'revoked'): void {
    const { state, settlement } = this.#options;
    state.begin();
    void settlement.revoke(request, reason).then(() => {
      state.forget(request);
      state.end();
    });
  }
}

function wasEnded({ kind }: Outcome): boolean {
  return kind === 'lost' || kind === 'terminated' || kind === 'timeout';
}

/** What the pool tells about one run. */
class Run implements JobEvents {
  readonly #request: Request;
  readonly #options: RunnerOptions;

  constructor(request: Request, options: RunnerOptions) {
    this.#request = request;
    this.#options = options;
  }

  onAccepted(process: PoolProcess): void {
    const request = this.#request;
    request.process = process;
    request.startedMs = Date.now();
    this.#options.state.accepted(request);
    if (request.terminateWith !== undefined) this.#options.pool.terminate(request.id, request.terminateWith);
    // `settle` never rejects.
    this.#options.events.started(request);
    if (!request.acksLate) this.#acknowledge();
    const { trackStarted, ignoreResult } = request.options;
    if (trackStarted && !ignoreResult && !request.headers.ignore_result) this.#storeStarted(process);
  }

  async onState({ state, meta }: StateUpdate): Promise<void> {
    const stored = this.#options.results.store(this.#request, state, { result: meta });
    this.#track(stored);
    await stored;
  }

  onSoftTimeout(seconds: number): void {
    this.#options.log.softLimit(this.#request, seconds);
  }

  #acknowledge(): void {
    const request = this.#request;
    const heeded = this.#options.prefetch.occupy(request);
    if (heeded === undefined) void request.settle('ack');
    else this.#track(heeded.then(() => request.settle('ack')));
  }

  #storeStarted({ pid }: PoolProcess): void {
    const { results, resultSerializer, hostname } = this.#options;
    const result = encodePart({ pid, hostname }, resultSerializer);
    this.#track(results.store(this.#request, STARTED, { result }));
  }

  /** The end of the task waits for it, and does not fail with it. */
  #track(stored: Promise<void>): void {
    const request = this.#request;
    const before = request.stored;
    request.stored = stored.then(
      () => before,
      (error: unknown) => {
        this.#options.logger.error(`A state of ${request.label} could not be stored`, error);
        return before;
      },
    );
  }
}
