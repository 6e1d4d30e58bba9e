import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, open, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImproperlyConfigured, OperationalError } from '../../../src/core/errors.ts';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { commits } from '../../support/sqlite-commits.ts';
import { type Database, openDatabase } from '../../../src/sqlite/driver.ts';
import { openSqliteFile, type SqliteFile } from '../../../src/sqlite/file.ts';

let folder: string;
let path: string;
let own: Releasers;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
  path = join(folder, 'a.db');
  own = new Releasers();
});
afterEach(async () => {
  await own.release();
  await rm(folder, { recursive: true });
});

const opened = async (at = path): Promise<SqliteFile> => own.own(await openSqliteFile(at));

/** A file with one table, and a second connection to it, as another process has one. */
async function withOther(): Promise<{ file: SqliteFile; other: Database }> {
  const file = await opened();
  await file.write((database) => database.exec('CREATE TABLE t (a UNIQUE)'));
  const other = openDatabase(path);
  own.push(() => other.close());
  other.exec('PRAGMA busy_timeout = 0');
  return { file, other };
}

const insert = (database: Database, value: number | string): number =>
  database.prepare('INSERT INTO t (a) VALUES (?)').run(value).changes;
const rows = (database: Database): unknown[] =>
  database
    .prepare('SELECT a FROM t ORDER BY rowid')
    .all()
    .map((row) => row.a);

