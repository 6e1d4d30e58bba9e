import { boolean, choice, integer, nullable, seconds, text } from '../kinds.ts';
import {
  deliveryMode,
  publishRetryPolicy,
  rateLimit,
  taskAnnotations,
  taskQueues,
  taskRoutes,
} from '../shapes.ts';
import type { Table } from '../spec.ts';
import type { DeliveryMode, PublishRetryPolicy, TaskAnnotations, TaskQueues, TaskRoutes } from '../types.ts';

/** How tasks are sent and run, unless a task says otherwise. */
export interface TaskSettings {
  /**
   * Acknowledge a message after the task has run instead of before.
   *
   * @defaultValue `false`
   */
  task_acks_late: boolean;
  /**
   * With late acknowledgement, acknowledge also tasks that failed or timed out.
   *
   * @defaultValue `true`
   */
  task_acks_on_failure_or_timeout: boolean;
  /**
   * Run tasks at once and in this process instead of sending them.
   *
   * @defaultValue `false`
   */
  task_always_eager: boolean;
  /**
   * Overrides options of tasks by name, or of all with `*`: `{ "tasks.add": { rate_limit: "10/m" } }`.
   *
   * @defaultValue `null`
   */
  task_annotations: TaskAnnotations | null;
  /**
   * Compression of task messages, such as `gzip`; `null` for none.
   *
   * @defaultValue `null`
   */
  task_compression: string | null;
  /**
   * Declare queues that `task_queues` does not name when they are first used; otherwise they are an error.
   *
   * @defaultValue `true`
   */
  task_create_missing_queues: boolean;
  /**
   * Type of queues made that way.
   *
   * @defaultValue `'classic'`
   */
  task_create_missing_queue_type: 'classic' | 'quorum';
  /**
   * Exchange type of queues made that way; `null` follows `task_default_exchange_type`.
   *
   * @defaultValue `null`
   */
  task_create_missing_queue_exchange_type: string | null;
  /**
   * A task sent by a task takes its priority.
   *
   * @defaultValue `false`
   */
  task_inherit_parent_priority: boolean;
  /**
   * 1 or `transient`: messages are lost when the broker restarts; 2 or `persistent`: they are kept.
   *
   * @defaultValue `2`
   */
  task_default_delivery_mode: DeliveryMode;
  /**
   * Queue for tasks that no route sends elsewhere.
   *
   * @defaultValue `'celery'`
   */
  task_default_queue: string;
  /**
   * Type of the default queue.
   *
   * @defaultValue `'classic'`
   */
  task_default_queue_type: 'classic' | 'quorum';
  /**
   * Exchange of the default queue; `null` is named like the queue.
   *
   * @defaultValue `null`
   */
  task_default_exchange: string | null;
  /**
   * Type of the default exchange.
   *
   * @defaultValue `'direct'`
   */
  task_default_exchange_type: string;
  /**
   * Routing key of the default queue; `null` is the name of the queue.
   *
   * @defaultValue `null`
   */
  task_default_routing_key: string | null;
  /**
   * Rate limit for tasks without one of their own: `10/s`, `10/m`, `10/h`, or a number per second.
   *
   * @defaultValue `null`
   */
  task_default_rate_limit: string | number | null;
  /**
   * Priority of tasks without one of their own, 0 to 255.
   *
   * @defaultValue `null`
   */
  task_default_priority: number | null;
  /**
   * Throw the errors of tasks that run eagerly.
   *
   * @defaultValue `false`
   */
  task_eager_propagates: boolean;
  /**
   * Store no results, unless a task or call says otherwise.
   *
   * @defaultValue `false`
   */
  task_ignore_result: boolean;
  /**
   * Store also the results of tasks that run eagerly.
   *
   * @defaultValue `false`
   */
  task_store_eager_result: boolean;
  /**
   * Version of the task messages sent.
   *
   * @defaultValue `2`
   */
  task_protocol: 1 | 2;
  /**
   * Try again when a message cannot be published because the connection was lost.
   *
   * @defaultValue `true`
   */
  task_publish_retry: boolean;
  /**
   * How often and when that is tried again, times in seconds; a key left out keeps its default.
   *
   * @defaultValue `{'max_retries': 3, 'interval_start': 0, 'interval_max': 1, 'interval_step': 0.2}`
   */
  task_publish_retry_policy: PublishRetryPolicy;
  /**
   * The queues: a list of `Queue`, or an object of names and options; `null` is the default queue alone.
   *
   * @defaultValue `null`
   */
  task_queues: TaskQueues | null;
  /**
   * Highest priority of queues that do not name one (x-max-priority).
   *
   * @defaultValue `null`
   */
  task_queue_max_priority: number | null;
  /**
   * With late acknowledgement, give the message back to the broker when the process of its task dies.
   *
   * @defaultValue `null`
   */
  task_reject_on_worker_lost: boolean | null;
  /**
   * Rebuild the stack of a remote error in the client.
   *
   * @defaultValue `false`
   */
  task_remote_tracebacks: boolean;
  /**
   * Where tasks go: a map by name, glob or regular expression, a function, or a list of these.
   *
   * @defaultValue `null`
   */
  task_routes: TaskRoutes | null;
  /**
   * Producer publishes task-sent event.
   *
   * @defaultValue `false`
   */
  task_send_sent_event: boolean;
  /**
   * Serializer of task messages.
   *
   * @defaultValue `'json'`
   */
  task_serializer: string;
  /**
   * Seconds after which a task is told to end: `self.signal` aborts with SoftTimeLimitExceeded.
   *
   * @defaultValue `null`
   */
  task_soft_time_limit: number | null;
  /**
   * Seconds after which the process of a task is killed.
   *
   * @defaultValue `null`
   */
  task_time_limit: number | null;
  /**
   * Store errors even of tasks whose results are ignored.
   *
   * @defaultValue `false`
   */
  task_store_errors_even_if_ignored: boolean;
  /**
   * Store the state STARTED when a task begins.
   *
   * @defaultValue `false`
   */
  task_track_started: boolean;
  /**
   * link_error on chord also attaches to header tasks.
   *
   * @defaultValue `false`
   */
  task_allow_error_cb_on_chord_header: boolean;
  /**
   * With late acknowledgement, acknowledge failed tasks; `null` follows `task_acks_on_failure_or_timeout`.
   *
   * @defaultValue `null`
   */
  task_acks_on_failure: boolean | null;
  /**
   * With late acknowledgement, acknowledge timed-out tasks; `null` follows `task_acks_on_failure_or_timeout`.
   *
   * @defaultValue `null`
   */
  task_acks_on_timeout: boolean | null;
}

