import { readFileSync } from 'node:fs';
import os from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { startCli } from '../support/cli.ts';
import type { RunningCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import type { Project } from '../support/project.ts';

const TASKS = `
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Celery } from 'celery-ts';

export const app = new Celery('tasks', { broker: 'sqlite:///broker.db', backend: 'sqlite:///results.db' });

const began = () => readFileSync('began.txt', 'utf8').split('\\n').length - 1;

// Ends when so many have begun, in whatever process.
app.task('tasks.gather', async (count) => {
  appendFileSync('began.txt', process.pid + '\\n');
  while (began() < count) await sleep(20);
  await sleep(200);
  return process.pid;
});
app.task('tasks.again', { acksLate: true, rejectOnWorkerLost: true, bind: true }, async (self) => {
  if (self.request.deliveryInfo.redelivered) return 'second';
  appendFileSync('began.txt', process.pid + '\\n');
  await sleep(600_000);
});
app.task('tasks.sleep', (seconds) => sleep(seconds * 1000));
app.task('tasks.hard', { timeLimit: 0.5 }, () => sleep(600_000));
app.task('tasks.soft', { softTimeLimit: 0.5, bind: true }, (self) => sleep(600_000, undefined, { signal: self.signal }));
app.task('tasks.heed', { bind: true }, (self) => sleep(600_000, undefined, { signal: self.signal }));
`;

let project: Project;
let app: Celery;
let worker: RunningCli | undefined;

beforeEach(() => {
  project = createProject({ 'tasks.js': TASKS, 'began.txt': '' });
  app = new Celery('client', {
    broker: `sqlite:///${project.folder}/broker.db`,
    backend: `sqlite:///${project.folder}/results.db`,
  });
  app.markConfigured();
});

afterEach(async () => {
  worker?.kill('SIGKILL');
  await worker?.ended;
  await app.close();
  project.remove();
});

async function start(...args: string[]): Promise<RunningCli> {
  worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', ...args], { cwd: project.folder });
  await worker.waitFor(/ ready\.\n/, 60_000);
  return worker;
}

const get = { timeout: 90, propagate: false };

/** The processes that run so many tasks, when they do. */
async function pidsOf(count: number): Promise<number[]> {
  for (;;) {
    const pids = readFileSync(project.path('began.txt'), 'utf8').split('\n').filter(Boolean).map(Number);
    if (pids.length >= count) return pids;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a worker with the async pool', { timeout: 120_000 }, () => {
  test('runs a hundred tasks at a time in few processes, and waits for them at a warm shutdown', async () => {
    const running = await start('-P', 'gevent', '-c', '100');
    expect(running.stdout).toContain('.> concurrency: 100 (async)');
    const results = await Promise.all(Array.from({ length: 100 }, () => app.sendTask('tasks.gather', [100])));
    await pidsOf(100);
    running.kill('SIGTERM');
    const values = await Promise.all(results.map((result) => result.get(get)));
    expect(new Set(values).size).toBeLessThanOrEqual(os.availableParallelism());
    expect((await running.ended).code).toBe(0);
  });

  test('ends tasks at their limits and when they are revoked, each alone', async () => {
    await start('-P', 'async', '-c', '20');
    const heeding = await app.sendTask('tasks.heed');
    const [hard, soft, slept] = await Promise.all(
      [app.sendTask('tasks.hard'), app.sendTask('tasks.soft'), app.sendTask('tasks.sleep', [1])].map(
        async (sent) => (await sent).get(get),
      ),
    );
    expect(hard).toMatchObject({ name: 'TimeLimitExceeded' });
    expect(soft).toMatchObject({ name: 'SoftTimeLimitExceeded' });
    expect(slept).toBeNull();
    await app.control.revoke(heeding.id, { terminate: true });
    expect(await heeding.get(get)).toMatchObject({ name: 'TaskRevokedError', message: 'terminated' });
    expect(worker?.output).not.toContain('exited with');
  });

  test('after kill -9 of a child its late-acknowledged tasks run again, the others are lost', async () => {
    const running = await start('-P', 'async', '-c', '30');
    const late = await Promise.all(Array.from({ length: 10 }, () => app.sendTask('tasks.again')));
    const early = await Promise.all(Array.from({ length: 10 }, () => app.sendTask('tasks.gather', [1000])));
    const pids = await pidsOf(20);
    for (const pid of new Set(pids)) process.kill(pid, 'SIGKILL');
    expect(await Promise.all(late.map((result) => result.get(get)))).toEqual(late.map(() => 'second'));
    const lost = await Promise.all(early.map((result) => result.get(get)));
    expect(lost).toMatchObject(early.map(() => ({ name: 'WorkerLostError' })));
    expect(running.output).toMatch(/Process 'ForkPoolWorker-\d' pid:\d+ exited with 'signal 9 \(SIGKILL\)'/);
  });

  test('sizes itself between limits, in slots', async () => {
    const running = await start('-P', 'async', '--autoscale', '40,2');
    expect(running.stdout).toContain('.> concurrency: {min=2, max=40} (async)');
    const results = await Promise.all(Array.from({ length: 40 }, () => app.sendTask('tasks.gather', [40])));
    await Promise.all(results.map((result) => result.get(get)));
    await running.waitFor(/Scaling up \d+ processes\./);
  });
});
