import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { newNames } from '../../settings/table.ts';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { cannotWrite } from '../file-failure.ts';
import { print, printError } from '../output.ts';

/** Options of `celery-ts upgrade settings` as commander gives them. */
export interface UpgradeOptions {
  readonly django?: boolean;
  readonly compat?: boolean;
  /** False with `--no-backup`. */
  readonly backup: boolean;
}

/** `celery-ts upgrade settings`: rewrites a file of settings in place. */
export function runUpgrade(
  context: Context,
  [filename = '']: readonly string[],
  { django, compat, backup }: UpgradeOptions,
): Promise<number> {
  let before: string;
  try {
    before = readFileSync(filename, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw context.usage(
      `Invalid value for 'FILENAME': ${code === 'ENOENT' ? `there is no file '${filename}'` : message}.`,
    );
  }
  const note = (text: string): void => {
    if (context.global.quiet !== true) printError(text);
  };
  note(`processing ${filename}...`);
  const after = upgradeSettings(before, django === true || compat === true);
  if (after === before) {
    print('Does not seem to require any changes :-)');
    return Promise.resolve(EXIT.ok);
  }
  try {
    if (backup) {
      note(`writing backup to ${filename}.orig...`);
      copyFileSync(filename, `${filename}.orig`);
    }
    writeFileSync(filename, after);
  } catch (error) {
    throw error instanceof CliFailure ? error : cannotWrite('settings', filename, error);
  }
  print('Changes to your setting have been made!');
  return Promise.resolve(EXIT.ok);
}

/**
 * Replaces old names of settings wherever they stand as words of their own: as a name, a key, a string.
 * @param upperCase write them as Django has them, `CELERY_RESULT_BACKEND`
 */
export function upgradeSettings(text: string, upperCase: boolean): string {
  return text.replace(/(?<![\w$])[A-Z][A-Z0-9]*_[A-Z0-9_]+(?![\w$])/g, (name) => {
    const today = newNames.get(name);
    if (today === undefined) return name;
    if (!upperCase) return today;
    const upper = today.toUpperCase();
    return upper.startsWith('CELERY_') ? upper : `CELERY_${upper}`;
  });
}
