import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const TYPESCRIPT = /\.[cm]?ts$/;

/** Whether Node needs tsx to load this file. */
export function isTypeScript(file: string): boolean {
  return TYPESCRIPT.test(file);
}

let registered: Promise<void> | undefined;

/**
 * Makes Node load TypeScript, ESM and CommonJS alike, for the rest of this process. Costs nothing until it is called.
 * @param file the user's module: the nearest tsconfig.json above it gives `paths`
 */
export function registerTypeScript(file: string): Promise<void> {
  registered ??= register(nearestTsconfig(dirname(file)));
  return registered;
}

async function register(tsconfig: string | undefined): Promise<void> {
  // Both: the ESM hooks alone fail on CommonJS .ts files (ERR_REQUIRE_CYCLE_MODULE).
  const [esm, cjs] = await Promise.all([import('tsx/esm/api'), import('tsx/cjs/api')]);
  esm.register(tsconfig === undefined ? {} : { tsconfig });
  withTsconfig(tsconfig, () => cjs.register());
}

/** The CommonJS half of tsx takes its tsconfig from the environment and from nowhere else, when it is registered. */
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

function nearestTsconfig(folder: string): string | undefined {
  const file = join(folder, 'tsconfig.json');
  if (existsSync(file)) return file;
  const parent = dirname(folder);
  return parent === folder ? undefined : nearestTsconfig(parent);
}
