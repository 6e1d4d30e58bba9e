import { createRequire } from 'node:module';
import { ImproperlyConfigured } from '../core/errors.ts';
import { sqliteProblem } from './problem.ts';

/** What a column can hold. */
export type SqlValue = null | number | bigint | string | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

/** A compiled statement; parameters are given by position. */
export interface Statement {
  run(...parameters: SqlValue[]): { readonly changes: number; readonly lastInsertRowid: number };
  get(...parameters: SqlValue[]): Row | undefined;
  all(...parameters: SqlValue[]): Row[];
}

/** One connection to one database file; every call runs at once, in this thread. */
export interface Database {
  readonly driver: DriverName;
  exec(sql: string): void;
  /** Compiled once per text and connection. */
  prepare(sql: string): Statement;
  /** Runs `change` between BEGIN IMMEDIATE and COMMIT; an error rolls everything back. */
  transaction<T>(change: () => T): T;
  close(): void;
}

export type DriverName = 'node:sqlite' | 'better-sqlite3';

// What both drivers share of their interfaces; node:sqlite has no types in @types/node 20.
interface DriverStatement {
  run(...parameters: unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  get(...parameters: unknown[]): unknown;
  all(...parameters: unknown[]): unknown[];
}
interface DriverDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): DriverStatement;
  close(): unknown;
}
interface Driver {
  readonly name: DriverName;
  open(path: string): DriverDatabase;
}

const load = createRequire(import.meta.url);

/** The drivers present here, the preferred one first. */
export function availableDrivers(): DriverName[] {
  return [...drivers()].map((driver) => driver.name);
}

// A generator, so that better-sqlite3 is not loaded where node:sqlite is taken.
function* drivers(): Generator<Driver> {
  for (const find of [nodeSqlite, betterSqlite]) {
    const driver = find();
    if (driver) yield driver;
  }
}

/**
 * Opens a database file, creating it when it is not there.
 *
 * @param only a driver to use, instead of the first that is present
 * @throws {ImproperlyConfigured} when there is no driver that works (trying again does not help); otherwise the driver's own error, see `sqliteProblem`
 */
export function openDatabase(path: string, only?: DriverName): Database {
  for (const driver of drivers()) {
    if (only === undefined || driver.name === only) return new DriverAdapter(driver.name, driver.open(path));
  }
  throw new ImproperlyConfigured(
    `no SQLite driver: Node.js ${process.versions.node} has no node:sqlite (it came with 22.13) and the optional ` +
      'package better-sqlite3 is not installed here. Run `npm install better-sqlite3`, or use a newer Node.js.',
  );
}

function nodeSqlite(): Driver | undefined {
  interface NodeSqlite {
    DatabaseSync: new (path: string) => DriverDatabase;
  }
  const module = withoutSqliteWarning(() => optional<NodeSqlite>('node:sqlite'));
  return module && { name: 'node:sqlite', open: (path) => new module.DatabaseSync(path) };
}

function betterSqlite(): Driver | undefined {
  const Constructor = optional<new (path: string) => DriverDatabase>('better-sqlite3');
  if (!Constructor) return undefined;
  const open = (path: string): DriverDatabase => {
    try {
      return new Constructor(path);
    } catch (error) {
      // A TypeError is about the path.
      if (sqliteProblem(error) !== undefined || error instanceof TypeError) throw error;
      const text = `better-sqlite3 is installed, but its native part cannot be loaded by Node.js ${process.versions.node}`;
      throw new ImproperlyConfigured(`${text}: run \`npm rebuild better-sqlite3\``, { cause: error });
    }
  };
  return { name: 'better-sqlite3', open };
}

function optional<Module>(name: string): Module | undefined {
  try {
    return load(name) as Module;
  } catch (error) {
    // ERR_UNKNOWN_BUILTIN_MODULE: an older Node.js, or one before 22.13 without --experimental-sqlite.
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ERR_UNKNOWN_BUILTIN_MODULE' || code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Node.js 22 warns that SQLite is experimental when the module is first loaded; every other warning is let through. */
function withoutSqliteWarning<T>(run: () => T): T {
  const emitWarning = Reflect.get(process, 'emitWarning') as unknown as (...args: unknown[]) => void;
  const filtered = (...args: unknown[]): void => {
    if (args[1] === 'ExperimentalWarning' && String(args[0]).includes('SQLite')) return;
    Reflect.apply(emitWarning, process, args);
  };
  process.emitWarning = filtered;
  try {
    return run();
  } finally {
    process.emitWarning = emitWarning;
  }
}

class DriverAdapter implements Database {
  readonly driver: DriverName;
  readonly #database: DriverDatabase;
  readonly #statements = new Map<string, Statement>();

  constructor(driver: DriverName, database: DriverDatabase) {
    this.driver = driver;
    this.#database = database;
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known) return known;
    const compiled = this.#database.prepare(sql);
    const statement: Statement = {
      run: (...parameters) => {
        const { changes, lastInsertRowid } = compiled.run(...parameters);
        return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
      },
      get: (...parameters) => compiled.get(...parameters) as Row | undefined,
      all: (...parameters) => compiled.all(...parameters) as Row[],
    };
    this.#statements.set(sql, statement);
    return statement;
  }

  transaction<T>(change: () => T): T {
    this.prepare('BEGIN IMMEDIATE').run();
    try {
      const result = change();
      this.prepare('COMMIT').run();
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    try {
      this.prepare('ROLLBACK').run();
    } catch {
      // SQLite has ended the transaction by itself (disk full, I/O error): the first error is the one to tell.
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}
