import { integer, nullable, oneOf, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Defaults of the options that the commands `worker`, `beat` and `events` take to run in the background. */
export interface DaemonSettings {
  /**
   * Default of --logfile for celery worker.
   *
   * @defaultValue `null`
   */
  worker_logfile: string | null;
  /**
   * Default of --pidfile for celery worker.
   *
   * @defaultValue `null`
   */
  worker_pidfile: string | null;
  /**
   * Default of --uid for celery worker.
   *
   * @defaultValue `null`
   */
  worker_uid: number | string | null;
  /**
   * Default of --gid for celery worker.
   *
   * @defaultValue `null`
   */
  worker_gid: number | string | null;
  /**
   * Default of --umask for celery worker.
   *
   * @defaultValue `null`
   */
  worker_umask: number | string | null;
  /**
   * Default of --executable for celery worker.
   *
   * @defaultValue `null`
   */
  worker_executable: string | null;
  /**
   * Default of --logfile for celery beat.
   *
   * @defaultValue `null`
   */
  beat_logfile: string | null;
  /**
   * Default of --pidfile for celery beat.
   *
   * @defaultValue `null`
   */
  beat_pidfile: string | null;
  /**
   * Default of --uid for celery beat.
   *
   * @defaultValue `null`
   */
  beat_uid: number | string | null;
  /**
   * Default of --gid for celery beat.
   *
   * @defaultValue `null`
   */
  beat_gid: number | string | null;
  /**
   * Default of --umask for celery beat.
   *
   * @defaultValue `null`
   */
  beat_umask: number | string | null;
  /**
   * Default of --executable for celery beat.
   *
   * @defaultValue `null`
   */
  beat_executable: string | null;
  /**
   * Default of --logfile for celery events.
   *
   * @defaultValue `null`
   */
  events_logfile: string | null;
  /**
   * Default of --pidfile for celery events.
   *
   * @defaultValue `null`
   */
  events_pidfile: string | null;
  /**
   * Default of --uid for celery events.
   *
   * @defaultValue `null`
   */
  events_uid: number | string | null;
  /**
   * Default of --gid for celery events.
   *
   * @defaultValue `null`
   */
  events_gid: number | string | null;
  /**
   * Default of --umask for celery events.
   *
   * @defaultValue `null`
   */
  events_umask: number | string | null;
  /**
   * Default of --executable for celery events.
   *
   * @defaultValue `null`
   */
  events_executable: string | null;
}

export const daemonTable: Table<DaemonSettings> = {
  worker_logfile: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  worker_pidfile: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  worker_uid: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  worker_gid: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  worker_umask: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  worker_executable: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  beat_logfile: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  beat_pidfile: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  beat_uid: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  beat_gid: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  beat_umask: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  beat_executable: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  events_logfile: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  events_pidfile: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
  events_uid: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  events_gid: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  events_umask: {
    kind: nullable(oneOf<[number, string]>(integer(0), text)),
    default: null,
    oldName: null,
    since: '5.4',
    later: true,
  },
  events_executable: { kind: nullable(text), default: null, oldName: null, since: '5.4', later: true },
};
