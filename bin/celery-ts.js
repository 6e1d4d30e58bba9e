#!/usr/bin/env node
import { readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

// Installed globally, it hands over to the copy of the project: the app there is made of that copy's classes.
const own = resolve(import.meta.dirname, '..');
const copy = installedAt(process.cwd()) ?? own;

if (process.argv.length === 3 && process.argv[2] === '--version') {
  // Asked by scripts, often: not worth loading a program.
  process.stdout.write(`${JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')).version}\n`);
} else {
  const { main } = await import(pathToFileURL(join(copy, 'dist/cli/main.js')).href);
  await main();
}

function installedAt(folder) {
  try {
    return realpathSync(dirname(createRequire(join(folder, 'noop.js')).resolve('celery-ts/package.json')));
  } catch {
    return undefined;
  }
}
