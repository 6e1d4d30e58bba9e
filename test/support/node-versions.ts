import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const CACHE = resolve(import.meta.dirname, '../../node_modules/.cache');

/** A Node of this major version: the one that runs, or one from npm, kept for the next run. */
export async function nodeOf(major: number): Promise<string> {
  if (Number(process.versions.node.split('.')[0]) === major) return process.execPath;
  const folder = join(CACHE, `node-${major}`);
  // The package `node` gets this one by an install script, which npm may not run.
  const name = `node-${process.platform}-${process.arch}`;
  const program = join(folder, 'node_modules', name, 'bin/node');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{}');
    await promisify(execFile)('npm', ['install', '--ignore-scripts', '--no-save', `${name}@${major}`], {
      cwd: folder,
    });
  }
  return program;
}
