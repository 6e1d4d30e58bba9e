import os from 'node:os';
import { ValueError } from '../core/errors.ts';
import type { LogLevel } from '../core/logger.ts';
import { expand, nodename } from '../core/nodename.ts';
import type { AutoscaleLimits } from '../worker/autoscale.ts';
import type { WorkerOptions } from '../worker/options.ts';
import type { Context } from './context.ts';
import type { PrivilegeFlags } from './umask.ts';
import { isSettingWord, settingWords } from './outside-settings.ts';

/** Options of `celery-ts worker` as commander gives them. */
export interface WorkerFlags extends PrivilegeFlags {
  readonly hostname?: string;
  readonly loglevel: string;
  readonly logfile?: string;
  readonly pidfile?: string;
  readonly include?: readonly string[];
  readonly statedb?: string;
  readonly prefetchMultiplier?: number;
  readonly disablePrefetch?: boolean;
  readonly concurrency?: number;
  readonly pool?: string;
  readonly autoscale?: AutoscaleLimits;
  readonly timeLimit?: number;
  readonly softTimeLimit?: number;
  readonly maxTasksPerChild?: number;
  readonly maxMemoryPerChild?: number;
  readonly queues?: readonly string[];
  readonly excludeQueues?: readonly string[];
  readonly taskEvents?: boolean;
  readonly events?: boolean;
  readonly heartbeatInterval?: number;
  readonly withoutHeartbeat?: boolean;
  readonly withoutGossip?: boolean;
  readonly withoutMingle?: boolean;
  readonly purge?: boolean;
  readonly discard?: boolean;
  readonly detach?: boolean;
  readonly executable?: string;
}

/** Celery's other pools, which are none of ours. */
const OTHER_POOLS = ['threads', 'custom'];

export type PoolKind = 'prefork' | 'async' | 'solo';

/** Names for `-P` and `worker_pool`. What Celery has for tasks that wait is the async pool here. */
const POOLS = new Map<string, PoolKind>([
  ['prefork', 'prefork'],
  ['processes', 'prefork'],
  ['async', 'async'],
  ['gevent', 'async'],
  ['eventlet', 'async'],
  ['solo', 'solo'],
]);

/** The pool of a name in `-P` or `worker_pool`; undefined when there is none. */
export function poolKind(name: string): PoolKind | undefined {
  return POOLS.get(name);
}

/** Why there is no such pool. */
export function poolProblem(name: string): string {
  const what = OTHER_POOLS.includes(name) ? 'is a pool that celery-ts does not have' : 'is no pool';
  return `'${name}' ${what}; there are 'prefork' (also called 'processes'), 'async' (also called 'gevent' and 'eventlet') and 'solo'.`;
}

/** The settings that the options and the words behind them stand for. */
export function commandLineSettings(
  flags: WorkerFlags,
  words: readonly string[],
  context: Context,
): Record<string, unknown> {
  if (flags.pool !== undefined && poolKind(flags.pool) === undefined) {
    throw context.usage(`Invalid value for '-P' / '--pool': ${poolProblem(flags.pool)}`);
  }
  if (flags.autoscale !== undefined && poolKind(flags.pool ?? 'prefork') === 'solo') {
    throw context.usage("Invalid value for '--autoscale': the solo pool has one slot.");
  }
  const extra = words.find((word) => !isSettingWord(word));
  if (extra !== undefined) {
    throw context.usage(`Got unexpected extra argument (${extra}): it is no setting of the form name=value.`);
  }
  const given = {
    worker_concurrency: flags.autoscale === undefined ? flags.concurrency : Math.max(1, flags.autoscale.min),
    worker_pool: flags.pool,
    worker_prefetch_multiplier: flags.prefetchMultiplier,
    worker_disable_prefetch: flags.disablePrefetch,
    worker_state_db: flags.statedb,
    worker_max_tasks_per_child: flags.maxTasksPerChild,
    worker_send_task_events: flags.taskEvents === true || flags.events === true ? true : undefined,
    worker_max_memory_per_child: flags.maxMemoryPerChild,
    task_time_limit: flags.timeLimit,
    task_soft_time_limit: flags.softTimeLimit,
    include: flags.include,
  };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...settingWords(words),
  };
}

/** Seconds between heartbeat events of a worker that is not told otherwise. */
const HEARTBEAT_INTERVAL_S = 2;

/** What the worker tells the others and hears of them. */
export function eventOptions(
  flags: WorkerFlags,
): Pick<WorkerOptions, 'heartbeatInterval' | 'gossip' | 'mingle'> {
  // As in Celery, 0 is as good as nothing said.
  const heartbeatInterval = flags.heartbeatInterval || HEARTBEAT_INTERVAL_S;
  return {
    ...(flags.withoutHeartbeat !== true && { heartbeatInterval }),
    gossip: flags.withoutGossip !== true,
    mingle: flags.withoutMingle !== true,
  };
}

/** FATAL is another word for CRITICAL. */
export function logLevel(name: string): LogLevel {
  return (name === 'FATAL' ? 'CRITICAL' : name) as LogLevel;
}

/** `-n`, expanded. */
export function hostnameOf(flags: WorkerFlags, context: Context): string {
  return expandOrRefuse("'-n' / '--hostname'", context, () => nodename(flags.hostname, os.hostname()));
}

/** The path of a pid or log file of the main process. */
export function expandPath(option: string, path: string, hostname: string, context: Context): string {
  return expandOrRefuse(option, context, () => expand(path, { nodename: hostname }));
}

function expandOrRefuse(option: string, context: Context, run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw context.usage(`Invalid value for ${option}: ${error.message}`);
  }
}
