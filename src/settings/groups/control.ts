import { boolean, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Remote control of running workers. */
export interface ControlSettings {
  /**
   * Seconds that a remote-control message waits in a queue (x-message-ttl).
   *
   * @defaultValue `300`
   */
  control_queue_ttl: number;
  /**
   * Seconds until an unused remote-control queue vanishes (x-expires).
   *
   * @defaultValue `10`
   */
  control_queue_expires: number;
  /**
   * Declare remote-control queues exclusive.
   *
   * @defaultValue `false`
   */
  control_queue_exclusive: boolean;
  /**
   * Declare remote-control queues durable; excludes exclusive and auto-delete.
   *
   * @defaultValue `false`
   */
  control_queue_durable: boolean;
  /**
   * Prefix of the remote-control exchanges, `<prefix>.pidbox` and `reply.<prefix>.pidbox`.
   *
   * @defaultValue `'celery'`
   */
  control_exchange: string;
}

export const controlTable: Table<ControlSettings> = {
  control_queue_ttl: { kind: seconds, default: 300, oldName: 'CONTROL_QUEUE_TTL' },
  control_queue_expires: { kind: seconds, default: 10, oldName: 'CONTROL_QUEUE_EXPIRES' },
  control_queue_exclusive: {
    kind: boolean,
    default: false,
    oldName: 'CONTROL_QUEUE_EXCLUSIVE',
    since: '5.6',
  },
  control_queue_durable: {
    kind: boolean,
    default: false,
    oldName: 'CONTROL_QUEUE_DURABLE',
    since: '5.6',
  },
  control_exchange: { kind: text, default: 'celery', oldName: 'CONTROL_EXCHANGE' },
};
