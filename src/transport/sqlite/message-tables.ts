import type { Database, Row } from '../../sqlite/driver.ts';
import { type Owner, LEASE_MS } from './owner.ts';
import type { TableNames } from './schema.ts';
import type { Target } from './topology-tables.ts';

/** A message on its way into the tables. */
export interface NewMessage {
  readonly payload: string;
  readonly priority: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number | undefined;
}

/** A message row that was taken. */
export interface ClaimedRow {
  readonly id: number;
  readonly payload: string;
  readonly redelivered: boolean;
}

/**
 * Message rows, and who holds them; each call runs in a transaction of its caller.
 *
 * A row with `visible` 1 waits. kombu takes a message by setting it to 0 and leaves the row for ever; we do the same, so that no
 * Python worker takes it as well, note a lease, and delete the row when the message is acknowledged: nobody ever reads it again,
 * and a file that only grows gets slower. `version` counts the changes of a row, as in kombu, so that a waiting row with more
 * than 1 has been delivered before.
 */
export class MessageTables {
  readonly #sql: ReturnType<typeof statements>;

  constructor(names: TableNames) {
    this.#sql = statements(names);
  }

  insert(database: Database, { payload, priority, expiresAt }: NewMessage, { queueId, ttlMs }: Target): void {
    const { lastInsertRowid } = database.prepare(this.#sql.insert).run(payload, queueId);
    const ends = Math.min(expiresAt ?? Infinity, ttlMs === null ? Infinity : Date.now() + ttlMs);
    if (priority === 0 && ends === Infinity) return;
    const expiry = ends === Infinity ? null : ends;
    database.prepare(this.#sql.describe).run(lastInsertRowid, queueId, priority, expiry);
  }

  /** Whether messages of a queue are waiting, some of which may have expired. */
  isWaiting(database: Database, queueId: number): boolean {
    return database.prepare(this.#sql.waiting).get(queueId) !== undefined;
  }

  /** Takes up to `atMost` waiting messages: without an owner they are forgotten at once. */
  claim(database: Database, queueId: number, atMost: number, owner: Owner | undefined): ClaimedRow[] {
    const now = Date.now();
    if (owner) this.#register(database, owner, now);
    const claimed: ClaimedRow[] = [];
    for (const query of [database.prepare(this.#sql.urgent), database.prepare(this.#sql.oldest)]) {
      for (let more = true; more && claimed.length < atMost;) {
        const asked = atMost - claimed.length;
        const rows = query.all(queueId, asked);
        for (const row of rows) {
          if (typeof row.expires_at === 'number' && row.expires_at <= now)
            this.#delete(database, Number(row.id));
          else claimed.push(this.#claim(database, row, owner));
        }
        more = rows.length === asked;
      }
    }
    return claimed;
  }

  #claim(database: Database, row: Row, owner: Owner | undefined): ClaimedRow {
    const id = Number(row.id);
    if (owner) {
      database.prepare(this.#sql.hide).run(sqlAlchemyTime(new Date()), id);
      database.prepare(this.#sql.lease).run(id, owner.id);
    } else this.#delete(database, id);
    return { id, payload: String(row.payload), redelivered: Number(row.version) > 1 };
  }

  ack(database: Database, id: number, owner: Owner): void {
    const { changes } = database.prepare(this.#sql.endLease).run(id, owner.id);
    // Given to somebody else meanwhile, because this machine seemed to be gone: then it is theirs.
    if (changes === 0 && database.prepare(this.#sql.leased).get(id)) return;
    this.#delete(database, id);
  }

  #delete(database: Database, id: number): void {
    database.prepare(this.#sql.remove).run(id);
    database.prepare(this.#sql.removeDescription).run(id);
  }

  /** Back to waiting, if the owner still holds them. */
  restore(database: Database, ids: readonly number[], owner: Owner): void {
    for (const id of ids) {
      const { changes } = database.prepare(this.#sql.endLease).run(id, owner.id);
      if (changes > 0) database.prepare(this.#sql.show).run(id);
    }
  }

  /** The owners that are known. */
  owners(database: Database): Row[] {
    return database.prepare(this.#sql.owners).all();
  }

  #register(database: Database, { id, host, pid, started }: Owner, now: number): void {
    database.prepare(this.#sql.register).run(id, host, pid, started, now + LEASE_MS);
  }

  /** Also after others have taken the owner for dead. */
  renew(database: Database, owner: Owner): void {
    const now = Date.now();
    this.#register(database, owner, now);
    database.prepare(this.#sql.renew).run(now + LEASE_MS, owner.id);
  }

  /** Gives back all that an owner holds and forgets it. */
  removeOwner(database: Database, owner: string): void {
    database.prepare(this.#sql.showAll).run(owner);
    database.prepare(this.#sql.endLeases).run(owner);
    database.prepare(this.#sql.removeOwner).run(owner);
  }

  size(database: Database, queueId: number): number {
    const waiting = Number(database.prepare(this.#sql.count).get(queueId)?.count);
    return waiting - Number(database.prepare(this.#sql.countExpired).get(queueId, Date.now())?.count);
  }

  purge(database: Database, queueId: number): number {
    const size = this.size(database, queueId);
    database.prepare(this.#sql.purgeDescriptions).run(queueId);
    database.prepare(this.#sql.purge).run(queueId);
    return size;
  }

  /** Whether `sweep` would find something. */
  isLittered(database: Database): boolean {
    return (
      database.prepare(this.#sql.anyExpired).get(Date.now()) !== undefined ||
      database.prepare(this.#sql.anyOrphan).get() !== undefined
    );
  }

  /** Removes expired messages that nobody asked for, and what we noted of messages that Python has taken or deleted. */
  sweep(database: Database): void {
    for (const { id } of database.prepare(this.#sql.expired).all(Date.now()))
      this.#delete(database, Number(id));
    database.prepare(this.#sql.removeOrphans).run();
  }
}

/** How SQLAlchemy writes a naive local time: `2026-11-22 16:28:31.000539`. */
function sqlAlchemyTime(time: Date): string {
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString();
  return `${local.slice(0, 10)} ${local.slice(11, 23)}000`;
}

function statements({ message, own }: TableNames) {
  const columns = 'm.id AS id, m.payload AS payload, m.version AS version, s.expires_at AS expires_at';
  const orphans = `SELECT s.message_id FROM ${own}message s LEFT JOIN ${message} m ON m.id = s.message_id
    LEFT JOIN ${own}lease l ON l.message_id = s.message_id
    WHERE l.message_id IS NULL AND (m.id IS NULL OR m.visible = 0) LIMIT 1000`;
  // Restored rows lose their time, so that Python takes them in their old place too: it orders by time, null first, then id.
  const show = `UPDATE ${message} SET visible = 1, timestamp = NULL, version = version + 1`;
  return {
    insert: `INSERT INTO ${message} (visible, timestamp, payload, version, queue_id) VALUES (1, NULL, ?, 1, ?)`,
    describe: `INSERT INTO ${own}message (message_id, queue_id, priority, expires_at) VALUES (?, ?, ?, ?)`,
    waiting: `SELECT 1 FROM ${message} WHERE queue_id = ? AND visible = 1 LIMIT 1`,
    urgent: `SELECT ${columns} FROM ${own}message s CROSS JOIN ${message} m ON m.id = s.message_id
      WHERE s.queue_id = ? AND s.priority > 0 AND m.visible = 1 ORDER BY s.priority DESC, s.message_id LIMIT ?`,
    oldest: `SELECT ${columns} FROM ${message} m LEFT JOIN ${own}message s ON s.message_id = m.id
      WHERE m.queue_id = ? AND m.visible = 1 ORDER BY m.id LIMIT ?`,
    hide: `UPDATE ${message} SET visible = 0, timestamp = ?, version = version + 1 WHERE id = ?`,
    show: `${show} WHERE id = ?`,
    showAll: `${show} WHERE id IN (SELECT message_id FROM ${own}lease WHERE owner = ?)`,
    remove: `DELETE FROM ${message} WHERE id = ?`,
    removeDescription: `DELETE FROM ${own}message WHERE message_id = ?`,
    lease: `INSERT OR REPLACE INTO ${own}lease (message_id, owner) VALUES (?, ?)`,
    leased: `SELECT 1 FROM ${own}lease WHERE message_id = ?`,
    endLease: `DELETE FROM ${own}lease WHERE message_id = ? AND owner = ?`,
    endLeases: `DELETE FROM ${own}lease WHERE owner = ?`,
    owners: `SELECT id, host, pid, started, expires_at FROM ${own}owner`,
    register: `INSERT OR IGNORE INTO ${own}owner (id, host, pid, started, expires_at) VALUES (?, ?, ?, ?, ?)`,
    renew: `UPDATE ${own}owner SET expires_at = ? WHERE id = ?`,
    removeOwner: `DELETE FROM ${own}owner WHERE id = ?`,
    count: `SELECT count(*) AS count FROM ${message} WHERE queue_id = ? AND visible = 1`,
    countExpired: `SELECT count(*) AS count FROM ${own}message s JOIN ${message} m ON m.id = s.message_id
      WHERE m.queue_id = ? AND m.visible = 1 AND s.expires_at <= ?`,
    purge: `DELETE FROM ${message} WHERE queue_id = ? AND visible = 1`,
    purgeDescriptions: `DELETE FROM ${own}message WHERE message_id IN
      (SELECT id FROM ${message} WHERE queue_id = ? AND visible = 1)`,
    anyExpired: `SELECT 1 FROM ${own}message s JOIN ${message} m ON m.id = s.message_id
      WHERE s.expires_at <= ? AND m.visible = 1 LIMIT 1`,
    expired: `SELECT m.id AS id FROM ${own}message s JOIN ${message} m ON m.id = s.message_id
      WHERE s.expires_at <= ? AND m.visible = 1 LIMIT 1000`,
    anyOrphan: orphans.replace('LIMIT 1000', 'LIMIT 1'),
    removeOrphans: `DELETE FROM ${own}message WHERE message_id IN (${orphans})`,
  };
}
