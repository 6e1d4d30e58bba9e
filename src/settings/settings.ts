import type { LogLevel } from '../core/log-format.ts';
import type { BackendSettings } from './groups/backends.ts';
import type { BeatSettings } from './groups/beat.ts';
import type { BrokerSettings } from './groups/broker.ts';
import type { CassandraSettings } from './groups/cassandra.ts';
import type { ControlSettings } from './groups/control.ts';
import type { DaemonSettings } from './groups/daemon.ts';
import type { DatabaseSettings } from './groups/database.ts';
import type { EventSettings } from './groups/event.ts';
import type { GeneralSettings } from './groups/general.ts';
import type { ObjectStoreSettings } from './groups/object-store.ts';
import type { RedisSettings } from './groups/redis.ts';
import type { ResultSettings } from './groups/result.ts';
import type { SecuritySettings } from './groups/security.ts';
import type { TaskSettings } from './groups/task.ts';
import type { WorkerSettings } from './groups/worker.ts';
import type { PublishRetryOptions } from './types.ts';

/** All settings in the form that the code uses; the groups describe them. */
export interface SettingValues
  extends
    GeneralSettings,
    BrokerSettings,
    TaskSettings,
    ResultSettings,
    WorkerSettings,
    ControlSettings,
    EventSettings,
    BeatSettings,
    DaemonSettings,
    SecuritySettings,
    RedisSettings,
    DatabaseSettings,
    ObjectStoreSettings,
    CassandraSettings,
    BackendSettings {}

/** Settings that a user may write in a shorter form. */
interface ShortForms {
  accept_content: string | readonly string[] | ReadonlySet<string>;
  result_accept_content: string | readonly string[] | ReadonlySet<string> | null;
  imports: string | readonly string[];
  include: string | readonly string[];
  cassandra_servers: string | readonly string[] | null;
  task_publish_retry_policy: PublishRetryOptions;
  worker_redirect_stdouts_level: LogLevel | Lowercase<LogLevel>;
}

/** What a user sets, on `app.conf` or in a `celeryconfig` module: Celery's names, all optional. Times are seconds. */
export type Settings = {
  [Name in keyof SettingValues]?:
    (Name extends keyof ShortForms ? ShortForms[Name] : SettingValues[Name]) | undefined;
};

/** The settings in force: every one present, checked, and not to be changed any more. */
export type ResolvedSettings = { readonly [Name in keyof SettingValues]: SettingValues[Name] };

/** Returns the settings as they are; in a `celeryconfig` module it has the editor check and explain them. */
export function defineConfig(settings: Settings): Settings {
  return settings;
}
