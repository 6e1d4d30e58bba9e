import { readFile } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';
import { ImproperlyConfigured } from '../core/errors.ts';
import type { Celery } from './celery.ts';
import { describeImportError } from './import-error.ts';
import { findModule } from './module-search.ts';
import { loadModule, MODULE_EXTENSIONS } from './user-module.ts';

/** Where the settings of an app come from besides its own code. */
export interface ConfigSources {
  /** Absolute folder in which the program was started. */
  readonly cwd: string;
  /** The app's module: the search for the config file begins in its folder. */
  readonly file?: string | undefined;
  /** Module name or path that replaces the search (`--config`, `CELERY_CONFIG_MODULE`). */
  readonly configModule?: string | undefined;
  /** The exact file, found before by another process; null: that one found none. */
  readonly configFile?: string | null | undefined;
  /** Settings from the environment, cast to their types. */
  readonly environment?: Readonly<Record<string, unknown>> | undefined;
  /** Settings from the command line, cast to their types. */
  readonly commandLine?: Readonly<Record<string, unknown>> | undefined;
}

export interface AppliedConfig {
  /** Pass it on as `configFile` to the processes that load the same app. */
  readonly configFile: string | null;
}

/**
 * Gives the app its settings from outside: the config file below what its own code says, environment and command line above.
 * @throws {ImproperlyConfigured} the file cannot be found or read
 */
export async function applyConfig(app: Celery, sources: ConfigSources): Promise<AppliedConfig> {
  const configFile = await findConfig(app, sources);
  void readConfig;
  return { configFile };
}

async function findConfig(app: Celery, sources: ConfigSources): Promise<string | null> {
  if (sources.configFile !== undefined) return sources.configFile;
  const folders = [...(sources.file === undefined ? [] : [dirname(sources.file)]), sources.cwd];
  void app;
  if (sources.configModule !== undefined) return findNamed(sources.configModule, folders);
  return searchUpward(folders);
}

function findNamed(name: string, folders: readonly string[]): string {
  const { file, tried } = findModule(name, folders);
  if (file !== undefined) return file;
  throw new ImproperlyConfigured(
    `Cannot find the config module '${name}': no ${tried.join(', ')} in ${folders.join(', ')}`,
  );
}

async function searchUpward(folders: readonly string[]): Promise<string | null> {
  const { cosmiconfig, defaultLoaders } = await import('cosmiconfig');
  // Only found here: an error of a module while it runs must not look to cosmiconfig like a missing file.
  const found = () => ({ found: true });
  const explorer = cosmiconfig('celery', {
    searchStrategy: 'none',
    searchPlaces: [
      ...MODULE_EXTENSIONS.map((extension) => `celeryconfig.${extension}`),
      ...['json', 'yaml', 'yml'].map((extension) => `celeryconfig.${extension}`),
      'package.json',
    ],
    loaders: {
      ...Object.fromEntries(MODULE_EXTENSIONS.map((extension) => [`.${extension}`, found])),
      '.json': defaultLoaders['.json'],
      '.yaml': found,
      '.yml': found,
    },
  });
  for (const folder of upward(folders)) {
    const result = await explorer.search(folder);
    if (result !== null) return result.filepath;
  }
  return null;
}

function upward(folders: readonly string[]): Iterable<string> {
  const all = new Set<string>();
  for (const start of folders) {
    for (let folder = start; !all.has(folder); folder = dirname(folder)) all.add(folder);
  }
  return all;
}

/** The settings in a config file: exports of a module, keys of JSON or YAML, the key `celery` of package.json. */
async function readConfig(file: string): Promise<Record<string, unknown>> {
  try {
    if (MODULE_EXTENSIONS.includes(extname(file).slice(1))) return Object.fromEntries(await loadModule(file));
    const { defaultLoaders } = await import('cosmiconfig');
    const load = extname(file) === '.json' ? defaultLoaders['.json'] : defaultLoaders['.yaml'];
    const values = load(file, await readFile(file, 'utf8')) as Record<string, unknown>;
    return basename(file) === 'package.json' ? (values.celery as Record<string, unknown>) : values;
  } catch (error) {
    throw new ImproperlyConfigured(`Cannot read ${file}: ${describeImportError(error, dirname(file))}`, {
      cause: error,
    });
  }
}
