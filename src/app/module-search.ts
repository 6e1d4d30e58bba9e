import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { MODULE_EXTENSIONS } from './user-module.ts';

/** A module that was looked for: its file, or where it was looked for. */
export interface ModuleSearch {
  readonly file: string | undefined;
  /** Printable patterns, relative to `folders`, e.g. `tasks.{ts,mts,…}`. */
  readonly tried: readonly string[];
}

const ANY_EXTENSION = `{${MODULE_EXTENSIONS.join(',')}}`;

/**
 * Finds the file of a module: `tasks` (a file of that name, or a folder with `celery.*` or `index.*`), `src/tasks.ts`, or dotted
 * `proj.celery`.
 * @param folders where names start, in order
 */
export function findModule(name: string, folders: readonly string[]): ModuleSearch {
  const bases = [...new Set([name, dotsToFolders(name)])];
  const tried = bases.flatMap((base) =>
    isFileName(base)
      ? [base]
      : [`${base}.${ANY_EXTENSION}`, `${join(base, 'celery')}.*`, `${join(base, 'index')}.*`],
  );
  for (const folder of folders) {
    for (const base of bases) {
      const file = fileOf(resolve(folder, base));
      if (file !== undefined) return { file, tried };
    }
  }
  return { file: undefined, tried };
}

/** A module of an installed package (`@scope/tasks`), as `require` in that folder would find it. */
export function findInPackages(name: string, folder: string): string | undefined {
  if (name.startsWith('.') || isAbsolute(name) || isFileName(name)) return undefined;
  try {
    const file = createRequire(join(folder, 'noop.js')).resolve(name);
    return isAbsolute(file) ? file : undefined;
  } catch {
    return undefined; // Not there: the caller says what was tried.
  }
}

/** `proj.tasks` → `proj/tasks`, `src/proj.tasks` → `src/proj/tasks`; `src/tasks.ts`, `.` and `..` stay. */
function dotsToFolders(name: string): string {
  if (isFileName(name)) return name;
  return name.replace(/[^\\/]+$/, (last) => (/^\.+$/.test(last) ? last : last.replaceAll('.', '/')));
}

function isFileName(name: string): boolean {
  return MODULE_EXTENSIONS.some((extension) => name.endsWith(`.${extension}`));
}

function fileOf(base: string): string | undefined {
  if (isFileName(base) && isFile(base)) return base;
  return withExtension(base) ?? withExtension(join(base, 'celery')) ?? withExtension(join(base, 'index'));
}

function withExtension(base: string): string | undefined {
  return MODULE_EXTENSIONS.map((extension) => `${base}.${extension}`).find(isFile);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
