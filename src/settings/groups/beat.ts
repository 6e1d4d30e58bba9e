import { integer, nullable, seconds, text } from '../kinds.ts';
import { beatSchedule } from '../shapes.ts';
import type { Table } from '../spec.ts';
import type { BeatEntry } from '../types.ts';

/** The scheduler of periodic tasks. */
export interface BeatSettings {
  /**
   * Longest beat sleep, 0 = scheduler default (300 s).
   *
   * @defaultValue `0`
   */
  beat_max_loop_interval: number;
  /**
   * Mapping of entry name to periodic task definition.
   *
   * @defaultValue `{}`
   */
  beat_schedule: Readonly<Record<string, BeatEntry>>;
  /**
   * Class path of the beat scheduler.
   *
   * @defaultValue `'celery.beat:PersistentScheduler'`
   */
  beat_scheduler: string;
  /**
   * Path of shelve file keeping last run times.
   *
   * @defaultValue `'celerybeat-schedule'`
   */
  beat_schedule_filename: string;
  /**
   * Force schedule sync after N sent tasks; 0 = time only.
   *
   * @defaultValue `0`
   */
  beat_sync_every: number;
  /**
   * Skip missed cron runs older than this many seconds.
   *
   * @defaultValue `null`
   */
  beat_cron_starting_deadline: number | null;
}

export const beatTable: Table<BeatSettings> = {
  beat_max_loop_interval: { kind: seconds, default: 0, oldName: 'CELERYBEAT_MAX_LOOP_INTERVAL', later: true },
  beat_schedule: { kind: beatSchedule, default: {}, oldName: 'CELERYBEAT_SCHEDULE', later: true },
  beat_scheduler: {
    kind: text,
    default: 'celery.beat:PersistentScheduler',
    oldName: 'CELERYBEAT_SCHEDULER',
    later: true,
  },
  beat_schedule_filename: {
    kind: text,
    default: 'celerybeat-schedule',
    oldName: 'CELERYBEAT_SCHEDULE_FILENAME',
    later: true,
  },
  beat_sync_every: { kind: integer(0), default: 0, oldName: 'CELERYBEAT_SYNC_EVERY', later: true },
  beat_cron_starting_deadline: {
    kind: nullable(integer(0)),
    default: null,
    oldName: 'CELERYBEAT_CRON_STARTING_DEADLINE',
    since: '5.3',
    later: true,
  },
};
