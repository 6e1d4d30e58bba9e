import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { chord } from '../../src/app/compose.ts';
import { startCli, type RunningCli } from '../support/cli.ts';
import { createProject, type Project } from '../support/project.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const TASKS = `
import { appendFileSync } from 'node:fs';
import { Celery, Reject } from 'celery-ts';
export const app = new Celery('tasks', {
  broker: process.env.BROKER, backend: process.env.BACKEND, broker_transport_options: { lease_timeout: 3 },
  worker_proc_alive_timeout: 60,
});
const late = { acksLate: true, rejectOnWorkerLost: true };
app.task('member', { bind: true, ...late }, async (self, index: number) => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  appendFileSync('members', index + '\\n');
  // Another one each time that it runs.
  return [index, Math.random()];
});
app.task('die', () => process.kill(process.pid, 'SIGKILL'));
app.task('reject', { acksLate: true }, () => { throw new Reject('no'); });
app.task('hang', { timeLimit: 0.5 }, () => new Promise((resolve) => setTimeout(resolve, 60_000)));
app.task('alarm', (request, exc: Error, traceback: string | null) => {
  appendFileSync('alarms', ['called', request.id, request.task, exc.name, traceback !== null].join(' ') + '\\n');
});
app.task('told', { bind: true }, (self, id: string) => {
  appendFileSync('alarms', ['sent', id, self.request.parentId].join(' ') + '\\n');
});
app.task('body', (values: unknown[]) => {
  appendFileSync('bodies', 'ran\\n');
  return values;
});
`;

const BROKERS = [
  { name: 'sqlite', runs: true },
  { name: 'redis', runs: hasRedis },
] as const;

describe.each(BROKERS)('chords in $name', { timeout: 60_000 }, ({ name, runs }) => {
  let redis: RedisServer | undefined;
  let project: Project;
  let app: Celery;
  let env: Record<string, string>;
  const workers: RunningCli[] = [];
  const start = async (): Promise<RunningCli> => {
    const args = ['-A', 'tasks', 'worker', '-n', `w${String(workers.length)}@h`, '-c', '2', '-l', 'INFO'];
    const worker = startCli(args, { cwd: project.folder, env });
    workers.push(worker);
    await worker.waitFor(/ ready\./, 60_000);
    return worker;
  };

  beforeAll(async () => {
    if (!runs) return;
    project = createProject({ 'tasks.ts': TASKS, bodies: '', members: '', alarms: '' });
    redis = name === 'redis' ? await RedisServer.start() : undefined;
    const broker = redis?.url() ?? `sqlite:///${project.path('celery.db')}`;
    env = { BROKER: broker, BACKEND: broker };
    app = new Celery('client', { broker, backend: broker });
    app.markConfigured();
    await start();
  });
  afterAll(async () => {
    if (!runs) return;
    for (const worker of workers) worker.kill('SIGTERM');
    await Promise.all(workers.map(({ ended }) => ended));
    await app.close();
    await redis?.[Symbol.asyncDispose]();
    project.remove();
  });
  const lines = (file: string): string[] => readFileSync(project.path(file), 'utf8').split('\n').slice(0, -1);
  const member = (index: number) => app.signature('member', [index]);

  it.runIf(runs).each([
    ['whose process is killed', () => app.signature('die'), /WorkerLostError\('Worker exited prematurely/],
    [
      'that expired',
      () => member(2).set({ expires: 0.001, countdown: 0.05 }),
      /TaskRevokedError\('expired'\)/,
    ],
    ['that was revoked', () => member(2).set({ taskId: 'revoked' }), /TaskRevokedError\('revoked'\)/],
    ['that rejects its message', () => app.signature('reject'), /Reject\('no'/],
    ['over its time limit', () => app.signature('hang'), /TimeLimitExceeded\(/],
  ])('a member %s ends its chord', async (_, make, message) => {
    await app.control.revoke('revoked', { reply: true, timeout: 10, limit: 1 });
    const before = lines('bodies').length;
    const result = await chord([member(0), member(1), make()], app.signature('body')).delay();
    await expect(result.get({ timeout: 40 })).rejects.toMatchObject({ name: 'ChordError' });
    await expect(result.get()).rejects.toThrow(message);
    expect(lines('bodies').length).toBe(before);
  });

  it.runIf(runs).each([
    ['whose process is killed', 'die', 'WorkerLostError'],
    ['over its time limit', 'hang', 'TimeLimitExceeded'],
  ])('error callbacks of both kinds are called for a task %s', async (_, task, error) => {
    const signature = app.signature(task).onError(app.signature('alarm')).onError(app.signature('told'));
    const result = await signature.delay();
    await expect(result.get({ timeout: 40 })).rejects.toMatchObject({ name: error });
    const { id } = result;
    const alarms = (): string[] => lines('alarms').filter((line) => line.includes(id));
    await expect
      .poll(() => alarms().sort(), { timeout: 30_000 })
      .toEqual([expect.stringMatching(new RegExp(`^called ${id} ${task} ${error} `)), `sent ${id} ${id}`]);
  });

  it.runIf(runs)('ends once, with each member once, while workers are killed', async () => {
    const size = 80;
    const before = { bodies: lines('bodies').length, members: lines('members').length };
    const members = (): number => lines('members').length - before.members;
    const header = Array.from({ length: size }, (_, index) => member(index));
    await start();
    const result = await chord(header, app.signature('body')).applyAsync([], { taskId: randomUUID() });
    for (const at of [10, 30, 50]) {
      await expect.poll(members, { timeout: 30_000, interval: 5 }).toBeGreaterThan(at);
      const [victim] = workers.splice(0, 1);
      victim?.kill('SIGKILL');
      await victim?.ended;
      await start();
    }
    const values = (await result.get({ timeout: 40 })) as [number, number][];
    expect(values.map(([index]) => index)).toEqual(Array.from({ length: size }, (_, index) => index));
    // Whoever would send it again has done so by then.
    await (await member(-1).delay()).get({ timeout: 40 });
    expect(lines('bodies').length - before.bodies).toBe(1);
  });
});
