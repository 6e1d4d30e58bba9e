import { existsSync, readFileSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as TsxCjs from 'tsx/cjs/api';

const TYPESCRIPT = /\.[cm]?ts$/;

/** Whether Node needs tsx to load this file. */
export function isTypeScript(file: string): boolean {
  return TYPESCRIPT.test(file);
}

/**
 * Loads a TypeScript module as Node and `tsc` see it: ESM by `import`, CommonJS by `require`.
 *
 * CommonJS is not imported: on Node 20 modules that it requires in turn would not be compiled.
 * @returns the namespace, or for CommonJS its `module.exports` as `default`
 */
export async function loadTypeScript(file: string): Promise<Readonly<Record<string, unknown>>> {
  await registerTypeScript(file);
  if (isCommonJs(file)) return { default: createRequire(import.meta.url)(file) as unknown };
  return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
}

function isCommonJs(file: string): boolean {
  if (file.endsWith('.mts')) return false;
  return file.endsWith('.cts') || packageType(dirname(file)) !== 'module';
}

function packageType(folder: string): unknown {
  const manifest = findUpward('package.json', folder);
  return manifest === undefined
    ? undefined
    : (JSON.parse(readFileSync(manifest, 'utf8')) as { type?: unknown }).type;
}

let registered: Promise<void> | undefined;

/** Makes Node load TypeScript for the rest of this process; the tsconfig.json above the first file gives `paths`. */
export function registerTypeScript(file: string): Promise<void> {
  registered ??= register(findUpward('tsconfig.json', dirname(file)));
  return registered;
}

async function register(tsconfig: string | undefined): Promise<void> {
  // Newer Nodes run tsx in this thread. For older ones its hooks start a thread that loads all of tsx again: there, what
  // `tsx/esm/api` loads beside it would only delay the start.
  const esm = 'registerHooks' in module ? await import('tsx/esm/api') : undefined;
  withTsconfig(tsconfig, () => {
    if (esm === undefined) {
      module.register('tsx/esm', import.meta.url, { data: {} });
      // As `tsx/esm/api` does: tracebacks name the lines of the TypeScript.
      process.setSourceMapsEnabled(true);
    } else esm.register(tsconfig === undefined ? {} : { tsconfig });
  });
  registerCommonJs(tsconfig);
}

const COMMONJS_TYPESCRIPT = ['.ts', '.cts'];

/**
 * The other half: the ESM hooks alone fail on CommonJS .ts files (ERR_REQUIRE_CYCLE_MODULE). It is as large again, and an app of ES
 * modules has no use for it: it is loaded with the first such file.
 */
function registerCommonJs(tsconfig: string | undefined): void {
  const require = createRequire(import.meta.url);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- where Node looks for what loads a file, and the one place to say it
  const loaders = require.extensions;
  const load = (loaded: NodeJS.Module, file: string): void => {
    for (const extension of COMMONJS_TYPESCRIPT) {
      if (loaders[extension] === load) Reflect.deleteProperty(loaders, extension);
    }
    withTsconfig(tsconfig, () => (require('tsx/cjs/api') as typeof TsxCjs).register());
    // As Node does: tsx has loaders for some of the extensions, and one for .js.
    (loaders[extname(file)] ?? loaders['.js'])(loaded, file);
  };
  for (const extension of COMMONJS_TYPESCRIPT) loaders[extension] ??= load;
}

/** Parts of tsx take their tsconfig from the environment and from nowhere else, when they are registered. */
function withTsconfig(tsconfig: string | undefined, run: () => void): void {
  /* eslint-disable no-restricted-properties -- the one way to tell tsx; put back at once */
  const before = process.env.TSX_TSCONFIG_PATH;
  if (tsconfig !== undefined && before === undefined) process.env.TSX_TSCONFIG_PATH = tsconfig;
  try {
    run();
  } finally {
    if (before === undefined) delete process.env.TSX_TSCONFIG_PATH;
  }
  /* eslint-enable no-restricted-properties */
}

function findUpward(name: string, folder: string): string | undefined {
  const file = join(folder, name);
  if (existsSync(file)) return file;
  const parent = dirname(folder);
  return parent === folder ? undefined : findUpward(name, parent);
}
