import os from 'node:os';
import { afterEach, expect, test, vi } from 'vitest';
import { startCli } from '../support/cli.ts';
import type { RunningCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import type { Project } from '../support/project.ts';

// The supervisor tells which processes it has while it loads the app; in a child there are none to tell of.
const MODULE = `
import { readFileSync } from 'node:fs';
import { Celery } from 'celery-ts';

const children = readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim();
if (!process.argv[1].includes('child-main')) console.log('early: <' + children + '>');
if (process.env.THROW) throw new Error('no app today');
export const app = new Celery('tasks', { broker: 'memory://' });
`;

let project: Project | undefined;
let worker: RunningCli | undefined;

afterEach(async () => {
  worker?.kill('SIGKILL');
  await worker?.ended;
  project?.remove();
});

function start(args: readonly string[], files: Readonly<Record<string, string>>, env = {}): RunningCli {
  project = createProject({ 'tasks.ts': MODULE, ...files });
  worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', ...args], { cwd: project.folder, env });
  return worker;
}

async function early(run: RunningCli): Promise<number[]> {
  const pids = /early: <(.*)>/.exec(await run.waitFor(/early: <.*>/))?.[1] ?? '';
  return pids.split(' ').filter(Boolean).map(Number);
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const gone = (pids: readonly number[]): Promise<void> =>
  vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 10_000 });

test('a child starts while the supervisor loads the app, and becomes the first of the pool', async () => {
  const run = start(['-c', '1'], {});
  const pids = await early(run);
  expect(pids).toHaveLength(1);
  await run.waitFor(/ ready\.\n/);
  expect(pids.map(isAlive)).toEqual([true]);
  run.kill('SIGTERM');
  await expect(run.ended).resolves.toMatchObject({ code: 0 });
  await gone(pids);
});

test.each([
  ['the app cannot be loaded', ['-c', '1'], {}, { THROW: '1' }, /no app today/],
  [
    'settings ask for another pool',
    ['-c', '1'],
    { 'celeryconfig.js': "export const worker_pool = 'solo'" },
    {},
    / ready\./,
  ],
])('it ends unused when %s', async (_, args, files, env, sign) => {
  const run = start(args, files, env);
  const pids = await early(run);
  expect(pids).toHaveLength(1);
  await run.waitFor(sign);
  await gone(pids);
});

test('one for each core that is left is started for -P async', async () => {
  expect(await early(start(['-P', 'async', '-c', '100'], {}))).toHaveLength(
    Math.max(1, os.availableParallelism() - 1),
  );
});

test('none is started for -P solo', async () => {
  expect(await early(start(['-P', 'solo'], {}))).toEqual([]);
});
