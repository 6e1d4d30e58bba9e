import type { Celery } from '../../app/celery.ts';
import { EventDispatcher } from '../../app/event-dispatcher.ts';
import { hasNeighbors } from '../../app/event-exchange.ts';
import type { Logger } from '../../core/logger.ts';
import type { Connection } from '../../transport/transport.ts';
import type { WorkerState } from '../state.ts';
import { Gossip } from './gossip.ts';
import { Heart } from './heart.ts';
import { Mingle } from './mingle.ts';

export interface WorkerEventsOptions {
  readonly app: Celery;
  readonly hostname: string;
  readonly state: WorkerState;
  readonly logger: Logger;
  /** Seconds between heartbeats; undefined: none. */
  readonly heartbeatInterval: number | undefined;
  readonly gossip: boolean;
  readonly mingle: boolean;
}

/** The events of the worker over one connection. */
export interface OpenEvents {
  /** Resolves when it has heard of its neighbours, or that there are none. Never rejects. */
  readonly opened: Promise<void>;
  close(): Promise<void>;
}

/** What a worker tells and hears: its events, heartbeats, and what its neighbours tell (mingle, gossip). */
export class WorkerEvents {
  readonly dispatcher: EventDispatcher;
  readonly #heart: Heart;
  readonly #mingle: Mingle | undefined;
  readonly #gossip: Gossip | undefined;

  constructor(options: WorkerEventsOptions) {
    const { app, hostname, state, logger, heartbeatInterval: intervalS } = options;
    const neighbors = hasNeighbors(app.transport());
    const { worker_send_task_events: taskEvents } = app.settings;
    const dispatcher = new EventDispatcher(app, { hostname, taskEvents, logger });
    this.dispatcher = dispatcher;
    this.#heart = new Heart({ dispatcher, state, intervalS });
    this.#mingle = options.mingle && neighbors ? new Mingle({ app, hostname, state, logger }) : undefined;
    this.#gossip =
      options.gossip && neighbors ? new Gossip({ app, hostname, dispatcher, logger }) : undefined;
  }

  /** Whether events of tasks are sent. */
  get enabled(): boolean {
    return this.dispatcher.taskEvents;
  }

  enable(): void {
    this.dispatcher.enable();
  }

  disable(): void {
    this.dispatcher.disable();
  }

  /** Sends a heartbeat now. */
  heartbeat(): void {
    this.#heart.beat();
  }

  /** Has the workers elect one of them. */
  elect(id: string, topic: string, action: unknown): void {
    this.#gossip?.elect(id, topic, action);
  }

  /** Asks for the neighbours before there is a connection to serve: what the worker does meanwhile costs no time. */
  prepare(signal: AbortSignal): void {
    this.#mingle?.ask(signal);
  }

  /** @param signal aborted when the worker goes */
  serve(connection: Connection, signal: AbortSignal): OpenEvents {
    this.dispatcher.wake();
    const opened = this.#open(connection, signal);
    return {
      opened,
      close: async () => {
        if (signal.aborted) this.#heart.stop();
        else this.#heart.pause();
        await opened;
        await this.#gossip?.close();
      },
    };
  }

  /** Sends what is left. */
  close(): Promise<void> {
    return this.dispatcher.close();
  }

  async #open(connection: Connection, signal: AbortSignal): Promise<void> {
    let isGone = false;
    void connection.closed.then(() => {
      isGone = true;
    });
    const isOver = (): boolean => isGone || signal.aborted;
    await this.#mingle?.sync(signal);
    if (isOver()) return;
    await this.#gossip?.open(connection);
    if (!isOver()) this.#heart.start();
  }
}
