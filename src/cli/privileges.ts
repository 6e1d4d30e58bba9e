import { execFileSync } from 'node:child_process';
import { CliFailure } from './failure.ts';
import type { PrivilegeFlags } from './umask.ts';

/**
 * Takes on the user, the group and the file mode that the options name, for good. Has to come before anything is opened.
 * @throws {CliFailure} there is no such user or group, or this process may not become it
 */
export function takePrivileges({ uid, gid, umask }: PrivilegeFlags): void {
  if (umask !== undefined) process.umask(umask);
  if (uid === undefined && gid === undefined) return;
  const { setgid, setuid, setgroups } = process;
  if (setgid === undefined || setuid === undefined || setgroups === undefined) {
    throw new CliFailure('Error: --uid and --gid need an operating system with users and groups.');
  }
  try {
    if (uid === undefined) setgid(idOf(gid ?? ''));
    else {
      const { user, group, groups } = lookUp(uid);
      const own = process.getuid?.() === user;
      const wanted = gid === undefined ? group : idOf(gid);
      if (!own) setgroups([...groups, wanted]);
      if (!own || gid !== undefined) setgid(wanted);
      if (!own) setuid(user);
    }
  } catch (error) {
    throw refused(error, uid, gid);
  }
}

function idOf(name: string): string | number {
  return /^\d+$/.test(name) ? Number(name) : name;
}

interface User {
  readonly user: number;
  /** The group it belongs to, and all it is in. */
  readonly group: number;
  readonly groups: readonly number[];
}

/** Asked of the system, which may know more users than the file of users has. */
function lookUp(name: string): User {
  try {
    const ask = (what: string) =>
      execFileSync('id', [what, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const groups = ask('-G').split(' ').map(Number);
    return { user: Number(ask('-u')), group: Number(ask('-g')), groups };
  } catch (error) {
    throw new CliFailure(`Error: There is no user '${name}'.`, undefined, { cause: error });
  }
}

function refused(error: unknown, uid: string | undefined, gid: string | undefined): unknown {
  if (!(error instanceof Error) || error instanceof CliFailure) return error;
  const who = [uid === undefined ? [] : `user '${uid}'`, gid === undefined ? [] : `group '${gid}'`].flat();
  const { code } = error as NodeJS.ErrnoException;
  const reason = code === 'EPERM' ? 'only root can do that' : error.message;
  return new CliFailure(`Error: Cannot run as ${who.join(' and ')}: ${reason}.`, undefined, { cause: error });
}