export const taskTable: Table<TaskSettings> = {
  task_acks_late: { kind: boolean, default: false, oldName: 'CELERY_ACKS_LATE' },
  task_acks_on_failure_or_timeout: {
    kind: boolean,
    default: true,
    oldName: 'CELERY_ACKS_ON_FAILURE_OR_TIMEOUT',
  },
  task_always_eager: { kind: boolean, default: false, oldName: 'CELERY_ALWAYS_EAGER' },
  task_annotations: { kind: nullable(taskAnnotations), default: null, oldName: 'CELERY_ANNOTATIONS' },
  task_compression: { kind: nullable(text), default: null, oldName: 'CELERY_MESSAGE_COMPRESSION' },
  task_create_missing_queues: { kind: boolean, default: true, oldName: 'CELERY_CREATE_MISSING_QUEUES' },
  task_create_missing_queue_type: {
    kind: choice('classic', 'quorum'),
    default: 'classic',
    oldName: 'CELERY_CREATE_MISSING_QUEUE_TYPE',
    since: '5.6',
  },
  task_create_missing_queue_exchange_type: {
    kind: nullable(text),
    default: null,
    oldName: 'CELERY_CREATE_MISSING_QUEUE_EXCHANGE_TYPE',
    since: '5.6',
  },
  task_inherit_parent_priority: { kind: boolean, default: false, oldName: 'CELERY_INHERIT_PARENT_PRIORITY' },
  task_default_delivery_mode: { kind: deliveryMode, default: 2, oldName: 'CELERY_DEFAULT_DELIVERY_MODE' },
  task_default_queue: { kind: text, default: 'celery', oldName: 'CELERY_DEFAULT_QUEUE' },
  task_default_queue_type: {
    kind: choice('classic', 'quorum'),
    default: 'classic',
    oldName: 'CELERY_DEFAULT_QUEUE_TYPE',
    since: '5.5',
  },
  task_default_exchange: { kind: nullable(text), default: null, oldName: 'CELERY_DEFAULT_EXCHANGE' },
  task_default_exchange_type: { kind: text, default: 'direct', oldName: 'CELERY_DEFAULT_EXCHANGE_TYPE' },
  task_default_routing_key: { kind: nullable(text), default: null, oldName: 'CELERY_DEFAULT_ROUTING_KEY' },
  task_default_rate_limit: { kind: nullable(rateLimit), default: null, oldName: 'CELERY_DEFAULT_RATE_LIMIT' },
  task_default_priority: {
    kind: nullable(integer(0, 255)),
    default: null,
    oldName: 'CELERY_DEFAULT_PRIORITY',
  },
  task_eager_propagates: { kind: boolean, default: false, oldName: 'CELERY_EAGER_PROPAGATES_EXCEPTIONS' },
  task_ignore_result: { kind: boolean, default: false, oldName: 'CELERY_IGNORE_RESULT' },
  task_store_eager_result: { kind: boolean, default: false, oldName: 'CELERY_STORE_EAGER_RESULT' },
  task_protocol: { kind: choice(1, 2), default: 2, oldName: 'CELERY_TASK_PROTOCOL', later: true },
  task_publish_retry: { kind: boolean, default: true, oldName: 'CELERY_TASK_PUBLISH_RETRY' },
  task_publish_retry_policy: {
    kind: publishRetryPolicy,
    default: publishRetryPolicy.defaults,
    oldName: 'CELERY_TASK_PUBLISH_RETRY_POLICY',
  },
  task_queues: { kind: nullable(taskQueues), default: null, oldName: 'CELERY_QUEUES' },
  task_queue_max_priority: {
    kind: nullable(integer(0, 255)),
    default: null,
    oldName: 'CELERY_QUEUE_MAX_PRIORITY',
  },
  task_reject_on_worker_lost: {
    kind: nullable(boolean),
    default: null,
    oldName: 'CELERY_REJECT_ON_WORKER_LOST',
  },
  task_remote_tracebacks: { kind: boolean, default: false, oldName: 'CELERY_REMOTE_TRACEBACKS', later: true },
  task_routes: { kind: nullable(taskRoutes), default: null, oldName: 'CELERY_ROUTES' },
  task_send_sent_event: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_SEND_TASK_SENT_EVENT',
  },
  task_serializer: { kind: text, default: 'json', oldName: 'CELERY_TASK_SERIALIZER' },
  task_soft_time_limit: { kind: nullable(seconds), default: null, oldName: 'CELERYD_TASK_SOFT_TIME_LIMIT' },
  task_time_limit: { kind: nullable(seconds), default: null, oldName: 'CELERYD_TASK_TIME_LIMIT' },
  task_store_errors_even_if_ignored: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_STORE_ERRORS_EVEN_IF_IGNORED',
  },
  task_track_started: { kind: boolean, default: false, oldName: 'CELERY_TRACK_STARTED' },
  task_allow_error_cb_on_chord_header: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_ALLOW_ERROR_CB_ON_CHORD_HEADER',
    since: '5.3',
  },
  task_acks_on_failure: { kind: nullable(boolean), default: null, oldName: null, since: '5.7', later: true },
  task_acks_on_timeout: { kind: nullable(boolean), default: null, oldName: null, since: '5.7', later: true },
};
