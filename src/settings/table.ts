import { backendsTable } from './groups/backends.ts';
import { beatTable } from './groups/beat.ts';
import { brokerTable } from './groups/broker.ts';
import { cassandraTable } from './groups/cassandra.ts';
import { controlTable } from './groups/control.ts';
import { daemonTable } from './groups/daemon.ts';
import { databaseTable } from './groups/database.ts';
import { eventTable } from './groups/event.ts';
import { generalTable } from './groups/general.ts';
import { objectStoreTable } from './groups/object-store.ts';
import { redisTable } from './groups/redis.ts';
import { resultTable } from './groups/result.ts';
import { securityTable } from './groups/security.ts';
import { taskTable } from './groups/task.ts';
import { workerTable } from './groups/worker.ts';
import type { SettingValues } from './settings.ts';
import type { SettingSpec, Table } from './spec.ts';

/** Every setting: what it takes, its default, its old name. */
export const settingsTable: Table<SettingValues> = {
  ...generalTable,
  ...brokerTable,
  ...taskTable,
  ...resultTable,
  ...workerTable,
  ...controlTable,
  ...eventTable,
  ...beatTable,
  ...daemonTable,
  ...securityTable,
  ...redisTable,
  ...databaseTable,
  ...objectStoreTable,
  ...cassandraTable,
  ...backendsTable,
};

/** The same by name, for names that come from outside. */
export const settingsByName: ReadonlyMap<string, SettingSpec> = new Map<string, SettingSpec>(
  Object.entries(settingsTable),
);

/** New name by old name. */
export const newNames: ReadonlyMap<string, string> = new Map(
  [...settingsByName].flatMap(([name, { oldName }]) => (oldName === null ? [] : [[oldName, name]])),
);
