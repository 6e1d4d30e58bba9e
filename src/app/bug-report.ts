import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { dirname, join } from 'node:path';
import type { Celery } from './celery.ts';
import { packageVersion } from '../core/package.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { maskSecrets } from '../settings/mask.ts';
import { changedSettings } from '../settings/resolve.ts';

/** Packages whose versions matter to who reads a bug report. */
const PACKAGES = ['amqplib', 'better-sqlite3', 'tsx', 'pino', 'commander', 'cosmiconfig'];

/** Versions, platform, and the settings that differ from the defaults, secrets masked. */
export function bugReport(app: Celery, configFile?: string | null): string {
  const settings = Object.entries(maskSecrets(changedSettings(app.settingsLayers)));
  return [
    '',
    `software -> celery-ts:${packageVersion()} node:${process.versions.node}`,
    `            ${packageVersions().join(' ')}`,
    `platform -> system:${os.type()} arch:${os.machine()}`,
    `            kernel version:${os.release()} imp:Node.js`,
    `loader   -> celery-ts, ${loaderOf(app, configFile)}`,
    `settings -> transport:${app.transport().scheme} results:${app.backend.url}`,
    '',
    'deprecated_settings: None',
    ...settings.map(([name, value]) => `${name}: ${shown(value)}`),
    '',
  ].join('\n');
}

/** The config file where it is known, otherwise all places that settings come from. */
function loaderOf(app: Celery, configFile: string | null | undefined): string {
  if (configFile !== undefined) return `config file: ${configFile ?? 'none'}`;
  return `settings of: ${app.settingsLayers.map((layer) => layer.origin).join(', ')}`;
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
