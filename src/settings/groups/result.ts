import { boolean, integer, nullable, number, object, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Where results go and how long they are kept. */
export interface ResultSettings {
  /**
   * URL or name of the result backend; `null` disables results.
   *
   * @defaultValue `null`
   */
  result_backend: string | null;
  /**
   * Client-side result cache size; -1 off, 0/null unlimited.
   *
   * @defaultValue `-1`
   */
  result_cache_max: number | null;
  /**
   * Compression of results.
   *
   * @defaultValue `null`
   */
  result_compression: string | null;
  /**
   * Exchange of the old amqp backend; rpc ignores it.
   *
   * @defaultValue `'celeryresults'`
   */
  result_exchange: string;
  /**
   * Type of that exchange.
   *
   * @defaultValue `'direct'`
   */
  result_exchange_type: string;
  /**
   * Seconds until a result expires; `null` keeps it for ever.
   *
   * @defaultValue `86400`
   */
  result_expires: number | null;
  /**
   * With `rpc://`: result messages survive a restart of the broker; `null` is off.
   *
   * @defaultValue `null`
   */
  result_persistent: boolean | null;
  /**
   * Store also name, args, kwargs, worker, retries and queue of the task.
   *
   * @defaultValue `false`
   */
  result_extended: boolean;
  /**
   * Serializer for stored results.
   *
   * @defaultValue `'json'`
   */
  result_serializer: string;
  /**
   * Backend options: retry_policy, global_keyprefix, master_name, sentinel_kwargs.
   *
   * @defaultValue `{}`
   */
  result_backend_transport_options: Readonly<Record<string, unknown>>;
  /**
   * Seconds between chord_unlock polls.
   *
   * @defaultValue `1`
   */
  result_chord_retry_interval: number;
  /**
   * Seconds to wait joining header results for chord body.
   *
   * @defaultValue `3`
   */
  result_chord_join_timeout: number;
  /**
   * Longest wait in milliseconds between such retries.
   *
   * @defaultValue `10000`
   */
  result_backend_max_sleep_between_retries_ms: number;
  /**
   * How often an operation of the backend is tried again.
   *
   * @defaultValue `Infinity`
   */
  result_backend_max_retries: number;
  /**
   * Milliseconds before the first retry of the backend; each further one waits longer.
   *
   * @defaultValue `10`
   */
  result_backend_base_sleep_between_retries_ms: number;
  /**
   * Retry operations of the Redis backend beyond its retry_policy.
   *
   * @defaultValue `false`
   */
  result_backend_always_retry: boolean;
  /**
   * Share one backend instance between threads.
   *
   * @defaultValue `false`
   */
  result_backend_thread_safe: boolean;
}

export const resultTable: Table<ResultSettings> = {
  result_backend: { kind: nullable(text), default: null, oldName: 'CELERY_RESULT_BACKEND' },
  result_cache_max: {
    kind: nullable(integer(-1)),
    default: -1,
    oldName: 'CELERY_MAX_CACHED_RESULTS',
    later: true,
  },
  result_compression: {
    kind: nullable(text),
    default: null,
    oldName: 'CELERY_RESULT_COMPRESSION',
    later: true,
  },
  result_exchange: { kind: text, default: 'celeryresults', oldName: 'CELERY_RESULT_EXCHANGE', later: true },
  result_exchange_type: {
    kind: text,
    default: 'direct',
    oldName: 'CELERY_RESULT_EXCHANGE_TYPE',
    later: true,
  },
  result_expires: { kind: nullable(seconds), default: 86400, oldName: 'CELERY_TASK_RESULT_EXPIRES' },
  result_persistent: { kind: nullable(boolean), default: null, oldName: 'CELERY_RESULT_PERSISTENT' },
  result_extended: { kind: boolean, default: false, oldName: 'CELERY_RESULT_EXTENDED' },
  result_serializer: { kind: text, default: 'json', oldName: 'CELERY_RESULT_SERIALIZER' },
  result_backend_transport_options: {
    kind: object,
    default: {},
    oldName: 'CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS',
  },
  result_chord_retry_interval: {
    kind: seconds,
    default: 1,
    oldName: 'CELERY_RESULT_CHORD_RETRY_INTERVAL',
  },
  result_chord_join_timeout: {
    kind: seconds,
    default: 3,
    oldName: 'CELERY_RESULT_CHORD_JOIN_TIMEOUT',
  },
  result_backend_max_sleep_between_retries_ms: {
    kind: integer(0),
    default: 10000,
    oldName: 'CELERY_RESULT_BACKEND_MAX_SLEEP_BETWEEN_RETRIES_MS',
  },
  result_backend_max_retries: {
    kind: number(0),
    default: Infinity,
    oldName: 'CELERY_RESULT_BACKEND_MAX_RETRIES',
  },
  result_backend_base_sleep_between_retries_ms: {
    kind: integer(0),
    default: 10,
    oldName: 'CELERY_RESULT_BACKEND_BASE_SLEEP_BETWEEN_RETRIES_MS',
  },
  result_backend_always_retry: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_RESULT_BACKEND_ALWAYS_RETRY',
  },
  result_backend_thread_safe: { kind: boolean, default: false, oldName: null, since: '5.3', later: true },
};
