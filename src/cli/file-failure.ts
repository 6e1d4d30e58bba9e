import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { CliFailure, EXIT } from './failure.ts';

const REASONS: Readonly<Record<string, (path: string) => string>> = {
  EACCES: () => 'permission denied',
  EPERM: () => 'operation not permitted',
  ENOENT: (path) =>
    existsSync(dirname(path))
      ? `no file can be made in ${dirname(path)}`
      : `the folder ${dirname(path)} does not exist`,
  ENOTDIR: (path) => `${dirname(path)} is not a folder`,
  EISDIR: () => 'it is a folder',
  EROFS: () => 'the file system is read-only',
  ENOSPC: () => 'no space left on the device',
};

/** One line that names the file, the user and the reason. */
export function cannotWrite(what: string, path: string, error: unknown): CliFailure {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const reason = REASONS[code]?.(path) ?? message;
  return new CliFailure(
    `Error: Cannot write the ${what} ${path} as user ${userName()}: ${reason}.`,
    EXIT.cannotCreate,
    {
      cause: error,
    },
  );
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown'); // No entry in the password file, as usual in containers.
  }
}
