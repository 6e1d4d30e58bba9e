import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { dirname, join } from 'node:path';
import type { Celery } from '../app/celery.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { maskSecrets } from '../settings/mask.ts';
import { changedSettings } from '../settings/resolve.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';

/** Packages whose versions matter to who reads a bug report. */
const PACKAGES = ['amqplib', 'better-sqlite3', 'tsx', 'pino', 'commander', 'cosmiconfig'];

/** `celery-ts report`: versions, platform, and the settings that differ from the defaults. */
export function runReport(context: Context): Promise<number> {
  return withApp(context, ({ app, configFile }) => {
    print(report(app, configFile, context.version));
    return Promise.resolve(EXIT.ok);
  });
}

function report(app: Celery, configFile: string | null, version: string): string {
  const settings = Object.entries(maskSecrets(changedSettings(app.settingsLayers)));
  return [
    '',
    `software -> celery-ts:${version} node:${process.versions.node}`,
    `            ${packageVersions().join(' ')}`,
    `platform -> system:${os.type()} arch:${os.machine()}`,
    `            kernel version:${os.release()} imp:Node.js`,
    `loader   -> celery-ts, config file: ${configFile ?? 'none'}`,
    `settings -> transport:${app.transport().scheme} results:${app.backend.url}`,
    '',
    'deprecated_settings: None',
    ...settings.map(([name, value]) => `${name}: ${shown(value)}`),
    '',
  ].join('\n');
}

function packageVersions(): string[] {
  const require = createRequire(import.meta.url);
  return PACKAGES.flatMap((name) => {
    try {
      return [`${name}:${versionOf(dirname(require.resolve(name)))}`];
    } catch {
      return []; // An optional package that is not installed.
    }
  });
}

/** From the nearest package.json with a version: not every package exports its own. */
function versionOf(folder: string): string {
  const file = join(folder, 'package.json');
  const { version } = (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}) as {
    version?: string;
  };
  return version ?? versionOf(dirname(folder));
}

/** Text, numbers and flat values on the line itself, lists and objects on lines below, as Celery prints them. */
function shown(value: unknown): string {
  if (typeof value === 'function') return `<function ${value.name}>`;
  const text = pythonRepr(value);
  return typeof value === 'object' && value !== null ? `\n    ${text}` : text;
}
