import type { Celery } from '../../app/celery.ts';
import type { EventDispatcher } from '../../app/event-dispatcher.ts';
import type { EventSubscription, ReceivedEvent } from '../../app/event-receiver.ts';
import type { Logger } from '../../core/logger.ts';
import type { ClusterState } from '../../monitor/state.ts';
import type { Connection } from '../../transport/transport.ts';
import { Elections } from './elections.ts';

/** How often the worker looks which others are silent. */
const INTERVAL_MS = 5000;
/** Heartbeats that nobody took are dropped after so many seconds. */
const QUEUE_TTL_S = 2;

export interface GossipOptions {
  readonly app: Celery;
  readonly hostname: string;
  readonly dispatcher: EventDispatcher;
  readonly logger: Logger;
}

/** Listens to the other workers: keeps the clock with theirs, says who comes, goes and falls silent, takes part in elections. */
export class Gossip {
  readonly #options: GossipOptions;
  readonly #state: ClusterState;
  readonly #elections: Elections;
  #subscription: EventSubscription | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: GossipOptions) {
    const { app, logger } = options;
    this.#options = options;
    this.#state = app.events.State({
      maxTasks: 1,
      onNodeJoin: ({ hostname }) => logger.debug(`${hostname} joined the party`),
      onNodeLeave: ({ hostname }) => logger.debug(`${hostname} left`),
    });
    this.#elections = new Elections({ ...options, workers: () => this.#state.aliveWorkers().length });
  }

  /** Never rejects: a worker that does not hear the others works all the same. */
  async open(connection: Connection): Promise<void> {
    const { app, logger } = this.#options;
    const receiver = app.events.Receiver({
      routingKey: 'worker.#',
      queueTtl: QUEUE_TTL_S,
      onInvalid: (error) => logger.error('gossip: An event could not be read', error),
    });
    try {
      this.#subscription = await receiver.listen(connection, (event) => this.#onEvent(event));
      this.#timer = setInterval(() => this.#dropSilent(), INTERVAL_MS);
    } catch (error) {
      logger.error('gossip: Cannot listen to the other workers', error);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const subscription = this.#subscription;
    this.#subscription = undefined;
    await subscription?.[Symbol.asyncDispose]();
  }

  elect(id: string, topic: string, action: unknown): void {
    this.#elections.begin(id, topic, action);
  }

  #onEvent(event: ReceivedEvent): void {
    if (event.type === 'worker-elect') this.#elections.onElect(event);
    else if (event.type === 'worker-elect-ack') this.#elections.onAck(event);
    // Its own heartbeats tell it nothing; what is no worker's came because Redis does not filter.
    else if (event.hostname !== this.#options.hostname && event.type.startsWith('worker-')) {
      this.#state.event(event);
    }
  }

  #dropSilent(): void {
    for (const worker of this.#state.workers.values()) {
      if (worker.alive) continue;
      this.#options.logger.info(`missed heartbeat from ${worker.hostname}`);
      this.#state.workers.delete(worker.hostname);
    }
  }
}
