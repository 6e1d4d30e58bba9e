import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { Celery, Ignore, signals } from '../../src/index.ts';
import { startWorker } from '../../src/testing/index.ts';
import { runCli, startCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function makeApp(): Celery {
  const app = new Celery('tests', {
    broker: `memory://${randomUUID()}`,
    backend: `cache+memory://${randomUUID()}`,
  });
  app.markConfigured();
  return app;
}

/** Notes what all signals say, in order. */
function listen(): string[] {
  const heard: string[] = [];
  const on = <Event extends { readonly sender: signals.WorkerEvent['sender'] | signals.RunEvent['sender'] }>(
    signal: {
      readonly name: string;
      connect(receiver: (event: Event) => unknown): () => void;
    },
    say: (event: Event) => unknown = ({ sender }) => (typeof sender === 'string' ? sender : sender.name),
  ): void => {
    ends.push(signal.connect((event) => heard.push(`${signal.name} ${String(say(event))}`)));
  };
  on(signals.beforeTaskPublish);
  on(signals.afterTaskPublish);
  on(signals.taskReceived, ({ sender, argsrepr }) => `${sender} ${argsrepr}`);
  on(signals.taskRevoked, ({ sender, expired }) => `${sender} expired=${String(expired)}`);
  on(signals.taskPrerun, ({ sender, args }) => `${sender.name} ${JSON.stringify(args)}`);
  on(signals.taskSuccess, ({ result }) => result);
  on(signals.taskFailure, ({ error }) => error);
  on(signals.taskRetry, ({ error, request }) => `${String(error)} ${String(request.retries)}`);
  on(signals.taskPostrun, ({ state, retval }) => `${state} ${String(retval)}`);
  on(signals.workerInit);
  on(signals.workerProcessInit);
  on(signals.workerReady);
  on(signals.workerShuttingDown, ({ sender, how }) => `${sender} ${how}`);
  on(signals.workerProcessShutdown);
  on(signals.workerShutdown);
  return heard;
}

test('each is sent once, in order', async () => {
  await using app = makeApp();
  const add = app.task('tasks.add', (x: number, y: number) => x + y);
  const heard = listen();
  const worker = await startWorker(app, { hostname: 'w@here' });
  await (await add.delay(4, 4)).get({ timeout: 20 });
  await worker.stop();
  expect(heard.filter((line) => !line.startsWith('afterTaskPublish'))).toEqual([
    'workerInit w@here',
    'workerProcessInit w@here',
    'workerReady w@here',
    'beforeTaskPublish tasks.add',
    'taskReceived tasks.add (4, 4)',
    'taskPrerun tasks.add [4,4]',
    'taskSuccess 8',
    'taskPostrun SUCCESS 8',
    'workerShuttingDown w@here warm',
    'workerProcessShutdown w@here',
    'workerShutdown w@here',
  ]);
  expect(heard).toContain('afterTaskPublish tasks.add');
});

test('they tell how a task ended, also when its result cannot be written', async () => {
  await using app = makeApp();
  const again = app.task('again', { bind: true, defaultRetryDelay: 0 }, (self) => {
    if (self.request.retries === 0) throw self.retry();
    throw new TypeError('no');
  });
  const skip = app.task('skip', () => {
    throw new Ignore();
  });
  const unwritten = app.task('unwritten', () => () => 1);
  const late = app.task('late', () => 1);
  await using worker = await startWorker(app);
  const heard = listen();
  const told = async (run: Promise<{ get(options: object): Promise<unknown> }>): Promise<string[]> => {
    heard.length = 0;
    await (await run).get({ timeout: 20, propagate: false });
    return heard.filter((line) => /^task(Ret|Fail|Postrun|Rev)/.test(line));
  };
  expect(await told(again.delay())).toEqual([
    'taskRetry Retry: Retry in 0s 0',
    'taskPostrun RETRY Retry: Retry in 0s',
    'taskFailure TypeError: no',
    'taskPostrun FAILURE TypeError: no',
  ]);
  expect(await told(unwritten.delay() as never)).toEqual([
    'taskFailure EncodeError: cannot encode a function as JSON',
    'taskPostrun FAILURE EncodeError: cannot encode a function as JSON',
  ]);
  expect(await told(late.applyAsync([], { countdown: 0.3, expires: 0.1 }))).toEqual([
    'taskRevoked late expired=true',
  ]);
  await skip.delay();
  await expect.poll(() => heard.at(-1), { timeout: 20_000 }).toMatch(/^taskPostrun IGNORED Ignore/);
  await worker.stop();
});

test('a receiver is waited for, may add headers, and does no harm when it throws', async () => {
  await using app = makeApp();
  const seen: unknown[] = [];
  const trace = app.task('trace', { bind: true }, (self) => [self.request.headers, ...seen]);
  const other = app.task('other', () => null);
  ends.push(
    signals.beforeTaskPublish.connect(({ headers }) => {
      headers['tenant'] = 'blue';
    }),
    signals.taskPrerun.connect(async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen.push('waited');
    }),
    signals.taskPrerun.connect(() => seen.push('never'), { sender: other }),
    signals.taskPrerun.connect(() => seen.push('by task'), { sender: trace }),
    signals.taskPrerun.connect(() => seen.push('replaced'), { sender: 'trace', dispatchUid: 'one' }),
    signals.taskPrerun.connect(() => seen.push('by name'), { sender: 'trace', dispatchUid: 'one' }),
    signals.taskPrerun.connect(() => {
      throw new Error('a receiver that fails');
    }),
  );
  const gone = (): number => seen.push('gone');
  signals.taskPrerun.connect(gone);
  expect([signals.taskPrerun.disconnect(gone), signals.taskPrerun.disconnect(gone)]).toEqual([true, false]);
  await using worker = await startWorker(app);
  expect(await (await trace.delay()).get({ timeout: 20 })).toEqual([
    { tenant: 'blue' },
    'waited',
    'by task',
    'by name',
  ]);
  await worker.stop();
});

