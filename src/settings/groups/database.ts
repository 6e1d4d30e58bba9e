import { anything, boolean, nullable, object, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** SQL databases as result backends. */
export interface DatabaseSettings {
  /**
   * SQLAlchemy URL for the database backend.
   *
   * @defaultValue `null`
   */
  database_url: string | null;
  /**
   * Options of the database connection.
   *
   * @defaultValue `null`
   */
  database_engine_options: Readonly<Record<string, unknown>> | null;
  /**
   * Open a new session per operation.
   *
   * @defaultValue `false`
   */
  database_short_lived_sessions: boolean;
  /**
   * Schema names keyed task and group.
   *
   * @defaultValue `null`
   */
  database_table_schemas: Readonly<Record<string, unknown>> | null;
  /**
   * Table names keyed task and group.
   *
   * @defaultValue `null`
   */
  database_table_names: Readonly<Record<string, unknown>> | null;
  /**
   * Create tables when backend starts, else on first use.
   *
   * @defaultValue `true`
   */
  database_create_tables_at_setup: boolean;
  /**
   * Function called with the database connection that was made.
   *
   * @defaultValue `null`
   */
  database_engine_callback: unknown;
}

export const databaseTable: Table<DatabaseSettings> = {
  database_url: { kind: nullable(text), default: null, oldName: 'CELERY_RESULT_DBURI', later: true },
  database_engine_options: {
    kind: nullable(object),
    default: null,
    oldName: 'CELERY_RESULT_ENGINE_OPTIONS',
    later: true,
  },
  database_short_lived_sessions: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_RESULT_DB_SHORT_LIVED_SESSIONS',
    later: true,
  },
  database_table_schemas: {
    kind: nullable(object),
    default: null,
    oldName: 'DATABASE_TABLE_SCHEMAS',
    later: true,
  },
  database_table_names: {
    kind: nullable(object),
    default: null,
    oldName: 'CELERY_RESULT_DB_TABLENAMES',
    later: true,
  },
  database_create_tables_at_setup: {
    kind: boolean,
    default: true,
    oldName: 'DATABASE_CREATE_TABLES_AT_SETUP',
    since: '5.5',
    later: true,
  },
  database_engine_callback: { kind: anything, default: null, oldName: null, since: '5.7', later: true },
};
