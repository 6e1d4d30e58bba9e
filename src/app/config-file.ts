import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, relative } from 'node:path';
import { ImproperlyConfigured } from '../core/errors.ts';
import type { SettingsLayer } from '../settings/resolve.ts';
import type { SettingsPlace } from './conf.ts';
import { describeImportError } from './import-error.ts';
import { findModule } from './module-search.ts';
import { loadModule, MODULE_EXTENSIONS } from './user-module.ts';

type Values = Readonly<Record<string, unknown>>;

/** What of an app takes part: `Celery` in `celery.ts`. */
export interface ConfigurableApp {
  readonly configModule: string | undefined;
  readonly wantsConfigFile: boolean;
  readonly settingsLayers: readonly SettingsLayer[];
  addSettingsLayer(layer: SettingsLayer, place: SettingsPlace): void;
  markConfigured(): void;
}

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
  readonly environment?: Values | undefined;
  /** Settings from the command line, cast to their types; its `include` adds to that of the others. */
  readonly commandLine?: Values | undefined;
}

export interface AppliedConfig {
  /** Pass it on as `configFile` to the processes that load the same app. */
  readonly configFile: string | null;
}

/**
 * Gives the app its settings from outside: the config file below what its own code says, environment and command line above.
 * @throws {ImproperlyConfigured} the file cannot be found or read
 */
export async function applyConfig(app: ConfigurableApp, sources: ConfigSources): Promise<AppliedConfig> {
  const configFile = await findConfig(app, sources);
  if (configFile !== null) {
    const origin = printable(configFile, sources.cwd);
    app.addSettingsLayer({ origin, values: await readConfig(configFile, origin) }, 'file');
  }
  const { environment, commandLine } = sources;
  if (environment !== undefined)
    app.addSettingsLayer({ origin: 'environment', values: environment }, 'environment');
  if (commandLine !== undefined) {
    const values = withIncludes(commandLine, app.settingsLayers);
    app.addSettingsLayer({ origin: 'command line', values }, 'commandLine');
  }
  app.markConfigured();
  return { configFile };
}

async function findConfig(app: ConfigurableApp, sources: ConfigSources): Promise<string | null> {
  if (sources.configFile !== undefined) return sources.configFile;
  const folders = [...(sources.file === undefined ? [] : [dirname(sources.file)]), sources.cwd];
  const name = sources.configModule ?? app.configModule;
  if (name !== undefined) return findNamed(name, folders);
  return app.wantsConfigFile ? searchUpward(folders) : null;
}

async function findNamed(name: string, folders: readonly string[]): Promise<string> {
  const { file, tried } = findModule(name, folders);
  // `celeryconfig` may as well be the name of a JSON or YAML file, or stand in a folder above.
  const found = file ?? (name === 'celeryconfig' ? await searchUpward(folders) : null);
  if (found !== null) return found;
  const places = [...new Set(folders)].join(' or ');
  throw new ImproperlyConfigured(
    `Cannot find the config module '${name}': no ${tried.join(', ')} in ${places}.`,
  );
}

const DATA_EXTENSIONS = ['json', 'yaml', 'yml'];
const FILE_NAMES = [...MODULE_EXTENSIONS, ...DATA_EXTENSIONS].map((each) => `celeryconfig.${each}`);

async function searchUpward(folders: readonly string[]): Promise<string | null> {
  const candidates = upward(folders).filter(mayHoldConfig);
  if (candidates.length === 0) return null;
  const { cosmiconfig, defaultLoaders } = await import('cosmiconfig');
  // Only found here, not loaded: an error while it loads must not look to cosmiconfig like a missing file.
  const found = () => ({ found: true });
  const explorer = cosmiconfig('celery', {
    searchStrategy: 'none',
    searchPlaces: [...FILE_NAMES, 'package.json'],
    loaders: {
      ...Object.fromEntries([...MODULE_EXTENSIONS, ...DATA_EXTENSIONS].map((each) => [`.${each}`, found])),
      '.json': (file: string, text: string): unknown =>
        basename(file) === 'package.json' ? defaultLoaders['.json'](file, text) : found(),
    },
  });
  for (const folder of candidates) {
    const result = await explorer.search(folder);
    if (result !== null) return result.filepath;
  }
  return null;
}

/**
 * Loads what the search will need, if it will. For before the app is loaded: tsx, once it is at work, makes every import several
 * times slower.
 * @param cwd absolute folder in which the program was started
 */
export async function prepareSearch(cwd: string): Promise<void> {
  if (upward([cwd]).some(mayHoldConfig)) await import('cosmiconfig');
}

const KEY = /"celery"\s*:/;

/** Most apps have no config file, and cosmiconfig with all that it loads is a twentieth of a worker's start. */
function mayHoldConfig(folder: string): boolean {
  if (FILE_NAMES.some((name) => existsSync(join(folder, name)))) return true;
  try {
    return KEY.test(readFileSync(join(folder, 'package.json'), 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'; // cosmiconfig says what is wrong with it.
  }
}

/** Each folder, then those above it, none twice. */
function upward(folders: readonly string[]): string[] {
  const all = new Set<string>();
  for (const start of folders) {
    for (let folder = start; !all.has(folder); folder = dirname(folder)) all.add(folder);
  }
  return [...all];
}

/** The settings in a config file: exports of a module, keys of JSON or YAML, the key `celery` of package.json. */
async function readConfig(file: string, origin: string): Promise<Values> {
  let values: unknown;
  try {
    values = await load(file);
  } catch (error) {
    const reason = describeImportError(error, dirname(file));
    throw new ImproperlyConfigured(`Cannot read the configuration in ${origin}: ${reason}`, { cause: error });
  }
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) return values as Values;
  throw new ImproperlyConfigured(`${origin}: the configuration is not an object with settings as its keys.`);
}

async function load(file: string): Promise<unknown> {
  const extension = extname(file);
  if (MODULE_EXTENSIONS.includes(extension.slice(1))) {
    const exports = await loadModule(file);
    return exports.get('default') ?? Object.fromEntries(exports);
  }
  const { defaultLoaders } = await import('cosmiconfig');
  const content = await readFile(file, 'utf8');
  if (extension !== '.json') return defaultLoaders['.yaml'](file, content);
  const values = defaultLoaders['.json'](file, content) as unknown;
  return basename(file) === 'package.json' ? (values as { celery?: unknown }).celery : values;
}

function withIncludes(commandLine: Values, weaker: readonly SettingsLayer[]): Values {
  if (commandLine.include === undefined) return commandLine;
  const configured = weaker.map((layer) => layer.values.include).findLast((value) => value !== undefined);
  return { ...commandLine, include: [configured ?? [], commandLine.include].flat() };
}

function printable(file: string, cwd: string): string {
  const short = relative(cwd, file);
  const name = short.startsWith('..') || isAbsolute(short) ? file : short;
  return basename(file) === 'package.json' ? `"celery" in ${name}` : name;
}
