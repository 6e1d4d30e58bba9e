import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import {
  availableDrivers,
  type Database,
  type DriverName,
  openDatabase,
} from '../../../src/sqlite/driver.ts';
import { sqliteProblem } from '../../../src/sqlite/problem.ts';

/** Those that work: better-sqlite3 may be there, but built for another Node.js. */
const drivers = availableDrivers().filter((name) => {
  try {
    openDatabase(':memory:', name).close();
    return true;
  } catch {
    return false;
  }
});

it('finds a driver on every Node.js that is supported', () => {
  expect(drivers.length).toBeGreaterThan(0);
});

it('refuses for good, so that a worker does not try again, when no driver is there', () => {
  expect(() => openDatabase(':memory:', 'none' as DriverName)).toThrow(ImproperlyConfigured);
});

it('refuses for good when the native part of better-sqlite3 cannot be loaded', () => {
  const require = createRequire(import.meta.url);
  const path = require.resolve('better-sqlite3');
  const before = require.cache[path];
  require.cache[path] = {
    exports: function broken() {
      throw new Error('Could not locate the bindings file.');
    },
    loaded: true,
  } as unknown as NodeJS.Module;
  try {
    expect(() => openDatabase(':memory:', 'better-sqlite3')).toThrow(
      expect.objectContaining({
        name: 'ImproperlyConfigured',
        message: expect.stringMatching(/npm rebuild better-sqlite3/) as string,
      }) as Error,
    );
  } finally {
    if (before) require.cache[path] = before;
    else Reflect.deleteProperty(require.cache, path);
  }
});

describe.each(drivers)('%s', (name) => {
  let folder: string;
  let database: Database;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'celery-ts-'));
    database = openDatabase(join(folder, 'a.db'), name);
    database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a, UNIQUE (a))');
  });
  afterEach(() => {
    database.close();
    rmSync(folder, { recursive: true });
  });

  it('is the one that was asked for', () => {
    expect(database.driver).toBe(name);
  });

  it.each([
    ['text', 'blåbær'],
    ['null', null],
    ['a float', 1.5],
    ['a large integer', 1_795_360_845_690],
  ])('keeps %s', (_, value) => {
    database.prepare('INSERT INTO t (a) VALUES (?)').run(value);
    expect(database.prepare('SELECT a FROM t').get()).toEqual({ a: value });
  });

  it('keeps bytes', () => {
    database.prepare('INSERT INTO t (a) VALUES (?)').run(Buffer.from([0, 255, 1]));
    const { a } = database.prepare('SELECT a FROM t').get() ?? {};
    expect([...(a as Uint8Array)]).toEqual([0, 255, 1]);
  });

  it('counts changes and numbers rows', () => {
    const insert = database.prepare('INSERT INTO t (a) VALUES (?)');
    expect(insert.run(1)).toEqual({ changes: 1, lastInsertRowid: 1 });
    expect(insert.run(2)).toEqual({ changes: 1, lastInsertRowid: 2 });
    expect(database.prepare('DELETE FROM t').run().changes).toBe(2);
    expect(database.prepare('SELECT a FROM t').all()).toEqual([]);
    expect(database.prepare('SELECT a FROM t').get()).toBeUndefined();
  });

  it('compiles a statement once', () => {
    expect(database.prepare('SELECT 1')).toBe(database.prepare('SELECT 1'));
  });

  it('commits all of a transaction or nothing', () => {
    const insert = database.prepare('INSERT INTO t (a) VALUES (?)');
    expect(database.transaction(() => insert.run(1).changes)).toBe(1);
    const reason = new Error('no');
    const failing = (): void =>
      database.transaction(() => {
        insert.run(2);
        throw reason;
      });
    expect(failing).toThrow(reason);
    expect(database.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 1 });
    expect(database.transaction(() => insert.run(3).changes)).toBe(1);
  });

  it('tells what kind of error it was', () => {
    const failure = (run: () => unknown): unknown => {
      try {
        run();
        return undefined;
      } catch (error) {
        return sqliteProblem(error);
      }
    };
    const insert = database.prepare('INSERT INTO t (a) VALUES (?)');
    insert.run(1);
    expect(failure(() => insert.run(1))).toBe('other');
    expect(failure(() => database.exec('nonsense'))).toBe('other');
    expect(failure(() => openDatabase(folder, name))).toBe('cannot-open');
    const other = openDatabase(join(folder, 'a.db'), name);
    other.exec('PRAGMA busy_timeout = 0');
    database.exec('BEGIN IMMEDIATE');
    expect(failure(() => other.transaction(() => undefined))).toBe('locked');
    database.exec('COMMIT');
    other.close();
    database.exec('PRAGMA max_page_count = 1');
    expect(failure(() => insert.run('x'.repeat(100_000)))).toBe('full');
    expect(sqliteProblem(new Error('another'))).toBeUndefined();
  });
});
