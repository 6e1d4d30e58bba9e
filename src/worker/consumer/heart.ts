import { loadavg } from 'node:os';
import type { EventDispatcher } from '../../app/event-dispatcher.ts';
import { softwareInfo } from '../../core/package.ts';
import type { WorkerState } from '../state.ts';

/** What a heartbeat that somebody asked for says about the next one, as in Celery. */
const ASKED_FREQ_S = 5;

export interface HeartOptions {
  readonly dispatcher: EventDispatcher;
  readonly state: WorkerState;
  /** Seconds between heartbeats; undefined: none are sent, nor is it said that the worker comes or goes. */
  readonly intervalS: number | undefined;
}

/** Tells monitors that the worker is there: `worker-online`, `worker-heartbeat`, `worker-offline`. */
export class Heart {
  readonly #options: HeartOptions;
  readonly #software = softwareInfo();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HeartOptions) {
    this.#options = options;
  }

  /** The broker is there, for the first time or again. */
  start(): void {
    const { intervalS } = this.#options;
    if (intervalS === undefined) return;
    this.#send('worker-online', intervalS);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#send('worker-heartbeat', intervalS), intervalS * 1000);
  }

  /** The broker has gone. */
  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The worker goes. */
  stop(): void {
    const { intervalS } = this.#options;
    const isBeating = this.#timer !== undefined;
    this.pause();
    if (isBeating && intervalS !== undefined) this.#send('worker-offline', intervalS);
  }

  /** Somebody wants to know whether the worker is there. */
  beat(): void {
    this.#options.dispatcher.send('worker-heartbeat', { freq: ASKED_FREQ_S, ...this.#software });
  }

  #send(type: string, freq: number): void {
    const { dispatcher, state } = this.#options;
    let processed = 0;
    for (const count of state.totals.values()) processed += count;
    dispatcher.send(type, {
      freq,
      active: state.active.size,
      processed,
      loadavg: loadavg().map((load) => Math.round(load * 100) / 100),
      ...this.#software,
    });
  }
}
