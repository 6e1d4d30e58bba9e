import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliFailure, EXIT } from './failure.ts';
import { cannotWrite } from './file-failure.ts';

/** The file that says which process runs; it is removed by `release` as long as it is ours. */
export interface PidFile {
  readonly path: string;
  release(): void;
}

type Owner = 'alive' | 'stale' | 'broken' | 'ours' | 'none';

/** Another process may take the same file over at the same moment. */
const ATTEMPTS = 5;

/**
 * Claims a pidfile for this process. One left behind by a process that is gone is taken over.
 * @param notify is told what was found, a line each
 * @throws {CliFailure} the owner is alive, or the file cannot be written (exit 73)
 */
export function claimPidFile(path: string, notify: (line: string) => void): PidFile {
  const full = resolve(path);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (createExclusively(full)) return { path: full, release: () => releaseOwn(full) };
    removeUnlessAlive(full, notify);
  }
  throw new CliFailure(`ERROR: Pidfile (${full}) is being written by others.`, EXIT.cannotCreate);
}

function createExclusively(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o644);
    try {
      writeSync(file, `${String(process.pid)}\n`);
    } finally {
      closeSync(file);
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cannotWrite('pidfile', path, error);
  }
}

function removeUnlessAlive(path: string, notify: (line: string) => void): void {
  const { owner, pid } = readOwner(path);
  if (owner === 'none') return;
  if (owner === 'alive') {
    throw new CliFailure(
      `ERROR: Pidfile (${path}) already exists.\nSeems we're already running? (pid: ${String(pid)})`,
      EXIT.cannotCreate,
    );
  }
  if (owner === 'stale') notify('Stale pidfile exists - Removing it.');
  if (owner === 'broken') notify('Broken pidfile found - Removing it.');
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw cannotWrite('pidfile', path, error);
  }
}

function readOwner(path: string): { owner: Owner; pid: number | undefined } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { owner: 'none', pid: undefined };
    throw cannotWrite('pidfile', path, error);
  }
  const match = /^\s*(\d+)\s*\n/.exec(text);
  if (match === null) return { owner: 'broken', pid: undefined };
  const pid = Number(match[1]);
  // In a container the new process often has the number of the one before it.
  if (pid === process.pid) return { owner: 'ours', pid };
  return { owner: isAlive(pid) ? 'alive' : 'stale', pid };
}

/** The process that a pidfile names and that is one of ours; undefined when the file or the process is gone. */
export function pidOf(path: string): number | undefined {
  const { owner, pid } = readOwner(resolve(path));
  return owner === 'alive' ? pid : undefined;
}

/** Whether a worker with this process id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !isZombie(pid) && !isSomethingElse(pid);
}

/** Ended, but its parent has not asked for its exit code: in containers without an init process such a one stays. */
function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  } catch {
    return false; // No /proc, or gone.
  }
}

/** Whether the number was given to another program since; only Linux tells. */
function isSomethingElse(pid: number): boolean {
  const [theirs, own] = [commandLine(pid), commandLine(process.pid)];
  if (theirs === undefined || own === undefined) return false;
  return own.includes('celery') && !theirs.includes('celery');
}

function commandLine(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8');
    return text === '' ? undefined : text;
  } catch {
    return undefined; // No /proc, or not ours to read.
  }
}

function releaseOwn(path: string): void {
  const { owner } = readOwner(path);
  if (owner === 'ours') rmSync(path, { force: true });
}
