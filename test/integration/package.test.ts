import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli, startCli } from '../support/cli.ts';
import { nodeOf } from '../support/node-versions.ts';
import type { PackedPackage } from '../support/packed.ts';
import { packAndInstall } from '../support/packed.ts';

const run = promisify(execFile);

// Compilers and several programs one after the other, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

const ROOT = resolve(import.meta.dirname, '../..');

let packed: PackedPackage;

beforeAll(async () => {
  packed = await packAndInstall();
}, 300_000);

afterAll(() => {
  packed.remove();
});

const NEW_APP = "new Celery('tasks', { broker: 'sqlite:///broker.db', backend: 'sqlite:///results.db' })";

const TYPESCRIPT = `
import { Celery } from 'celery-ts';
import { offset } from '@lib/offset';

export const app = ${NEW_APP};
export const add = app.task('tasks.add', (x: number, y: number): number => x + y + offset);
`;
const ESM = `
import { Celery } from 'celery-ts';

export const app = ${NEW_APP};
export const add = app.task('tasks.add', (x, y) => x + y);
`;
const COMMONJS = `
const { Celery } = require('celery-ts');

const app = ${NEW_APP};
const add = app.task('tasks.add', (x, y) => x + y);
module.exports = { app, add };
`;

/** The tutorial, as a user may have it: module kind of the project, file name, content. */
const APPS = [
  ['module', 'tasks.ts', TYPESCRIPT],
  ['module', 'tasks.mts', TYPESCRIPT],
  ['module', 'tasks.cts', TYPESCRIPT],
  ['module', 'tasks.js', ESM],
  ['module', 'tasks.mjs', ESM],
  ['module', 'tasks.cjs', COMMONJS],
  ['commonjs', 'tasks.ts', TYPESCRIPT],
  ['commonjs', 'tasks.mts', TYPESCRIPT],
  ['commonjs', 'tasks.cts', TYPESCRIPT],
  ['commonjs', 'tasks.js', COMMONJS],
  ['commonjs', 'tasks.mjs', ESM],
  ['commonjs', 'tasks.cjs', COMMONJS],
  [undefined, 'tasks.ts', TYPESCRIPT],
  [undefined, 'tasks.js', COMMONJS],
] as const;

