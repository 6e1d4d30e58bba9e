import { ImproperlyConfigured } from '../../core/errors.ts';
import type { Database } from '../../sqlite/driver.ts';

/** Names of kombu's two tables; `broker_transport_options` may change them, as for kombu. */
export interface TableNames {
  readonly queue: string;
  readonly message: string;
  /** What the names of our own tables begin with. */
  readonly own: string;
}

/** Reads `queue_tablename` and `message_tablename`. @throws {ImproperlyConfigured} */
export function tableNames(options: Readonly<Record<string, unknown>>): TableNames {
  const queue = tableName(options, 'queue_tablename', 'kombu_queue');
  const message = tableName(options, 'message_tablename', 'kombu_message');
  return { queue, message, own: message === 'kombu_message' ? 'celery_ts_' : `celery_ts_${message}_` };
}

function tableName(options: Readonly<Record<string, unknown>>, option: string, normal: string): string {
  const name = options[option] ?? normal;
  // It becomes a part of SQL texts.
  if (typeof name === 'string' && /^[a-z_][a-z0-9_]*$/i.test(name)) return name;
  throw new ImproperlyConfigured(
    `broker_transport_options.${option} takes a name of letters, digits and _, not ${JSON.stringify(name)}`,
  );
}

/**
 * kombu's own tables, as SQLAlchemy creates them, so that a Python Celery with `sqla+sqlite:///` can share the file; and ours
 * beside them, which Python neither knows nor minds:
 *
 * - `celery_ts_waiting`, an index that finds the messages of one queue without walking over those of the others
 * - `celery_ts_exchange`, `celery_ts_binding`: Python keeps them in each process
 * - `celery_ts_queue`: what kombu's table does not say of a queue; only rows of queues that need it
 * - `celery_ts_message`: priority and expiry of a message; only rows of messages that have one
 * - `celery_ts_owner`, `celery_ts_lease`: who holds which unsettled message
 */
function statements({ queue, message, own }: TableNames): string[] {
  return [
    `CREATE TABLE IF NOT EXISTS ${queue} (
\tid INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
\tname VARCHAR(200), 
\tUNIQUE (name)
)`,
    `CREATE TABLE IF NOT EXISTS ${message} (
\tid INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
\tvisible BOOLEAN, 
\ttimestamp DATETIME, 
\tpayload TEXT NOT NULL, 
\tversion SMALLINT NOT NULL, 
\tqueue_id INTEGER, 
\tCONSTRAINT "FK_kombu_message_queue" FOREIGN KEY(queue_id) REFERENCES ${queue} (id)
)`,
    `CREATE INDEX IF NOT EXISTS ix_${message}_visible ON ${message} (visible)`,
    `CREATE INDEX IF NOT EXISTS ix_kombu_message_timestamp_id ON ${message} (timestamp, id)`,
    `CREATE INDEX IF NOT EXISTS ix_${message}_timestamp ON ${message} (timestamp)`,
    `CREATE INDEX IF NOT EXISTS ${own}waiting ON ${message} (queue_id, visible)`,
    `CREATE TABLE IF NOT EXISTS ${own}exchange (
  name TEXT NOT NULL PRIMARY KEY, type TEXT NOT NULL
) WITHOUT ROWID`,
    `CREATE TABLE IF NOT EXISTS ${own}binding (
  exchange TEXT NOT NULL, routing_key TEXT NOT NULL, queue TEXT NOT NULL,
  PRIMARY KEY (exchange, routing_key, queue)
) WITHOUT ROWID`,
    `CREATE TABLE IF NOT EXISTS ${own}queue (
  name TEXT NOT NULL PRIMARY KEY, owner TEXT, message_ttl_ms INTEGER
) WITHOUT ROWID`,
    `CREATE TABLE IF NOT EXISTS ${own}message (
  message_id INTEGER NOT NULL PRIMARY KEY, queue_id INTEGER NOT NULL, priority INTEGER NOT NULL, expires_at INTEGER
)`,
    `CREATE INDEX IF NOT EXISTS ${own}urgent ON ${own}message (queue_id, priority DESC) WHERE priority > 0`,
    `CREATE INDEX IF NOT EXISTS ${own}expiring ON ${own}message (expires_at) WHERE expires_at IS NOT NULL`,
    `CREATE TABLE IF NOT EXISTS ${own}owner (
  id TEXT NOT NULL PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID`,
    `CREATE TABLE IF NOT EXISTS ${own}lease (
  message_id INTEGER NOT NULL PRIMARY KEY, owner TEXT NOT NULL
)`,
  ];
}

/** Whether everything is there: a file in use is opened without waiting for its lock. */
export function hasSchema(database: Database, tables: TableNames): boolean {
  const names = [tables.queue, tables.message, `${tables.own}lease`];
  const marks = names.map(() => '?').join(', ');
  const sql = `SELECT count(*) AS count FROM sqlite_master WHERE name IN (${marks})`;
  return database.prepare(sql).get(...names)?.count === names.length;
}

export function createSchema(database: Database, tables: TableNames): void {
  for (const statement of statements(tables)) database.exec(statement);
}
