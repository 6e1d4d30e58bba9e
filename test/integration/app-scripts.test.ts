import { resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { startCli } from '../support/cli.ts';
import type { CliResult } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import type { Project } from '../support/project.ts';

const TSX = resolve(import.meta.dirname, '../../node_modules/tsx/dist/cli.mjs');

let project: Project;
afterEach(() => project.remove());

/** Runs a script of the project, as `node script` or `tsx script`, from the project's folder. */
async function run(script: string, env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const typescript = script.endsWith('ts');
  const running = startCli(typescript ? [project.path(script)] : [], {
    cwd: project.folder,
    env,
    program: typescript ? TSX : project.path(script),
  });
  return running.ended;
}

const APP = `
import { Celery } from 'celery-ts';
export const app = new Celery('tasks');
export const add = app.task('tasks.add', (x, y) => x + y);
`;

/** Sends a task, prints where, and closes. */
const SEND = `
import { app, add } from './lib/tasks.js';
const result = await add.delay(4, 4);
console.log(app.conf.broker_url, String(result.backend), await result.state());
await app.close();
`;

const CONFIG =
  "export default { broker_url: 'sqlite:///config.db', result_backend: 'sqlite:///config.db' };\n";

describe('a program of one’s own', () => {
  test.each<[string, Record<string, string>, Record<string, string>, string]>([
    [
      'finds celeryconfig beside the app',
      { 'lib/celeryconfig.mjs': CONFIG },
      {},
      'sqlite:///config.db sqlite:///config.db PENDING',
    ],
    [
      'finds celeryconfig above the app',
      { 'celeryconfig.mjs': CONFIG },
      {},
      'sqlite:///config.db sqlite:///config.db PENDING',
    ],
    [
      'lets the environment decide',
      { 'celeryconfig.mjs': CONFIG },
      { CELERY_BROKER_URL: 'sqlite:///env.db' },
      'sqlite:///env.db sqlite:///config.db PENDING',
    ],
    [
      'takes the module of CELERY_CONFIG_MODULE',
      { 'other.mjs': CONFIG, 'celeryconfig.mjs': 'throw new Error()' },
      { CELERY_CONFIG_MODULE: 'other' },
      'sqlite:///config.db sqlite:///config.db PENDING',
    ],
    [
      'takes the module that configFromObject names',
      {
        'lib/tasks.js': `${APP}app.configFromObject('production');\n`,
        'lib/production.mjs': CONFIG,
        'celeryconfig.mjs': 'throw new Error()',
      },
      {},
      'sqlite:///config.db sqlite:///config.db PENDING',
    ],
  ])('%s', async (_, files, env, printed) => {
    project = createProject({ 'lib/tasks.js': APP, 'send.js': SEND, ...files });
    const { code, stdout, stderr } = await run('send.js', env);
    expect({ code, stdout: stdout.trim(), stderr }).toEqual({ code: 0, stdout: printed, stderr: '' });
  });

  test('says what is wrong with its configuration', async () => {
    project = createProject({
      'lib/tasks.js': APP,
      'send.js': SEND,
      'celeryconfig.mjs': "export const broker_ulr = 'x';\n",
    });
    const { code, stderr } = await run('send.js');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'celeryconfig.mjs: broker_ulr is not a setting of Celery. Did you mean broker_url?',
    );
  });

  test('is warned of settings that have no effect yet', async () => {
    project = createProject({
      'lib/tasks.js': APP,
      'send.js': SEND,
      'celeryconfig.mjs': `${CONFIG}export const result_exchange = 'mine';\n`,
    });
    const { code, stderr } = await run('send.js');
    expect(code).toBe(0);
    expect(stderr.match(/result_exchange/g)).toHaveLength(1);
  });

  test('runs as CommonJS', async () => {
    project = createProject(
      {
        'send.js': `
const { Celery } = require('celery-ts');
const app = new Celery('tasks', { broker: 'sqlite:///x.db' });
const add = app.task('tasks.add', (x, y) => x + y);
add.delay(1, 2).then((result) => { console.log(String(result.backend), add(1, 2)); return app.close(); });
`,
      },
      { type: 'commonjs' },
    );
    expect(await run('send.js')).toMatchObject({ code: 0, stdout: 'disabled:// 3\n', stderr: '' });
  });

  test.each(['module', 'commonjs'] as const)('runs as TypeScript: %s', async (type) => {
    project = createProject(
      {
        'celeryconfig.ts':
          "import { defineConfig } from 'celery-ts';\nexport default defineConfig({ broker_url: 'sqlite:///config.db' });\n",
        'tasks.ts': `
import { Celery } from 'celery-ts';
export const app: Celery = new Celery('tasks');
export const add = app.task('tasks.add', { bind: true }, (self, x: number, y = 2): number => x + y + self.request.retries);
`,
        'send.ts': `
import { app, add } from './tasks';
async function main(): Promise<void> {
  await add.delay(4);
  await add.delay(4, 3);
  const late = await (add.delay as (...args: unknown[]) => Promise<unknown>)().catch(String);
  console.log(app.conf.broker_url, late);
  await app.close();
}
void main();
`,
      },
      { type },
    );
    expect(await run('send.ts')).toMatchObject({
      code: 0,
      stdout: "sqlite:///config.db TypeError: add() missing 1 required positional argument: 'x'\n",
      stderr: '',
    });
  });

  test('ends by itself after close, whatever was under way', async () => {
    project = createProject({
      'send.js': `
import { Celery } from 'celery-ts';
const app = new Celery('a', { broker: 'sqlite:///x.db', backend: 'sqlite:///x.db' });
const result = await app.sendTask('t');
const waiting = result.get().catch((error) => console.log(error.name));
await app.control.broadcast('ping');
await new Promise((resolve) => setTimeout(resolve, 50));
await app.close();
await waiting;
`,
    });
    const { code, stdout } = await run('send.js');
    expect([code, stdout]).toEqual([0, 'OperationalError\n']);
  });
});