function filesOf(type: string | undefined, name: string, content: string): Record<string, string> {
  return {
    'package.json': JSON.stringify({ type }),
    'tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '@lib/*': ['./lib/*'] } } }),
    'lib/offset.ts': 'export const offset: number = 0;',
    [name]: content,
  };
}

describe.each([20, 24])('on Node %i', (major) => {
  let node: string;

  beforeAll(async () => {
    node = await nodeOf(major);
  }, 300_000);

  const at = (cwd: string) => ({ cwd, node, program: packed.program });

  it.each(APPS)('runs the tutorial: type %s, %s', async (type, name, content) => {
    const place = packed.project(filesOf(type, name, content));
    const worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', '-c', '1'], at(place));
    try {
      const call = await runCli(['-A', 'tasks', 'call', 'tasks.add', '-a', '[4, 4]'], at(place));
      expect(call).toMatchObject({ code: 0, stderr: '' });
      await worker.waitFor(/succeeded in .*: 8\n/);
    } finally {
      worker.kill('SIGTERM');
    }
    const { code, stdout, stderr } = await worker.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('[tasks]\n  . tasks.add\n');
    expect(stderr).not.toMatch(/ExperimentalWarning|DeprecationWarning|ERROR/);
  });

  // tsx compiles what CommonJS requires: without care it would be another copy, whose errors the worker does not know.
  it.each(['tasks.ts', 'tasks.mts', 'tasks.cts'])(
    'knows its own errors when %s throws them',
    async (name) => {
      const place = packed.project({
        'package.json': '{}',
        [name]: `
        import { Celery, Ignore } from 'celery-ts';
        export const app = ${NEW_APP};
        app.task('tasks.skip', () => {
          throw new Ignore();
        });`,
      });
      const worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', '-c', '1'], at(place));
      expect((await runCli(['-A', 'tasks', 'call', 'tasks.skip'], at(place))).code).toBe(0);
      await worker.waitFor(/Task tasks\.skip\[.*\] (ignored|raised.*)\n/);
      expect(worker.output).toContain('ignored\n');
      worker.kill('SIGTERM');
      await worker.ended;
    },
  );

  it('runs a .js app without tsx', async () => {
    const place = packed.project(filesOf('module', 'tasks.js', ESM));
    rmSync(join(place, 'node_modules'));
    mkdirSync(join(place, 'node_modules'));
    for (const name of readdirSync(packed.modules).filter(
      (each) => !['tsx', 'esbuild', '@esbuild'].includes(each),
    )) {
      // Copied: from a link Node would find the other folder, and tsx in it.
      if (name === 'celery-ts')
        cpSync(join(packed.modules, name), join(place, 'node_modules', name), { recursive: true });
      else symlinkSync(join(packed.modules, name), join(place, 'node_modules', name));
    }
    const program = join(place, 'node_modules/celery-ts/bin/celery-ts.js');
    const worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', '-c', '1'], {
      cwd: place,
      node,
      program,
    });
    await worker.waitFor('ready.');
    worker.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
  });

  it.each([
    ['module', 'client.mjs', "import { app, add } from './tasks.mjs';"],
    ['commonjs', 'client.cjs', "const { app, add } = require('./tasks.cjs');"],
  ])('lets a %s program call tasks and end', async (type, name, line) => {
    const client = `${line}
      (async () => {
        const result = await add.delay(4, 4);
        console.log(await result.get({ timeout: 20 }), String(result.backend));
        await app.close();
      })();`;
    const place = packed.project({
      ...filesOf(type, 'tasks.mjs', ESM),
      'tasks.cjs': COMMONJS,
      [name]: client,
    });
    const worker = startCli(['-A', 'tasks', 'worker', '-c', '1'], at(place));
    const output = await runCli([], { cwd: place, node, program: join(place, name) });
    expect(output).toMatchObject({ code: 0, stdout: '8 sqlite:///results.db\n' });
    worker.kill('SIGTERM');
    await worker.ended;
  });

  it('is one copy for import and require', async () => {
    const place = packed.project({
      'package.json': '{}',
      'a.mjs': `
        import { createRequire } from 'node:module';
        import { Celery } from 'celery-ts';
        import { startWorker } from 'celery-ts/testing';
        const require = createRequire(import.meta.url);
        console.log(require('celery-ts').Celery === Celery, require('celery-ts/testing').startWorker === startWorker);`,
    });
    const { stdout } = await run(node, ['--no-warnings', join(place, 'a.mjs')]);
    expect(stdout).toBe('true true\n');
  });
});

it('answers npx celery-ts --help', async () => {
  const place = packed.project({ 'package.json': '{}' });
  const { stdout } = await run('npx', ['--no-install', 'celery-ts', '--help'], { cwd: place });
  expect(stdout).toMatch(/^Usage: celery-ts \[OPTIONS\] COMMAND/);
});

it('holds what it needs and nothing else', () => {
  const files = readdirSync(join(packed.modules, 'celery-ts'), { recursive: true, encoding: 'utf8' });
  expect(files).toEqual(
    expect.arrayContaining([
      'bin/celery-ts.js',
      'dist/index.cjs',
      'dist/index.d.cts',
      'LICENSE',
      'README.md',
      'ARCHITECTURE.md',
      'CHANGELOG.md',
      'docs/tasks.md',
    ]),
  );
  expect(
    files.filter((file) => /^(src|test|scripts|node_modules)\b|\.ts$/.test(file) && !file.endsWith('.d.ts')),
  ).toEqual(['celeryconfig.example.ts']);
});

it('holds every file that its README and its documents link to', () => {
  const root = join(packed.modules, 'celery-ts');
  const documents = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
  for (const document of ['README.md', ...documents.map((file) => `docs/${file}`)]) {
    const text = readFileSync(join(root, document), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => !existsSync(join(root, dirname(document), link)));
    expect(dead, document).toEqual([]);
  }
});

describe('its types', () => {
  const USE = `
import { Celery, defineConfig } from 'celery-ts';
import { startWorker } from 'celery-ts/testing';

const app = new Celery('tasks', { broker: 'memory://', task_serializer: 'json' });
const add = app.task('tasks.add', (x: number, y: number) => x + y);
const bound = app.task('tasks.bound', { bind: true, maxRetries: 5 }, (self, url: string) => self.request.id + url);

export async function main(): Promise<number> {
  await bound.delay('x');
  // @ts-expect-error -- a string is no number
  await add.delay('4', 4);
  // @ts-expect-error -- no such option
  await add.applyAsync([4, 4], { countdwn: 1 });
  await using worker = await startWorker(app);
  return (await add.delay(4, 4)).get({ timeout: 1 });
}

// @ts-expect-error -- no such setting
export default defineConfig({ task_serializr: 'json' });
`;
  const CONFIG = { strict: true, target: 'es2022', noEmit: true, skipLibCheck: false, types: [] };

  it.each([
    ['module', { module: 'nodenext' }],
    ['commonjs', { module: 'nodenext' }],
    ['module', { module: 'node16' }],
    ['commonjs', { module: 'node16' }],
    ['commonjs', { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true }],
    ['module', { module: 'esnext', moduleResolution: 'bundler' }],
    ['commonjs', { module: 'preserve', moduleResolution: 'bundler' }],
  ])('check in a project of type %s with %j', async (type, options) => {
    const lib = ['es2022'];
    const place = packed.project({
      'package.json': JSON.stringify({ type }),
      'tsconfig.json': JSON.stringify({ compilerOptions: { ...CONFIG, lib, ...options }, files: ['use.ts'] }),
      'use.ts': USE,
    });
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const output = await run(process.execPath, [tsc, '-p', place]).then(
      ({ stdout }) => stdout,
      (error: unknown) => (error as { stdout: string }).stdout,
    );
    expect(output).toBe('');
  });
});
