import { pathToFileURL } from 'node:url';
import { isTypeScript, loadTypeScript, registerTypeScript } from './typescript.ts';

/** Extensions of a module that we load, in the order in which they are looked for. */
export const MODULE_EXTENSIONS: readonly string[] = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'];

/** What a module exports, by name; `default` among them. */
export type Exports = ReadonlyMap<string, unknown>;

/** Where src/commonjs/index.cjs looks for the copy of celery-ts that runs. */
const SLOT = Symbol.for('celery-ts');

/** A name and not a path, so that it is the copy that the user's own `import` gets. */
const SELF: string = 'celery-ts';

/**
 * Imports a module of the user: .js, .mjs and .cjs as Node does, .ts, .mts and .cts through tsx.
 * @param file absolute path
 */
export async function loadModule(file: string): Promise<Exports> {
  await prepareModule(file);
  return new Map(exportsOf(isTypeScript(file) ? await loadTypeScript(file) : await importJavaScript(file)));
}

/** Loads what that module will need, so that loading it later takes less time. */
export async function prepareModule(file: string): Promise<void> {
  const slots = globalThis as { [SLOT]?: unknown };
  slots[SLOT] ??= (await import(SELF)) as unknown;
  if (isTypeScript(file)) await registerTypeScript(file);
}

async function importJavaScript(file: string): Promise<Readonly<Record<string, unknown>>> {
  return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
}

/** One flat view of ESM, CommonJS, and CommonJS that was compiled from ESM: named exports win over keys of the default one. */
function* exportsOf(namespace: Readonly<Record<string, unknown>>): Iterable<[string, unknown]> {
  const { default: whole, ...named } = namespace;
  if (isPlain(whole)) {
    // Of a CommonJS module `default` is module.exports itself, and its keys are the exports.
    if (whole.__esModule === true) yield* exportsOf(whole);
    else yield* Object.entries(whole);
  } else if (whole !== undefined) {
    yield ['default', whole];
  }
  for (const [name, value] of Object.entries(named)) {
    if (name !== '__esModule' && name !== 'module.exports') yield [name, value];
  }
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
