import { asBuffer } from '../sqlite/blob.ts';
import type { Database } from '../sqlite/driver.ts';
import { CHORD_SCHEMA } from './sqlite-chords.ts';

/** A result as its row holds it. */
export interface StoredResult {
  readonly serializer: string;
  /** The result document that key-value backends store. */
  readonly bytes: Buffer;
}

export interface NewResult extends StoredResult {
  readonly taskId: string;
  readonly status: string;
}

/** Expired rows that one transaction removes at most. */
const REMOVE_AT_MOST = 500;

// Not Celery's own celery_taskmeta and celery_tasksetmeta: their `result` column holds a Python pickle, which nothing but Python
// can read, or should. These hold the JSON document that Celery keeps in Redis.
//
// `seq` grows with every store, also of the same task, so that a watcher asks only for what is newer than what it has seen.
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS celery_ts_result (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, expires_at INTEGER,
  serializer TEXT NOT NULL, meta BLOB NOT NULL
)`,
  `CREATE INDEX IF NOT EXISTS celery_ts_result_expiring ON celery_ts_result (expires_at) WHERE expires_at IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS celery_ts_taskset (
  group_id TEXT NOT NULL PRIMARY KEY, result TEXT NOT NULL, expires_at INTEGER
)`,
  ...CHORD_SCHEMA,
];

const TABLES = ['celery_ts_result', 'celery_ts_taskset', 'celery_ts_chord', 'celery_ts_chord_member'];

const LIVES = '(expires_at IS NULL OR expires_at > ?)';

/** The tables of the SQLite result backend; each call that writes runs in a transaction of its caller. Times: epoch ms. */
export class ResultTables {
  exist(database: Database): boolean {
    const names = TABLES.map((name) => `'${name}'`).join(', ');
    const sql = `SELECT count(*) AS count FROM sqlite_master WHERE type = 'table' AND name IN (${names})`;
    return database.prepare(sql).get()?.count === TABLES.length;
  }

  create(database: Database): void {
    for (const statement of SCHEMA) database.exec(statement);
  }

  /** Keeps a SUCCESS that is there, unless it is followed by another one. */
  store(database: Database, result: NewResult, expiresAt: number | null): void {
    const { taskId, status, serializer, bytes } = result;
    database
      .prepare(
        `INSERT OR REPLACE INTO celery_ts_result (task_id, status, expires_at, serializer, meta)
         SELECT ?, ?, ?, ?, ? WHERE ? = 'SUCCESS' OR NOT EXISTS (
           SELECT 1 FROM celery_ts_result WHERE task_id = ? AND status = 'SUCCESS' AND ${LIVES})`,
      )
      .run(taskId, status, expiresAt, serializer, bytes, status, taskId, Date.now());
  }

  find(database: Database, taskId: string, now: number): (StoredResult & { revision: number }) | undefined {
    const row = database
      .prepare(`SELECT seq, serializer, meta FROM celery_ts_result WHERE task_id = ? AND ${LIVES}`)
      .get(taskId, now);
    if (!row) return undefined;
    return { revision: Number(row.seq), serializer: String(row.serializer), bytes: asBuffer(row.meta) };
  }

  newest(database: Database): number {
    return Number(database.prepare('SELECT max(seq) AS seq FROM celery_ts_result').get()?.seq ?? 0);
  }

  since(database: Database, seq: number): { revision: number; taskId: string }[] {
    const rows = database.prepare('SELECT seq, task_id FROM celery_ts_result WHERE seq > ?').all(seq);
    return rows.map((row) => ({ revision: Number(row.seq), taskId: String(row.task_id) }));
  }

  forget(database: Database, taskId: string): void {
    database.prepare('DELETE FROM celery_ts_result WHERE task_id = ?').run(taskId);
  }

  saveGroup(database: Database, groupId: string, result: string, expiresAt: number | null): void {
    database
      .prepare('INSERT OR REPLACE INTO celery_ts_taskset (group_id, result, expires_at) VALUES (?, ?, ?)')
      .run(groupId, result, expiresAt);
  }

  loadGroup(database: Database, groupId: string, now: number): string | undefined {
    const row = database
      .prepare(`SELECT result FROM celery_ts_taskset WHERE group_id = ? AND ${LIVES}`)
      .get(groupId, now);
    return row && String(row.result);
  }

  forgetGroup(database: Database, groupId: string): void {
    database.prepare('DELETE FROM celery_ts_taskset WHERE group_id = ?').run(groupId);
  }

  /** Removes some of what has expired; `full` when there may be more. */
  removeExpired(database: Database, now: number): { count: number; full: boolean } {
    let [count, full] = [0, false];
    for (const table of ['celery_ts_result', 'celery_ts_taskset', 'celery_ts_chord']) {
      const some = `SELECT rowid FROM ${table} WHERE expires_at <= ? LIMIT ${REMOVE_AT_MOST}`;
      const { changes } = database.prepare(`DELETE FROM ${table} WHERE rowid IN (${some})`).run(now);
      count += changes;
      full ||= changes === REMOVE_AT_MOST;
    }
    return { count, full };
  }
}
