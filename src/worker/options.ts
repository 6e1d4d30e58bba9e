import type { Logger } from '../core/logger.ts';
import type { Pool } from '../pool/pool.ts';
import type { AutoscaleLimits } from './autoscale.ts';
import type { StateDb } from './statedb.ts';

/** `warm`: running tasks finish, all other messages go back to the broker. `cold`: running tasks are ended too. */
export type StopMode = 'warm' | 'cold';

/** How a worker ended: on request, or by itself with the error that cannot be helped by trying again. */
export interface WorkerEnd {
  readonly how: StopMode | 'failed';
  readonly error: Error | undefined;
}

/** What the terminal is told; each is called at most once unless said otherwise. */
export interface WorkerListener {
  /** Messages removed by the `purge` option. */
  onPurged?(count: number): void;
  /** All queues are consumed. */
  onReady?(): void;
  /** A shutdown began, or got harder: at most once for each mode. */
  onStopping?(how: StopMode): void;
}

export interface WorkerOptions {
  /** Full node name, `celery@host`. */
  readonly hostname: string;
  /** Runs the tasks; its size is the worker's concurrency. Started and stopped by the worker. */
  readonly pool: Pool;
  readonly logger: Logger;
  /** Names of the queues to consume (`-Q`) instead of all of `task_queues`. */
  readonly queues?: readonly string[];
  /** Names of the queues not to consume (`-X`). */
  readonly excludeQueues?: readonly string[];
  /** Messages taken ahead for each slot; 0 = no limit. Default: `worker_prefetch_multiplier`. */
  readonly prefetchMultiplier?: number;
  /** Sizes the pool by load between these limits; the pool starts with `min` slots. */
  readonly autoscale?: AutoscaleLimits;
  /** Seconds between heartbeat events. Default: no events about the worker itself. */
  readonly heartbeatInterval?: number;
  /** Listen to the events of other workers. Default false. */
  readonly gossip?: boolean;
  /** Ask other workers for what they know before taking tasks. Default false. */
  readonly mingle?: boolean;
  /** Remove all messages that wait in the queues before consuming. Default false. */
  readonly purge?: boolean;
  /** Keeps what was revoked when the worker ends. */
  readonly stateDb?: StateDb;
  readonly listener?: WorkerListener;
}
