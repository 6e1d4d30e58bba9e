import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/index.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { RunningCli } from '../support/cli.ts';
import { runCli, startCli } from '../support/cli.ts';
import type { Captured } from '../support/console.ts';
import { normalized, readConsole } from '../support/console.ts';
import type { Project } from '../support/project.ts';
import { createProject } from '../support/project.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

/** The tasks that were there when the console was captured. */
const TASKS = `
import { existsSync } from 'node:fs';
import { Celery, Ignore, Reject } from 'celery-ts';
export const app = new Celery('tasks', { broker: process.env.SERVER, backend: process.env.SERVER });
const none = () => 1;
app.task('tasks.add', (x, y) => x + y);
app.task('tasks.xsum', none);
app.task('tasks.fail', (msg) => {
  throw Object.assign(new Error(msg), { name: 'ValueError' });
});
app.task('tasks.expected', { throws: [RangeError] }, (k) => {
  throw new RangeError(k);
});
app.task('tasks.flaky', { bind: true, maxRetries: 2 }, (self, n) => {
  throw self.retry({ countdown: 0, exc: new Error('try again ' + n) });
});
app.task('tasks.once', { bind: true }, (self) => {
  if (self.request.retries === 0) throw self.retry({ countdown: 0 });
});
app.task('tasks.sleep', { acksLate: true }, async (_seconds) => {
  while (!existsSync('awake')) await new Promise((resolve) => setTimeout(resolve, 50));
});
app.task('tasks.limited', { rateLimit: '10/m' }, none);
app.task('tasks.rejectme', () => {
  throw new Reject('no');
});
app.task('tasks.ignoreme', () => {
  throw new Ignore();
});
for (const name of ['progress', 'noresult', 'onerr', 'show']) app.task('tasks.' + name, none);
`;

/** What is printed here in another way than Celery prints it: the captured text, changed into ours. */
const DIFFERENT: Readonly<Record<string, (text: string) => string>> = {
  // The worker's settings are those of celery-ts: -c is one, the modules of tasks are none.
  '-A tasks inspect conf': (text) =>
    text
      .replace(/ +"deprecated[^]*?\],\n/, '')
      .replace(/("result_backend": .*)\n/, '$1,\n        "worker_concurrency": 2\n'),
  '-A tasks inspect -j conf': (text) =>
    text
      .replace('"deprecated_settings": null, ', '')
      .replace(/, "include": .*\]/, ', "worker_concurrency": 2'),
  // A JavaScript error has no such headline, nor an empty line at its end.
  '-A tasks result 8ad45b7b-1351-4d60-93a8-0f5206df021a': (text) =>
    text.replace(/^Traceback .*\n(?: +.*\n)+/, ''),
  '-A tasks result --traceback 8ad45b7b-1351-4d60-93a8-0f5206df021a': (text) =>
    text.replace(/^Traceback .*\n(?: +.*\n)+/, '').replace(/\n\n$/, '\n'),
};

/** Where ours answers as Celery 5.6 does, whose console was captured with other commands; or has its own texts. */
const LATER = [
  /--list$/,
  /inspect (nosuchcommand|hello)/,
  /control nosuch$/,
  /control election id1/,
  /inspect conf true/,
];

