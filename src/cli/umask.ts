import { InvalidArgumentError } from './commander.ts';

/** Whom a process runs as, and which rights its files get. */
export interface PrivilegeFlags {
  /** Name or number. */
  readonly uid?: string;
  readonly gid?: string;
  readonly umask?: number;
}

/** `--umask`: octal when it begins with 0, as in Celery. */
export function umaskOf(value: string): number {
  const mask = /^0[0-7]*$/.test(value) ? Number.parseInt(value, 8) : Number(value);
  if (!/^\d+$/.test(value) || Number.isNaN(mask) || mask > 0o777) {
    throw new InvalidArgumentError(`'${value}' is no file mode: write it as 022.`);
  }
  return mask;
}
