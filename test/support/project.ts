import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** A folder of a user, in which `import 'celery-ts'` gets the build of this repository. */
export interface Project {
  readonly folder: string;
  path(name: string): string;
  write(files: Readonly<Record<string, string>>): void;
  remove(): void;
}

export interface ProjectOptions {
  /** `"type"` of its package.json. Default `module`. */
  readonly type?: 'module' | 'commonjs';
  /** Last part of the folder's name. */
  readonly name?: string;
}

/** Makes a project with these files; a package.json is written unless it is among them. */
export function createProject(
  files: Readonly<Record<string, string>> = {},
  options: ProjectOptions = {},
): Project {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'celery-ts-project-')));
  const folder = join(parent, options.name ?? 'app');
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules/celery-ts'));
  const project: Project = {
    folder,
    path: (name) => join(folder, name),
    write: (more) => {
      for (const [name, text] of Object.entries(more)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), text);
      }
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  };
  project.write({ 'package.json': JSON.stringify({ type: options.type ?? 'module' }), ...files });
  return project;
}

/** The tutorial's module, on the embedded broker in the same folder. */
export const TASKS = `
import { Celery } from 'celery-ts';

export const app = new Celery('tasks', { broker: 'sqlite:///celery.db', backend: 'sqlite:///results.db' });

export const add = app.task('tasks.add', (x, y) => x + y);
export const fail = app.task('tasks.fail', (message) => {
  throw new Error(message);
});
export const sleep = app.task('tasks.sleep', async (seconds) => {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return seconds;
});
`;
