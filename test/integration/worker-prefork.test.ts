import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { startCli } from '../support/cli.ts';
import type { RunningCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import type { Project } from '../support/project.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

const TASKS = `
import { appendFileSync } from 'node:fs';
import { Celery } from 'celery-ts';

export const app = new Celery('tasks', { broker: process.env.BROKER, backend: 'rpc://', worker_prefetch_multiplier: 1 });

app.task('tasks.add', (x, y) => x + y);
app.task('tasks.fail', () => {
  throw new RangeError('boom');
});
app.task('tasks.dies', () => process.exit(3));
app.task('tasks.dies_late', { acksLate: true, rejectOnWorkerLost: true, bind: true }, (self) => {
  if (self.request.deliveryInfo.redelivered) return 'second';
  process.kill(process.pid, 'SIGKILL');
});
app.task('tasks.hard', { timeLimit: 0.5 }, () => {
  for (;;);
});
app.task('tasks.soft', { softTimeLimit: 0.5, bind: true }, async (self) => {
  await new Promise((_, reject) => self.signal.addEventListener('abort', () => reject(self.signal.reason)));
});
app.task('tasks.late', { acksLate: true, bind: true }, async (self, seconds) => {
  appendFileSync('runs.txt', self.request.id + '\\n');
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return seconds;
});
app.task('tasks.unencodable', () => () => 1);
app.task('tasks.big', (text) => text.length);
`;

describe.skipIf(!hasRabbitmq)('a worker with child processes over RabbitMQ', { timeout: 120_000 }, () => {
  let server: Rabbitmq;
  let project: Project;
  let app: Celery;
  let workers: RunningCli[];

  beforeAll(async () => {
    server = await Rabbitmq.start();
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    project = createProject({ 'tasks.js': TASKS, 'runs.txt': '' });
    app = new Celery('client', { broker: server.url(), backend: 'rpc://' });
    app.markConfigured();
    workers = [];
  });

  afterEach(async () => {
    for (const worker of workers) worker.kill('SIGKILL');
    await app.close();
    await Promise.all(workers.map((worker) => worker.ended));
    project.remove();
  });

  async function start(...args: string[]): Promise<RunningCli> {
    const worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', '-c', '2', ...args], {
      cwd: project.folder,
      env: { BROKER: server.url() },
    });
    workers.push(worker);
    await worker.waitFor(/ ready\.\n/, 60_000);
    return worker;
  }

  function run(task: string, ...args: unknown[]): Promise<unknown> {
    return app.sendTask(task, args).then((result) => result.get({ timeout: 60, propagate: false }));
  }

  test('settles every way in which a task can end, and exits in good order', async () => {
    const worker = await start();
    const [sum, fail, dies, again, hard, soft, unencodable, big] = await Promise.all([
      run('tasks.add', 4, 4),
      run('tasks.fail'),
      run('tasks.dies'),
      run('tasks.dies_late'),
      run('tasks.hard'),
      run('tasks.soft'),
      run('tasks.unencodable'),
      run('tasks.big', 'x'.repeat(20_000_000)),
    ]);
    expect(sum).toBe(8);
    expect(fail).toMatchObject({ name: 'RangeError', message: 'boom' });
    expect(dies).toMatchObject({ name: 'WorkerLostError' });
    expect(again).toBe('second');
    expect(hard).toMatchObject({ name: 'TimeLimitExceeded' });
    expect(soft).toMatchObject({ name: 'SoftTimeLimitExceeded' });
    expect(unencodable).toMatchObject({ name: 'EncodeError' });
    expect(big).toBe(20_000_000);
    for (const line of [
      /INFO\/MainProcess\] Task tasks\.add\[[-\w]+\] received/,
      /INFO\/ForkPoolWorker-\d\] Task tasks\.add\[[-\w]+\] succeeded in [\d.e-]+s: 8/,
      /ERROR\/ForkPoolWorker-\d+\] Task tasks\.fail\[[-\w]+\] raised unexpected: RangeError\('boom'\)\nRangeError: boom\n {4}at /,
      /ERROR\/MainProcess\] Process 'ForkPoolWorker-\d+' pid:\d+ exited with 'exitcode 3'/,
      /ERROR\/MainProcess\] Task handler raised error: WorkerLostError\('Worker exited prematurely: exitcode 3 Job: \d+\.'\)/,
      /ERROR\/MainProcess\] Task handler raised error: WorkerLostError\('Worker exited prematurely: signal 9 \(SIGKILL\) Job: \d+\.'\)/,
      /ERROR\/MainProcess\] Hard time limit \(0\.5s\) exceeded for tasks\.hard\[/,
      /WARNING\/MainProcess\] Soft time limit \(0\.5s\) exceeded for tasks\.soft\[/,
    ]) {
      await worker.waitFor(line);
    }
    worker.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
    expect(await server.ctl('list_queues', 'name', 'messages')).toContain('celery\t0');
  });

  test('after kill -9 its late-ack task runs elsewhere; cold shutdown gives it back too', async () => {
    const first = await start();
    const result = await app.sendTask('tasks.late', [3]);
    const runs = () =>
      import('node:fs').then(({ readFileSync }) => readFileSync(project.path('runs.txt'), 'utf8'));
    while (!(await runs()).includes(result.id)) await new Promise((resolve) => setTimeout(resolve, 20));
    first.kill('SIGKILL');
    const second = await start('-n', 'second');
    await second.waitFor(/received/);
    while ((await runs()).split('\n').length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    second.kill('SIGQUIT');
    await second.ended;
    await start('-n', 'third');
    expect(await result.get({ timeout: 60 })).toBe(3);
    expect((await runs()).trim().split('\n')).toEqual([result.id, result.id, result.id]);
  });

  test('a burst of tasks through children that are replaced: each runs once', async () => {
    const worker = await start('--max-tasks-per-child', '20');
    const sums = await Promise.all([...Array(200).keys()].map((n) => run('tasks.add', n, 1)));
    expect(sums).toEqual([...Array(200).keys()].map((n) => n + 1));
    worker.kill('SIGTERM');
    const { code } = await worker.ended;
    expect(code).toBe(0);
    expect(worker.output.match(/Task tasks\.add\S+ succeeded/g)).toHaveLength(200);
  });
});
