#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

// Installed globally, it hands over to the copy of the project: the app there is made of that copy's classes.
const own = resolve(import.meta.dirname, '..');
const { main } = await import(
  pathToFileURL(join(installedAt(process.cwd()) ?? own, 'dist/cli/main.js')).href
);

await main();

function installedAt(folder) {
  try {
    return realpathSync(dirname(createRequire(join(folder, 'noop.js')).resolve('celery-ts/package.json')));
  } catch {
    return undefined;
  }
}
