import { boolean, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Events that workers and clients send for monitoring. */
export interface EventSettings {
  /**
   * Seconds before idle event queue vanishes (x-expires).
   *
   * @defaultValue `60`
   */
  event_queue_expires: number;
  /**
   * Event message TTL seconds (x-message-ttl).
   *
   * @defaultValue `5`
   */
  event_queue_ttl: number;
  /**
   * Name prefix of event receiver queues.
   *
   * @defaultValue `'celeryev'`
   */
  event_queue_prefix: string;
  /**
   * Declare event queues exclusive.
   *
   * @defaultValue `false`
   */
  event_queue_exclusive: boolean;
  /**
   * Declare event queues durable; excludes exclusive.
   *
   * @defaultValue `false`
   */
  event_queue_durable: boolean;
  /**
   * Serializer for event messages.
   *
   * @defaultValue `'json'`
   */
  event_serializer: string;
  /**
   * Exchange name for events.
   *
   * @defaultValue `'celeryev'`
   */
  event_exchange: string;
}

export const eventTable: Table<EventSettings> = {
  event_queue_expires: { kind: seconds, default: 60, oldName: 'CELERY_EVENT_QUEUE_EXPIRES' },
  event_queue_ttl: { kind: seconds, default: 5, oldName: 'CELERY_EVENT_QUEUE_TTL' },
  event_queue_prefix: { kind: text, default: 'celeryev', oldName: 'CELERY_EVENT_QUEUE_PREFIX' },
  event_queue_exclusive: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_EVENT_QUEUE_EXCLUSIVE',
    since: '5.6',
  },
  event_queue_durable: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_EVENT_QUEUE_DURABLE',
    since: '5.6',
  },
  event_serializer: { kind: text, default: 'json', oldName: 'CELERY_EVENT_SERIALIZER' },
  event_exchange: { kind: text, default: 'celeryev', oldName: 'CELERY_EVENT_EXCHANGE' },
};