test.each([
  ['prefork', 'ForkPoolWorker-1'],
  ['solo', 'MainProcess'],
])('a worker with -P %s sends them where they belong', async (pool, place) => {
  const project = createProject({
    'tasks.ts': `
      import { Celery, signals } from 'celery-ts';
      export const app = new Celery('tasks', { broker: 'sqlite:///b.db', backend: 'sqlite:///b.db' });
      app.task('tasks.add', (x: number, y: number) => x + y);
      for (const name of ['workerInit', 'workerReady', 'workerShutdown', 'workerProcessInit', 'taskPrerun', 'workerProcessShutdown'] as const)
        signals[name].connect(() => console.log('signal', name, process.title.includes('ForkPool') ? process.title.split(' ').at(-1) : 'MainProcess'));
    `,
  });
  const worker = startCli(['-A', 'tasks', 'worker', '-l', 'INFO', '-P', pool, '-c', '1'], {
    cwd: project.folder,
  });
  await worker.waitFor(/signal workerReady/);
  await runCli(['-A', 'tasks', 'call', 'tasks.add', '-a', '[4, 4]'], { cwd: project.folder });
  await worker.waitFor(/succeeded in .*: 8\n/);
  worker.kill('SIGTERM');
  const { code, stdout, stderr } = await worker.ended;
  project.remove();
  const heard = [...(stdout + stderr).matchAll(/signal (\w+) ([\w-]+)/g)].map(
    ([, name, where]) => `${String(name)} ${String(where)}`,
  );
  expect(code).toBe(0);
  expect(heard.sort()).toEqual(
    [
      ...['workerInit', 'workerReady', 'workerShutdown'].map((name) => `${name} MainProcess`),
      ...['workerProcessInit', 'taskPrerun', 'workerProcessShutdown'].map((name) => `${name} ${place}`),
    ].sort(),
  );
});