describe.skipIf(!hasRedis)('the console', { timeout: 180_000 }, () => {
  const own = new Releasers();
  let server: RedisServer;
  let project: Project;
  let app: Celery;
  let worker: RunningCli;
  /** Of the database on the server. */
  let db = 11;
  /** Captured ids and ours. */
  const ids = new Map<string, string>();

  beforeAll(async () => {
    server = own.own(await RedisServer.start());
    project = createProject({ 'tasks.js': TASKS });
    own.push(() => project.remove());
    app = own.own(new Celery('tasks', { broker: url(11), backend: url(11) }));
    app.markConfigured();
    worker = startCli(['-A', 'tasks', 'worker', '-n', 'worker@example.com', '-c', '2', '-l', 'INFO'], {
      cwd: project.folder,
      env: { SERVER: url(11) },
    });
    own.push(async () => {
      worker.kill('SIGKILL');
      await worker.ended;
    });
    await worker.waitFor('ready.');
  }, 60_000);
  afterAll(() => own.release());

  const url = (db: number): string => server.url(db);
  const withIds = (text: string): string =>
    [...ids].reduce((all, [theirs, ours]) => all.replaceAll(theirs, ours), text);

  /** Types what was typed then. */
  function type({ words, line }: Captured): ReturnType<typeof runCli> {
    // However long the test takes, none of them falls due.
    const later = words[2] === 'call' ? words.map((word) => (/^\d+$/.test(word) ? `${word}0` : word)) : words;
    const given = later.map((word) =>
      withIds(word).replace(/redis:\/\/127\.0\.0\.1:\d+/, server.url(0).replace(/\/0$/, '')),
    );
    const remote = given.findIndex((word) => ['inspect', 'control', 'status'].includes(word));
    // As soon as the worker has answered, and however long that takes.
    const isAnswered = remote >= 0 && !given.includes('-d') && !/shutdown|--list|nosuch/.test(line);
    if (isAnswered && worker.child.exitCode === null)
      given.splice(remote + 1, 0, '-d', 'worker@example.com', '-t', '30');
    return runCli(given, {
      cwd: project.folder,
      env: { SERVER: url(db) },
      ...(line.endsWith(' purge') && { input: 'n\n' }),
    });
  }

  async function compare(captured: Captured): Promise<void> {
    const { line, code } = captured;
    let ours = await type(captured);
    // Until the process that pool_grow has started is there to be taken away again.
    while (line.endsWith('pool_shrink 1') && ours.stdout.includes('busy')) ours = await type(captured);
    if (/ call tasks\.\w+/.test(line) && code === 0) ids.set(captured.stdout.trim(), ours.stdout.trim());
    const key = line.replaceAll(/127\.0\.0\.1:\d+/g, 'SERVER');
    const change = DIFFERENT[key] ?? ((text: string) => text);
    const told = { stdout: normalized(ours.stdout), stderr: normalized(ours.stderr) };
    const expected = {
      stdout: normalized(withIds(change(captured.stdout))),
      stderr: normalized(withIds(change(captured.stderr))),
    };
    // Both sort by id.
    if (line.includes('query_task') && !line.includes('-j')) {
      for (const text of [told, expected]) {
        text.stdout = text.stdout.replaceAll(/,$/gm, '').split('\n').sort().join('\n');
      }
    }
    if (captured.oneStream) {
      const { stdout, stderr } = told;
      told.stdout = stderr + stdout === expected.stdout ? stderr + stdout : stdout + stderr;
    }
    expect
      .soft({ line, code: ours.code, ...told, ...(captured.oneStream && { stderr: '' }) }, line)
      .toEqual({ line, code, ...expected });
  }

  async function compareAll(
    file: string,
    which: (captured: Captured) => boolean = () => true,
  ): Promise<void> {
    const all = readConsole(file).filter(
      (each) => which(each) && !LATER.some((pattern) => pattern.test(each.line)),
    );
    expect(all).not.toEqual([]);
    for (const captured of all) await compare(captured);
  }

  it('sends tasks', async () => {
    await compareAll('call');
    // What was sent has arrived, and what could run has run.
    const ask = app.control.inspect({ destination: ['worker@example.com'], timeout: 30 });
    await expect
      .poll(async () => Object.values((await ask.scheduled()) ?? {})[0]?.length, { timeout: 30_000 })
      .toBe(2);
    await expect
      .poll(async () => Object.values((await ask.active()) ?? {})[0]?.length, { timeout: 30_000 })
      .toBe(2);
  });

  it.each([
    ['status'],
    ['inspect_ping'],
    ['inspect_active'],
    ['inspect_reserved'],
    ['inspect_scheduled'],
    ['inspect_query_task'],
    ['inspect_registered'],
    ['inspect_conf'],
    ['inspect_misc'],
    ['result'],
  ])('%s', async (file) => {
    await compareAll(file);
  });

  it('result as JSON', async () => {
    const result = async (captured: string): Promise<unknown> => {
      const { code, stdout } = await runCli(['-A', 'tasks', 'result', '-j', withIds(captured)], {
        cwd: project.folder,
        env: { SERVER: url(11) },
      });
      return [code, JSON.parse(stdout)];
    };
    expect(await result('fed54295-27df-494a-a270-7d94aba4130a')).toEqual([
      0,
      expect.objectContaining({ status: 'SUCCESS', result: 5, traceback: null }),
    ]);
    expect(await result('8ad45b7b-1351-4d60-93a8-0f5206df021a')).toEqual([
      1,
      expect.objectContaining({
        status: 'FAILURE',
        result: { exc_type: 'ValueError', exc_message: 'kaput' },
      }),
    ]);
  });

  it('inspect_active_queues', async () => {
    await compareAll('inspect_active_queues', ({ stdout }) => !stdout.includes("'foo'"));
  });

  it('inspect stats has every key of Celery’s', async () => {
    const [theirs] = readConsole('v5.6.2/inspect');
    const ours = await runCli(['-A', 'tasks', 'inspect', '-d', 'worker@example.com', '-t', '30', 'stats'], {
      cwd: project.folder,
      env: { SERVER: url(11) },
    });
    const keys = (text: string): Set<string> =>
      new Set(
        [...text.matchAll(/^( +"[^"]+"): /gm)]
          .map(([, key = '']) => key)
          .filter((key) => !key.includes('tasks.')),
      );
    expect([...keys(theirs?.stdout ?? '')].filter((key) => !keys(ours.stdout).has(key))).toEqual([]);
    expect([...keys(ours.stdout)].filter((key) => !keys(theirs?.stdout ?? '').has(key))).toEqual([
      '            "max-memory-per-child"',
    ]);
  });

  it.each(['inspect', 'control'])('%s --list has Celery’s commands and arguments', async (kind) => {
    const theirs = readConsole('v5.6.2/help').find(({ line }) => line.startsWith(kind))?.stdout ?? '';
    const ours = await runCli([kind, '--list'], { cwd: project.folder });
    const commands = (text: string): string[] =>
      [...text.matchAll(/^ {2}(\w.*?)(?: {2,}.*)?$/gm)].map(([, command = '']) => command);
    expect(commands(theirs).length).toBeGreaterThan(14);
    expect(commands(ours.stdout)).toEqual(commands(theirs));
  });

  it('control', async () => {
    // The tasks that slept had ended by then.
    writeFileSync(project.path('awake'), '');
    const ask = app.control.inspect({ destination: ['worker@example.com'], timeout: 30 });
    await expect
      .poll(async () => await ask.active(), { timeout: 30_000 })
      .toEqual({ 'worker@example.com': [] });
    await compareAll('control', ({ line }) => line.includes('revoke'));
    await compareAll('inspect_revoked');
    await compareAll('control', ({ line }) => !line.includes('revoke'));
    await compareAll('v5.6.2/control', ({ line }) => !/shutdown/.test(line));
    for (const captured of readConsole('v5.6.2/control'))
      if (/nosuch/.test(captured.line)) await compare(captured);
  });

  it('control shutdown ends the worker, and then nobody answers', async () => {
    await compareAll('v5.6.2/control', ({ line }) => line.endsWith('shutdown'));
    expect((await worker.ended).code).toBe(0);
    await compareAll('status_no_workers');
  });

  it('looks after queues', async () => {
    await app.control.purge();
    await compareAll('purge', ({ line }) => !line.includes('other'));
    for (let n = 0; n < 3; n += 1) await app.sendTask('tasks.add', [n, n], { queue: 'other' });
    await compareAll('purge', ({ line }) => line.includes('other'));
    await app.sendTask('tasks.add', [1, 2]);
    await compareAll('purge_one');
    for (const args of [
      [1, 2],
      [3, 4],
    ])
      await app.sendTask('tasks.add', args);
    await compareAll('amqp');
    await compareAll('migrate');
  });

  it('lists bindings', async () => {
    db = 12;
    const other = own.own(new Celery('tasks', { broker: url(db) }));
    other.markConfigured();
    await other.sendTask('tasks.add', [1, 2]);
    await compareAll('list_bindings');
  });

  it('is there as JSON for programs', async () => {
    const json = async (...args: string[]): Promise<unknown> => {
      const { code, stdout } = await runCli(['-A', 'tasks', ...args], {
        cwd: project.folder,
        env: { SERVER: url(12) },
      });
      expect([args, code]).toEqual([args, 0]);
      return JSON.parse(stdout);
    };
    const sent = (await json('call', '-j', 'tasks.add', '-a', '[1, 2]', '--queue', 'parked')) as {
      id: string;
    };
    expect(sent).toEqual({ id: expect.stringMatching(/^[-0-9a-f]{36}$/) as string });
    expect(await json('purge', '-f', '-j', '-Q', 'parked,empty')).toEqual({
      purged: 1,
      queues: { empty: 0, parked: 1 },
    });
    expect(await json('report', '-j')).toMatchObject({
      software: { node: process.versions.node },
      transport: 'redis',
    });
    expect(await json('config', 'check', '-j')).toEqual({ ok: true, warnings: [] });
    expect(await json('inspect', '--list', '-j')).toContainEqual(
      expect.objectContaining({ name: 'ping', signature: '' }),
    );
  });

  it('answers what is wrong', async () => {
    await compareAll('version', ({ line }) => line.includes('nosuchcmd'));
  });

  it('upgrades settings', async () => {
    project.write({
      'oldsettings.py':
        "BROKER_URL = 'redis://'\nCELERY_RESULT_BACKEND = 'redis://'\nCELERYD_CONCURRENCY = 4\nCELERYBEAT_SCHEDULE = {}\n",
    });
    await compareAll('upgrade', ({ line }) => !line.includes('--help'));
  });
});