describe('opening', () => {
  it('shares one connection between all who name the same file', async () => {
    const link = join(folder, 'link.db');
    const first = await opened();
    await symlink(path, link);
    const files = await Promise.all([opened(), opened(link), opened(relative('.', path))]);
    let seen: Database | undefined;
    await first.read((database) => (seen = database));
    for (const file of files) await file.read((database) => expect(database).toBe(seen));
    await first[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    expect(await files[0].read((database) => database.prepare('SELECT 1 AS one').get())).toEqual({ one: 1 });
    await expect(first.read(() => 1)).rejects.toThrow(/closed/);
    expect(await first.closed).toBeUndefined();
  });

  it('opens again while it closes', async () => {
    const first = await openSqliteFile(path);
    await first.write((database) => database.exec('CREATE TABLE t (a)'));
    const pending = first.write((database) => insert(database, 1));
    const closing = first[Symbol.asyncDispose]();
    const second = await opened();
    await closing;
    expect(await pending).toBe(1);
    expect(await second.read(rows)).toEqual([1]);
  });

  it('uses write-ahead logging', async () => {
    const file = await opened();
    const mode = await file.read((database) => database.prepare('PRAGMA journal_mode').get());
    expect(mode).toEqual({ journal_mode: 'wal' });
  });

  it.each([
    ['a missing folder', 'no/such/a.db', () => Promise.resolve(), /the folder .*no\/such does not exist/],
    ['a folder', 'sub', (at: string) => mkdir(at), /sub: it is a folder/],
    ['another kind of file', 'text.db', (at: string) => writeFile(at, 'x'.repeat(5000)), /something else/],
    ['a file as folder', 'f/a.db', (at: string) => writeFile(join(at, '..'), ''), /does not exist/],
  ])('says what is wrong with %s', async (_, name, prepare, text) => {
    const at = join(folder, name);
    await prepare(at);
    const failure: unknown = await openSqliteFile(at).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ImproperlyConfigured);
    expect(String(failure)).toMatch(text);
    expect(String(failure)).toContain(at);
  });

  it('names path and user where it may not write', async () => {
    if (process.getuid?.() === 0) return; // root may; tested with a process of another user
    await chmod(folder, 0o500);
    await expect(openSqliteFile(path)).rejects.toThrow(/user \S+ \(uid \d+\) may not read and write/);
    await chmod(folder, 0o700);
  });

  it('waits for a file that another process has locked', async () => {
    const { other } = await withOther();
    await own.release();
    const holder = openDatabase(path);
    holder.exec('PRAGMA locking_mode = EXCLUSIVE');
    holder.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (1); COMMIT');
    setTimeout(() => holder.close(), 300);
    const file = await opened();
    expect(await file.read(rows)).toEqual([1]);
    expect(other.driver).toBeDefined();
  });

  it('does not open when aborted', async () => {
    const reason = new Error('no');
    await expect(openSqliteFile(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('writing', () => {
  it('joins the writes of a turn into one commit, in order', async () => {
    const { file, other } = await withOther();
    const before = commits(path);
    const results = await Promise.all(
      [3, 1, 2].map((value) => file.write((database) => insert(database, value))),
    );
    expect(results).toEqual([1, 1, 1]);
    expect(commits(path) - before).toBe(1);
    expect(rows(other)).toEqual([3, 1, 2]);
  });

  it('does many more than one transaction should hold', async () => {
    const { file, other } = await withOther();
    const all = Array.from({ length: 1_300 }, (_, index) => index);
    await Promise.all(all.map((value) => file.write((database) => insert(database, value))));
    expect(rows(other)).toEqual(all);
  });

  it('lets one bad write spoil none of the others', async () => {
    const { file, other } = await withOther();
    const reason = new Error('mine');
    const outcomes = await Promise.allSettled([
      file.write((database) => insert(database, 1)),
      file.write((database) => insert(database, 1)),
      file.write((database) => insert(database, 2)),
      file.write((database) => {
        insert(database, 3);
        throw reason;
      }),
      file.write((database) => insert(database, 4)),
    ]);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, false, true, false, true]);
    expect(outcomes[1]).toMatchObject({ reason: { name: 'OperationalError' } });
    expect(outcomes[3]).toEqual({ status: 'rejected', reason });
    expect(rows(other)).toEqual([1, 2, 4]);
  });

  it('waits for a lock without blocking the process, and loses nothing', async () => {
    const { file, other } = await withOther();
    other.exec('BEGIN IMMEDIATE');
    const written = Promise.all([1, 2].map((value) => file.write((database) => insert(database, value))));
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 5);
    await new Promise((resolve) => setTimeout(resolve, 400));
    other.exec('COMMIT');
    await written;
    clearInterval(turning);
    expect(turns).toBeGreaterThan(10);
    expect(rows(other)).toEqual([1, 2]);
  });

  it('refuses when the disk is full, but keeps what is patient until there is space', async () => {
    const { file, other } = await withOther();
    const limit = (pages: number): Promise<void> =>
      file.read((database) => void database.prepare(`PRAGMA max_page_count = ${pages}`).get());
    await limit(1);
    const warned = once(process, 'warning');
    const large = 'x'.repeat(50_000);
    const patient = file.write((database) => insert(database, `p${large}`), { patient: true });
    const hasty = file.write((database) => insert(database, `h${large}`));
    await expect(hasty).rejects.toThrow(/a\.db: the disk or the quota is full; free some space/);
    await expect(file.write((database) => insert(database, `h${large}`))).rejects.toBeInstanceOf(
      OperationalError,
    );
    const [warning] = (await warned) as [Error];
    expect(warning).toMatchObject({ name: 'CeleryWarning' });
    expect(warning.message).toMatch(/full.*trying again until it works/);
    await limit(1_000_000);
    expect(await patient).toBe(1);
    expect(rows(other)).toHaveLength(1);
  });

  it('finishes what is waiting when it closes, and refuses what comes later', async () => {
    const { file, other } = await withOther();
    const written = file.write((database) => insert(database, 1));
    await file[Symbol.asyncDispose]();
    expect(await written).toBe(1);
    await expect(file.write((database) => insert(database, 2))).rejects.toThrow(OperationalError);
    expect(rows(other)).toEqual([1]);
  });
});

describe('changes', () => {
  const changed = (file: SqliteFile): Promise<void> =>
    new Promise((resolve) => {
      const listening = file.onChange(() => {
        listening[Symbol.dispose]();
        resolve();
      });
    });

  it('are told of, whoever made them', async () => {
    const { file, other } = await withOther();
    for (const write of [
      () => file.write((database) => insert(database, 1)),
      () => Promise.resolve(insert(other, 2)),
    ]) {
      const heard = changed(file);
      await write();
      await heard;
    }
  });

  it('are not told of to those who wrote without waking', async () => {
    const { file } = await withOther();
    let calls = 0;
    const listening = file.onChange(() => (calls += 1));
    await file.write((database) => insert(database, 1), { wakes: false });
    await new Promise((resolve) => setTimeout(resolve, 50));
    listening[Symbol.dispose]();
    expect(calls).toBe(0);
  });

  it('are found by polling where the system reports none', async () => {
    const file = own.own(await openSqliteFile(path, { pollMs: 20 }));
    await file.write((database) => database.exec('CREATE TABLE t (a UNIQUE)'));
    const heard = changed(file);
    const other = openDatabase(path);
    own.push(() => other.close());
    insert(other, 1);
    await heard;
  });
});

describe('a file that is not the same any more', () => {
  it.each([
    ['removed', () => rm(path)],
    ['moved', () => rename(path, join(folder, 'b.db'))],
  ])('%s: ends all who use it, and a new one can be opened', async (_, how) => {
    const { file } = await withOther();
    const second = await opened();
    const listening = second.onChange(() => undefined);
    own.push(() => listening[Symbol.dispose]());
    await how();
    const [error] = await Promise.all([file.closed, second.closed]);
    expect(error).toBeInstanceOf(OperationalError);
    expect(error?.message).toMatch(/removed or replaced/);
    await expect(file.write((database) => insert(database, 1))).rejects.toBe(error);
    const fresh = await opened();
    await fresh.write((database) => database.exec('CREATE TABLE t (a)'));
    expect(await fresh.read(rows)).toEqual([]);
    expect((await stat(path)).size).toBeGreaterThanOrEqual(0);
  });

  it('is noticed by a write that nobody watched for', async () => {
    const { file } = await withOther();
    await rm(path);
    await expect(file.write((database) => insert(database, 1))).rejects.toThrow(/removed or replaced/);
    expect(await file.closed).toBeInstanceOf(OperationalError);
  });

  it('damaged: says so and what to do', async () => {
    const { file } = await withOther();
    await file.write((database) => {
      for (let value = 0; value < 2_000; value += 1) insert(database, `${value}${'x'.repeat(200)}`);
    });
    await own.release();
    const bytes = await open(path, 'r+');
    await bytes.write(Buffer.alloc(200_000, 0xff), 0, 200_000, 4096);
    await bytes.close();
    const again = await opened();
    const failure: unknown = await again.read(rows).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OperationalError);
    expect(String(failure)).toMatch(/a\.db: its content is damaged.*\.recover/);
    expect(await again.closed).toBe(failure);
  });
});
