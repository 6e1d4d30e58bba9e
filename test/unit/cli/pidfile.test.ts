import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliFailure } from '../../../src/cli/failure.ts';
import { claimPidFile } from '../../../src/cli/pidfile.ts';

let folder: string;
let path: string;
const lines: string[] = [];
const claim = (file = path) => claimPidFile(file, (line) => lines.push(line));

function failureOf(run: () => unknown): CliFailure {
  try {
    run();
  } catch (error) {
    if (error instanceof CliFailure) return error;
    throw error;
  }
  throw new Error('It did not fail.');
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'celery-ts-pid-'));
  path = join(folder, 'worker.pid');
  lines.length = 0;
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('claimPidFile', () => {
  it('writes the process id and removes the file at the end', () => {
    const file = claim();
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    file.release();
    file.release();
    expect(existsSync(path)).toBe(false);
    expect(lines).toEqual([]);
  });

  it('leaves a file alone that was taken over by another process', () => {
    const file = claim();
    writeFileSync(path, '1\n');
    file.release();
    expect(readFileSync(path, 'utf8')).toBe('1\n');
  });

  it.each([
    ['the id of a process that is gone', '4194304\n', ['Stale pidfile exists - Removing it.']],
    ['no line end', '123', ['Broken pidfile found - Removing it.']],
    ['no number', 'celery\n', ['Broken pidfile found - Removing it.']],
    ['nothing', '', ['Broken pidfile found - Removing it.']],
    ['our own id, as after the restart of a container', `${process.pid}\n`, []],
  ])('takes over a file with %s', (_, content, said) => {
    writeFileSync(path, content);
    claim();
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
    expect(lines).toEqual(said);
  });

  it('refuses a file whose process lives', async () => {
    const alive = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000) // celery'], {
      stdio: 'ignore',
    });
    try {
      writeFileSync(path, `${String(alive.pid)}\n`);
      const failure = failureOf(claim);
      expect(failure.exitCode).toBe(73);
      expect(failure.message).toBe(
        `ERROR: Pidfile (${path}) already exists.\nSeems we're already running? (pid: ${String(alive.pid)})`,
      );
      expect(readFileSync(path, 'utf8')).toBe(`${String(alive.pid)}\n`);
    } finally {
      alive.kill('SIGKILL');
    }
  });

  it.each([
    ['a folder that takes no files', () => '/proc/x.pid', /no file can be made in \/proc/],
    ['a folder that does not exist', () => join(folder, 'none/x.pid'), /the folder .*none does not exist/],
    ['a folder', () => folder, /it is a folder/],
    ['a file for a folder', () => join(folder, 'file/x.pid'), /file is not a folder/],
  ])('names the path and the user when it cannot be written: %s', (_, where, reason) => {
    writeFileSync(join(folder, 'file'), '');
    const failure = failureOf(() => claim(where()));
    expect(failure.exitCode).toBe(73);
    expect(failure.message).toMatch(reason);
    expect(failure.message).toContain(`Cannot write the pidfile ${where()} as user ${userInfo().username}: `);
    expect(failure.message).not.toContain('\n');
  });

  it.skipIf(process.getuid?.() === 0)('says when it has no permission', () => {
    mkdirSync(join(folder, 'locked'));
    chmodSync(join(folder, 'locked'), 0o555);
    expect(failureOf(() => claim(join(folder, 'locked/x.pid'))).message).toContain('permission denied');
  });
});
