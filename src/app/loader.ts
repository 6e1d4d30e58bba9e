import { dirname, relative } from 'node:path';
import { AppLoadError } from '../core/errors.ts';
import { findApp } from './app-spec.ts';
import { Celery } from './celery.ts';
import { describeImportError } from './import-error.ts';
import { findInPackages, findModule } from './module-search.ts';
import { loadModule } from './user-module.ts';
import type { Exports } from './user-module.ts';

export { applyConfig, prepareSearch } from './config-file.ts';
export type { AppliedConfig, ConfigSources } from './config-file.ts';

/** An app and where it came from. */
export interface LoadedApp {
  readonly app: Celery;
  /** The module that holds it; undefined for the default app, when none was named. */
  readonly file: string | undefined;
}

export interface LoadOptions {
  /** Absolute folder in which names start. */
  readonly cwd: string;
}

/** Every Celery instance, of whichever copy of celery-ts, answers to it. */
const BRAND = Symbol.for('celery-ts.app');

/**
 * Loads the app that `-A` names: `tasks`, `src/tasks.ts`, `proj.celery`, each with an optional `:export`.
 *
 * Of a module without `:export` it takes `app`, else `celery`, else the first Celery it exports.
 * @param spec undefined: the default app, without tasks
 * @throws {AppLoadError} one line on what was tried; its cause is the error of the module, if it threw
 */
export async function loadApp(spec: string | undefined, options: LoadOptions): Promise<LoadedApp> {
  if (spec === undefined) return { app: new Celery('default'), file: undefined };
  const { file, exported, tried } = findApp(spec, options.cwd);
  if (file !== undefined) {
    const exports = await importUserModule(file, `Cannot load the app '${spec}'`, options.cwd);
    return { app: pick(exports, exported, spec, file, options.cwd), file };
  }
  throw new AppLoadError(
    `Cannot load the app '${spec}': no ${tried.join(', ')} in ${options.cwd}. ` +
      'Name the module with -A, and its folder with --workdir.',
  );
}

/** What a process that serves the app imports besides the app's own module. */
export interface ImportOptions extends LoadOptions {
  /** The app's module: names are looked for in its folder too. */
  readonly file: string | undefined;
}

/**
 * Imports the task modules of `imports`, `include` and `autodiscoverTasks`, then gives the tasks their final options.
 *
 * Call it after `applyConfig`.
 * @throws {AppLoadError}
 */
export async function importTasks(app: Celery, options: ImportOptions): Promise<void> {
  const folders = [options.cwd, ...(options.file === undefined ? [] : [dirname(options.file)])];
  for (const { name, optional } of app.modulesToImport()) {
    const search = findModule(name, folders);
    const file = search.file ?? findInPackages(name, options.cwd);
    if (file !== undefined) await importUserModule(file, `Cannot import the tasks in '${name}'`, options.cwd);
    else if (!optional) {
      const places = [...new Set(folders)].join(' or ');
      throw new AppLoadError(
        `Cannot import the tasks in '${name}': no ${search.tried.join(', ')} in ${places}.`,
      );
    }
  }
  app.finalizeTasks();
}

/**
 * Imports one thing by `module:export`, or `module.export`.
 * @throws {AppLoadError} there is no such module or export
 */
export async function importExport(spec: string, { cwd }: LoadOptions): Promise<unknown> {
  const separator = spec.includes(':') ? ':' : '.';
  const at = spec.lastIndexOf(separator);
  const [name, exported] = [spec.slice(0, Math.max(at, 0)), spec.slice(at + 1)];
  const search = findModule(name, [cwd]);
  const file = search.file ?? findInPackages(name, cwd);
  if (at < 1 || file === undefined) {
    throw new AppLoadError(
      `Cannot load '${spec}': name it module:export; tried ${search.tried.join(', ')} in ${cwd}.`,
    );
  }
  const exports = await importUserModule(file, `Cannot load '${spec}'`, cwd);
  if (!exports.has(exported)) {
    const names = [...exports.keys()].join(', ') || 'nothing';
    throw new AppLoadError(
      `Cannot load '${spec}': ${relative(cwd, file)} exports no '${exported}', only ${names}.`,
    );
  }
  return exports.get(exported);
}

async function importUserModule(file: string, what: string, cwd: string): Promise<Exports> {
  try {
    return await loadModule(file);
  } catch (error) {
    const place = relative(cwd, file);
    throw new AppLoadError(`${what}: ${place} failed: ${describeImportError(error, cwd)}`, { cause: error });
  }
}

function pick(
  exports: Exports,
  exported: string | undefined,
  spec: string,
  file: string,
  cwd: string,
): Celery {
  const place = relative(cwd, file);
  const names = [...exports.keys()].join(', ') || 'nothing';
  if (exported !== undefined) {
    const value = exports.get(exported);
    if (isApp(value)) return value;
    const what = exports.has(exported)
      ? `its export '${exported}' is no Celery app`
      : `it has no export '${exported}'`;
    throw new AppLoadError(
      `Cannot load the app '${spec}': ${place} was imported, but ${what}; it exports ${names}.`,
    );
  }
  const candidates = [exports.get('app'), exports.get('celery'), ...exports.values()];
  const app = candidates.find(isApp);
  if (app !== undefined) return app;
  throw new AppLoadError(
    `Cannot load the app '${spec}': ${place} was imported, but exports no Celery app (it exports ${names}). ` +
      "Add: export const app = new Celery('tasks')",
  );
}

function isApp(value: unknown): value is Celery {
  return typeof value === 'object' && value !== null && BRAND in value;
}
