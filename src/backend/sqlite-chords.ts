import { asBuffer } from '../sqlite/blob.ts';
import type { Database } from '../sqlite/driver.ts';
import type { ChordPart } from './chord.ts';

/** A member as its row holds it. */
export interface StoredMember {
  readonly serializer: string;
  readonly bytes: Buffer;
}

/** The tables of chords, for the same file as those of results. What a chord leaves goes with its row. */
export const CHORD_SCHEMA: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS celery_ts_chord (
  group_id TEXT NOT NULL PRIMARY KEY, size INTEGER, added INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0,
  ended_by TEXT, expires_at INTEGER
)`,
  `CREATE TABLE IF NOT EXISTS celery_ts_chord_member (
  seq INTEGER PRIMARY KEY, group_id TEXT NOT NULL, task_id TEXT NOT NULL, group_index INTEGER, serializer TEXT NOT NULL,
  member BLOB NOT NULL, UNIQUE (group_id, task_id)
)`,
  `CREATE TRIGGER IF NOT EXISTS celery_ts_chord_gone AFTER DELETE ON celery_ts_chord BEGIN
  DELETE FROM celery_ts_chord_member WHERE group_id = OLD.group_id;
END`,
];

/** Counts the members of chords; each call runs in a transaction of its caller. Times: epoch ms. */
export class ChordTables {
  start(database: Database, groupId: string, size: number, expiresAt: number | null): void {
    this.#touch(database, groupId, expiresAt);
    database.prepare('UPDATE celery_ts_chord SET size = ? WHERE group_id = ?').run(size, groupId);
  }

  grow(database: Database, groupId: string, members: number, expiresAt: number | null): void {
    this.#touch(database, groupId, expiresAt);
    const sql = 'UPDATE celery_ts_chord SET added = added + ? WHERE group_id = ?';
    database.prepare(sql).run(members, groupId);
  }

  /** @returns whether this was the last member, or the one that was the last before */
  end(database: Database, part: ChordPart, stored: StoredMember, expiresAt: number | null): boolean {
    const { groupId, taskId, groupIndex } = part;
    this.#touch(database, groupId, expiresAt);
    const { changes } = database
      .prepare(
        `INSERT OR IGNORE INTO celery_ts_chord_member (group_id, task_id, group_index, serializer, member)
         VALUES (?, ?, ?, ?, ?)`,
      )
      .run(groupId, taskId, groupIndex, stored.serializer, stored.bytes);
    database.prepare('UPDATE celery_ts_chord SET ended = ended + ? WHERE group_id = ?').run(changes, groupId);
    database
      .prepare(
        `UPDATE celery_ts_chord SET ended_by = ? WHERE group_id = ? AND ended_by IS NULL AND ended >= size + added`,
      )
      .run(taskId, groupId);
    const row = database.prepare('SELECT ended_by FROM celery_ts_chord WHERE group_id = ?').get(groupId);
    return row?.ended_by === taskId;
  }

  /** All that have ended, in their order. */
  members(database: Database, groupId: string): StoredMember[] {
    return database
      .prepare(
        `SELECT serializer, member FROM celery_ts_chord_member WHERE group_id = ?
         ORDER BY group_index IS NULL, group_index, seq`,
      )
      .all(groupId)
      .map(({ serializer, member }) => ({ serializer: String(serializer), bytes: asBuffer(member) }));
  }

  forget(database: Database, groupId: string): void {
    database.prepare('DELETE FROM celery_ts_chord WHERE group_id = ?').run(groupId);
  }

  /** Each use lets the chord live on. */
  #touch(database: Database, groupId: string, expiresAt: number | null): void {
    database
      .prepare(
        `INSERT INTO celery_ts_chord (group_id, expires_at) VALUES (?, ?)
         ON CONFLICT (group_id) DO UPDATE SET expires_at = excluded.expires_at`,
      )
      .run(groupId, expiresAt);
  }
}
