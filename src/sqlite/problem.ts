import { access, constants, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { basename, dirname } from 'node:path';
import { CeleryError, ImproperlyConfigured, OperationalError } from '../core/errors.ts';

/** What went wrong with a database, as far as it decides what to do next. */
export type Problem =
  'locked' | 'full' | 'io' | 'corrupt' | 'not-a-database' | 'cannot-open' | 'read-only' | 'other';

// SQLite's primary result codes: node:sqlite gives the number, better-sqlite3 the name; both may be extended ones.
const CODES: readonly (readonly [number, string, Problem])[] = [
  [5, 'SQLITE_BUSY', 'locked'],
  [6, 'SQLITE_LOCKED', 'locked'],
  [8, 'SQLITE_READONLY', 'read-only'],
  [10, 'SQLITE_IOERR', 'io'],
  [11, 'SQLITE_CORRUPT', 'corrupt'],
  [13, 'SQLITE_FULL', 'full'],
  [14, 'SQLITE_CANTOPEN', 'cannot-open'],
  [26, 'SQLITE_NOTADB', 'not-a-database'],
];

/** The kind of a driver's error; undefined when SQLite did not raise it. */
export function sqliteProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as Error & { code?: unknown; errcode?: unknown };
  if (typeof errcode === 'number')
    return CODES.find(([number]) => number === (errcode & 0xff))?.[2] ?? 'other';
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return undefined;
  return CODES.find(([, name]) => code === name || code.startsWith(`${name}_`))?.[2] ?? 'other';
}

const ADVICE: Readonly<Record<Problem, string>> = {
  locked:
    'another process has kept it locked for too long; find the one that does not finish its transaction',
  full: 'the disk or the quota is full; free some space, nothing was written',
  io: 'reading or writing it failed; look at the disk and the system log, nothing was written',
  corrupt: 'its content is damaged; stop all workers, save the file, then try `sqlite3 FILE .recover`',
  'not-a-database': 'the file is something else; name another file in the URL or move this one away',
  'cannot-open': 'it cannot be opened',
  'read-only': 'it may not be written to',
  other: 'SQLite refused the operation',
};

/** A driver's error in the words of the user: which file, what happened, what to do. Other errors come back as they are. */
export function explain(error: unknown, path: string): unknown {
  if (error instanceof CeleryError) return error;
  const problem = sqliteProblem(error);
  if (problem === undefined) return error;
  const text = `SQLite database ${path}: ${ADVICE[problem]} (${(error as Error).message})`;
  const Class = problem === 'not-a-database' ? ImproperlyConfigured : OperationalError;
  return new Class(text, { cause: error });
}

/**
 * Says why a database of this path cannot be used, before SQLite says only "unable to open database file".
 *
 * @throws {ImproperlyConfigured} naming the path and the user of this process
 */
export async function checkPlace(path: string): Promise<void> {
  const folder = dirname(path);
  const about = `SQLite database ${path}:`;
  if (!(await kindOf(folder))?.isDirectory()) {
    throw new ImproperlyConfigured(
      `${about} the folder ${folder} does not exist; create it or correct the URL`,
    );
  }
  const file = await kindOf(path);
  if (file?.isDirectory()) throw new ImproperlyConfigured(`${about} it is a folder, not a file`);
  // SQLite makes its -wal and -shm files beside the database, so the folder has to be writable too.
  const places = file ? [folder, path] : [folder];
  for (const place of places) {
    if (await allowed(place)) continue;
    const what = place === folder ? `the folder ${folder}` : `the file ${basename(path)}`;
    const more = place === folder ? ' (SQLite keeps files of its own beside the database)' : '';
    throw new ImproperlyConfigured(
      `${about} user ${currentUser()} may not read and write ${what}${more}; ` +
        'change its permissions or name another path in the URL',
    );
  }
}

async function kindOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code !== 'EACCES') throw error;
    throw new ImproperlyConfigured(
      `SQLite database ${path}: user ${currentUser()} may not enter the folder ${dirname(path)}`,
      { cause: error },
    );
  }
}

async function allowed(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function currentUser(): string {
  try {
    const { username, uid } = userInfo();
    return `${username} (uid ${uid})`;
  } catch {
    // A container's user may have no entry in the system's list.
    return `with uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
