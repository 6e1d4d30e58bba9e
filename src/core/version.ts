import { createRequire } from 'node:module';
import { type } from 'node:os';

/** Version of this package. */
export function packageVersion(): string {
  const manifest = createRequire(import.meta.url)('../../package.json') as { version: string };
  return manifest.version;
}

/** Which software a worker is, as its events say it. */
export function softwareInfo(): Readonly<Record<'sw_ident' | 'sw_ver' | 'sw_sys', string>> {
  return { sw_ident: 'celery-ts', sw_ver: packageVersion(), sw_sys: type() };
}
