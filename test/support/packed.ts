import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const ROOT = resolve(import.meta.dirname, '../..');

/** The package as npm would publish it, installed into an empty project. */
export interface PackedPackage {
  /** The `node_modules` it is in. */
  readonly modules: string;
  readonly program: string;
  /** A project that uses it, in a folder with a name that has to be escaped in URLs. */
  project(files: Readonly<Record<string, string>>): string;
  remove(): void;
}

/** Packs the build and installs it, with what a user needs to type-check against it. */
export async function packAndInstall(): Promise<PackedPackage> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'celery-ts-packed-')));
  const base = join(folder, 'base');
  mkdirSync(base);
  writeFileSync(join(base, 'package.json'), '{}');
  const npm = (cwd: string, ...args: readonly string[]) => run('npm', [...args, '--ignore-scripts'], { cwd });
  const { stdout } = await npm(ROOT, 'pack', '--json', '--pack-destination', folder);
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await npm(
    base,
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, filename),
    '@types/node@20',
  );
  const modules = join(base, 'node_modules');
  // Its install script would download or compile it; the one of this repository is of the same version.
  const native = join(ROOT, 'node_modules/better-sqlite3/build');
  if (existsSync(native)) cpSync(native, join(modules, 'better-sqlite3/build'), { recursive: true });
  let count = 0;
  return {
    modules,
    program: join(modules, 'celery-ts/bin/celery-ts.js'),
    project: (files) => {
      count += 1;
      const place = join(folder, `project ${count} #1`);
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(place, name)), { recursive: true });
        writeFileSync(join(place, name), text);
      }
      symlinkSync(modules, join(place, 'node_modules'));
      return place;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
