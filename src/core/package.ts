import { existsSync, readFileSync } from 'node:fs';
import { type } from 'node:os';
import { dirname, join } from 'node:path';

let root: string | undefined;

/** Absolute path of a file of this package; this code may run from any depth of it, bundled or not. */
export function packageFile(path: string): string {
  root ??= rootAbove(import.meta.dirname);
  return join(root, path);
}

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder));
}

/** Version of this package. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** Which software a worker is, as its events say it. */
export function softwareInfo(): Readonly<Record<'sw_ident' | 'sw_ver' | 'sw_sys', string>> {
  return { sw_ident: 'celery-ts', sw_ver: packageVersion(), sw_sys: type() };
}
