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
  const { software, platform, loader, transport, results, settings } = bugFacts(app, configFile);
  const { 'celery-ts': own, node, ...packages } = software;
  return [
    '',
    `software -> celery-ts:${own} node:${node}`,
    `            ${Object.entries(packages)
      .map(([name, version]) => `${name}:${version}`)
      .join(' ')}`,
    `platform -> system:${platform.system} arch:${platform.arch}`,
    `            kernel version:${platform.kernel} imp:Node.js`,
    `loader   -> celery-ts, ${loader}`,
    `settings -> transport:${transport} results:${results}`,
    '',
    'deprecated_settings: None',
    ...Object.entries(settings).map(([name, value]) => `${name}: ${shown(value)}`),
    '',
  ].join('\n');
}

/** What the report is made of. */
export interface BugFacts {
  readonly software: Readonly<Record<'celery-ts' | 'node', string>> & Readonly<Record<string, string>>;
  readonly platform: Readonly<Record<'system' | 'arch' | 'kernel', string>>;
  readonly loader: string;
  readonly transport: string;
  readonly results: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export function bugFacts(app: Celery, configFile?: string | null): BugFacts {
  return {
    software: { 'celery-ts': packageVersion(), node: process.versions.node, ...packageVersions() },
    platform: { system: os.type(), arch: os.machine(), kernel: os.release() },
    loader: loaderOf(app, configFile),
    transport: app.transport().scheme,
    results: app.backend.url,
    settings: maskSecrets(changedSettings(app.settingsLayers)),
  };
}

/** The config file where it is known, otherwise all places that settings come from. */
function loaderOf(app: Celery, configFile: string | null | undefined): string {
  if (configFile !== undefined) return `config file: ${configFile ?? 'none'}`;
  return `settings of: ${app.settingsLayers.map((layer) => layer.origin).join(', ')}`;
}

function packageVersions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const found = PACKAGES.flatMap((name): [string, string][] => {
    try {
      return [[name, versionOf(dirname(require.resolve(name)))]];
    } catch {
      return []; // An optional package that is not installed.
    }
  });
  return Object.fromEntries(found);
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
