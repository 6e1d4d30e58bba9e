import type { LogLevel } from '../../core/log-format.ts';
import { boolean, integer, logFormat, logLevel, nullable, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';
import type { PoolName } from '../types.ts';

/** The worker daemon. */
export interface WorkerSettings {
  /**
   * Class of cell agent boot step.
   *
   * @defaultValue `null`
   */
  worker_agent: string | null;
  /**
   * Autoscaler class path.
   *
   * @defaultValue `'celery.worker.autoscale:Autoscaler'`
   */
  worker_autoscaler: string;
  /**
   * Kill running late-ack tasks when connection drops.
   *
   * @defaultValue `false`
   */
  worker_cancel_long_running_tasks_on_connection_loss: boolean;
  /**
   * Seconds that running tasks get before a cold shutdown; 0 for none.
   *
   * @defaultValue `0`
   */
  worker_soft_shutdown_timeout: number;
  /**
   * Honour that wait even with no running tasks.
   *
   * @defaultValue `false`
   */
  worker_enable_soft_shutdown_on_idle: boolean;
  /**
   * Tasks run at the same time; `null` is the number of CPUs.
   *
   * @defaultValue `null`
   */
  worker_concurrency: number | null;
  /**
   * Consumer class path.
   *
   * @defaultValue `'celery.worker.consumer:Consumer'`
   */
  worker_consumer: string;
  /**
   * Add dedicated queue '<node>.dq2' per worker.
   *
   * @defaultValue `false`
   */
  worker_direct: boolean;
  /**
   * Ignore the rate limits of all tasks.
   *
   * @defaultValue `false`
   */
  worker_disable_rate_limits: boolean;
  /**
   * Skip redelivered late-ack task already SUCCESS.
   *
   * @defaultValue `false`
   */
  worker_deduplicate_successful_tasks: boolean;
  /**
   * Listen to remote-control commands.
   *
   * @defaultValue `true`
   */
  worker_enable_remote_control: boolean;
  /**
   * Replace existing root log handlers.
   *
   * @defaultValue `true`
   */
  worker_hijack_root_logger: boolean;
  /**
   * Coloured log lines; `null` colours them on a terminal.
   *
   * @defaultValue `null`
   */
  worker_log_color: boolean | null;
  /**
   * Format of log lines outside tasks.
   *
   * @defaultValue `'[%(asctime)s: %(levelname)s/%(processName)s] %(message)s'`
   */
  worker_log_format: string;
  /**
   * Seconds to wait for the result of a child process that is gone.
   *
   * @defaultValue `10`
   */
  worker_lost_wait: number;
  /**
   * Kilobytes of resident memory above which a child process is replaced when its task has ended.
   *
   * @defaultValue `null`
   */
  worker_max_memory_per_child: number | null;
  /**
   * Tasks after which a child process is replaced.
   *
   * @defaultValue `null`
   */
  worker_max_tasks_per_child: number | null;
  /**
   * `prefork` runs one task in each child process, `async` many; `solo` one in the worker itself.
   *
   * @defaultValue `'prefork'`
   */
  worker_pool: PoolName;
  /**
   * Guard pool submission with a semaphore.
   *
   * @defaultValue `true`
   */
  worker_pool_putlocks: boolean;
  /**
   * Permit pool_restart remote command.
   *
   * @defaultValue `false`
   */
  worker_pool_restarts: boolean;
  /**
   * Seconds that a new child process may take to report that it is up.
   *
   * @defaultValue `4`
   */
  worker_proc_alive_timeout: number;
  /**
   * Messages taken in advance per process; 0 takes as many as there are.
   *
   * @defaultValue `4`
   */
  worker_prefetch_multiplier: number;
  /**
   * Cap on prefetch growth caused by ETA tasks.
   *
   * @defaultValue `null`
   */
  worker_eta_task_limit: number | null;
  /**
   * Shrink prefetch after reconnect until tasks finish.
   *
   * @defaultValue `true`
   */
  worker_enable_prefetch_count_reduction: boolean;
  /**
   * Take a message only when a slot is free for its task.
   *
   * @defaultValue `false`
   */
  worker_disable_prefetch: boolean;
  /**
   * Send what tasks print to the log.
   *
   * @defaultValue `true`
   */
  worker_redirect_stdouts: boolean;
  /**
   * Level of those lines.
   *
   * @defaultValue `'WARNING'`
   */
  worker_redirect_stdouts_level: LogLevel;
  /**
   * Emit task events (same as -E).
   *
   * @defaultValue `false`
   */
  worker_send_task_events: boolean;
  /**
   * Path of revoked-task state file.
   *
   * @defaultValue `null`
   */
  worker_state_db: string | null;
  /**
   * Format of log lines of tasks.
   *
   * @defaultValue `'[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s'`
   */
  worker_task_log_format: string;
  /**
   * Timer class path.
   *
   * @defaultValue `null`
   */
  worker_timer: string | null;
  /**
   * Longest timer sleep seconds when not using event loop.
   *
   * @defaultValue `1`
   */
  worker_timer_precision: number;
  /**
   * Detect quorum queues and switch off global QoS.
   *
   * @defaultValue `true`
   */
  worker_detect_quorum_queues: boolean;
}

export const workerTable: Table<WorkerSettings> = {
  worker_agent: { kind: nullable(text), default: null, oldName: 'CELERYD_AGENT', later: true },
  worker_autoscaler: {
    kind: text,
    default: 'celery.worker.autoscale:Autoscaler',
    oldName: 'CELERYD_AUTOSCALER',
    later: true,
  },
  worker_cancel_long_running_tasks_on_connection_loss: {
    kind: boolean,
    default: false,
    oldName: 'CELERYD_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS',
    later: true,
  },
  worker_soft_shutdown_timeout: {
    kind: seconds,
    default: 0,
    oldName: 'CELERYD_SOFT_SHUTDOWN_TIMEOUT',
    since: '5.5',
    later: true,
  },
  worker_enable_soft_shutdown_on_idle: {
    kind: boolean,
    default: false,
    oldName: 'CELERYD_ENABLE_SOFT_SHUTDOWN_ON_IDLE',
    since: '5.5',
    later: true,
  },
  worker_concurrency: { kind: nullable(integer(1)), default: null, oldName: 'CELERYD_CONCURRENCY' },
  worker_consumer: {
    kind: text,
    default: 'celery.worker.consumer:Consumer',
    oldName: 'CELERYD_CONSUMER',
    later: true,
  },
  worker_direct: { kind: boolean, default: false, oldName: 'CELERY_WORKER_DIRECT', later: true },
  worker_disable_rate_limits: { kind: boolean, default: false, oldName: 'CELERY_DISABLE_RATE_LIMITS' },
  worker_deduplicate_successful_tasks: {
    kind: boolean,
    default: false,
    oldName: 'CELERYD_DEDUPLICATE_SUCCESSFUL_TASKS',
    later: true,
  },
  worker_enable_remote_control: { kind: boolean, default: true, oldName: 'CELERY_ENABLE_REMOTE_CONTROL' },
  worker_hijack_root_logger: {
    kind: boolean,
    default: true,
    oldName: 'CELERYD_HIJACK_ROOT_LOGGER',
    later: true,
  },
  worker_log_color: { kind: nullable(boolean), default: null, oldName: 'CELERYD_LOG_COLOR' },
  worker_log_format: {
    kind: logFormat,
    default: '[%(asctime)s: %(levelname)s/%(processName)s] %(message)s',
    oldName: 'CELERYD_LOG_FORMAT',
  },
  worker_lost_wait: { kind: seconds, default: 10, oldName: 'CELERYD_WORKER_LOST_WAIT', later: true },
  worker_max_memory_per_child: {
    kind: nullable(integer(1)),
    default: null,
    oldName: 'CELERYD_MAX_MEMORY_PER_CHILD',
  },
  worker_max_tasks_per_child: {
    kind: nullable(integer(1)),
    default: null,
    oldName: 'CELERYD_MAX_TASKS_PER_CHILD',
  },
  worker_pool: { kind: text, default: 'prefork', oldName: 'CELERYD_POOL' },
  worker_pool_putlocks: { kind: boolean, default: true, oldName: 'CELERYD_POOL_PUTLOCKS', later: true },
  worker_pool_restarts: { kind: boolean, default: false, oldName: 'CELERYD_POOL_RESTARTS' },
  worker_proc_alive_timeout: { kind: seconds, default: 4, oldName: 'CELERYD_PROC_ALIVE_TIMEOUT' },
  worker_prefetch_multiplier: { kind: integer(0), default: 4, oldName: 'CELERYD_PREFETCH_MULTIPLIER' },
  worker_eta_task_limit: {
    kind: nullable(integer(0)),
    default: null,
    oldName: 'CELERYD_ETA_TASK_LIMIT',
    since: '5.6',
  },
  worker_enable_prefetch_count_reduction: {
    kind: boolean,
    default: true,
    oldName: 'CELERYD_ENABLE_PREFETCH_COUNT_REDUCTION',
    since: '5.4',
  },
  worker_disable_prefetch: {
    kind: boolean,
    default: false,
    oldName: 'CELERYD_DISABLE_PREFETCH',
    since: '5.6',
  },
  worker_redirect_stdouts: { kind: boolean, default: true, oldName: 'CELERY_REDIRECT_STDOUTS' },
  worker_redirect_stdouts_level: {
    kind: logLevel,
    default: 'WARNING',
    oldName: 'CELERY_REDIRECT_STDOUTS_LEVEL',
  },
  worker_send_task_events: { kind: boolean, default: false, oldName: 'CELERY_SEND_EVENTS' },
  worker_state_db: { kind: nullable(text), default: null, oldName: 'CELERYD_STATE_DB' },
  worker_task_log_format: {
    kind: logFormat,
    default: '[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s',
    oldName: 'CELERYD_TASK_LOG_FORMAT',
  },
  worker_timer: { kind: nullable(text), default: null, oldName: 'CELERYD_TIMER', later: true },
  worker_timer_precision: { kind: seconds, default: 1, oldName: 'CELERYD_TIMER_PRECISION', later: true },
  worker_detect_quorum_queues: {
    kind: boolean,
    default: true,
    oldName: 'CELERYD_DETECT_QUORUM_QUEUES',
    since: '5.5',
    later: true,
  },
};
