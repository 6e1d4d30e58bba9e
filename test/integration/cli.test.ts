import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CliResult, RunningCli } from '../support/cli.ts';
import { runCli, startCli } from '../support/cli.ts';
import type { Project } from '../support/project.ts';
import { createProject, TASKS } from '../support/project.ts';

const projects: Project[] = [];
const workers: RunningCli[] = [];

function project(files: Readonly<Record<string, string>> = {}): Project {
  const made = createProject({ 'tasks.ts': TASKS, ...files });
  projects.push(made);
  return made;
}

function start(
  made: Project,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningCli {
  const worker = startCli(args, { cwd: made.folder, env });
  workers.push(worker);
  return worker;
}

/** A worker that is ready. */
async function startWorker(made: Project, ...options: readonly string[]): Promise<RunningCli> {
  const worker = start(made, ['-A', 'tasks', 'worker', '-l', 'INFO', '-n', 'w@example.com', ...options]);
  await worker.waitFor('w@example.com ready.');
  return worker;
}

async function stop(worker: RunningCli): Promise<CliResult> {
  worker.kill('SIGTERM');
  return worker.ended;
}

const cli = (made: Project, ...args: readonly string[]) =>
  runCli(['-A', 'tasks', ...args], { cwd: made.folder });

afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.kill('SIGKILL');
    await worker.ended;
  }
});

afterAll(() => {
  for (const made of projects) made.remove();
});

describe('commands with a worker', () => {
  const made = project();
  let worker: RunningCli;

  beforeAll(async () => {
    worker = await startWorker(made, '-c', '1');
    workers.length = 0;
  });

  afterAll(async () => {
    await stop(worker);
  });

  it('starts with the banner and the list of tasks', () => {
    const banner = worker.output.replace(/^.*root.*\n/, '');
    expect(banner).toMatch(/^ \n -{14} w@example\.com v\d+\.\d+\.\d+\n--- \*{5} ----- \n-- \*{7} ---- /);
    expect(banner).toMatch(/\.> app: {9}tasks:0x[0-9a-f]{12}\n/);
    expect(banner).toContain('.> transport:   sqlite:///celery.db\n');
    expect(banner).toContain('.> results:     sqlite:///results.db\n');
    expect(banner).toContain('.> concurrency: 1 (prefork)\n');
    expect(banner).toContain('\n\n[tasks]\n  . tasks.add\n  . tasks.fail\n  . tasks.sleep\n\n[');
  });

  it('calls a task and prints its result', async () => {
    const called = await cli(made, 'call', 'tasks.add', '-a', '[2, 3]');
    expect(called).toMatchObject({ code: 0, stderr: '' });
    expect(called.stdout).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/);
    const id = called.stdout.trim();
    expect(await cli(made, 'result', id)).toMatchObject({ code: 0, stdout: '5\n', stderr: '' });
    expect(await cli(made, 'result', '--traceback', id)).toMatchObject({ code: 0, stdout: '\n' });
  });

  it('prints the traceback of a failed task on stderr and ends with 1', async () => {
    const id = (await cli(made, 'call', 'tasks.fail', '-k', '{"message": "kaput"}')).stdout.trim();
    const failed = await cli(made, 'result', id);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/^Error: kaput\n {4}at .*tasks\.ts:8:9/);
    expect(await cli(made, 'result', '--traceback', id)).toMatchObject({ code: 0, stdout: failed.stderr });
  });

  it.each([
    [['status'], '->  w@example.com: OK\n\n1 node online.\n'],
    [['status', '-j'], '{"w@example.com": {"ok": "pong"}}\n\n1 node online.\n'],
    [['inspect', 'ping'], '->  w@example.com: OK\n        pong\n\n1 node online.\n'],
    [['inspect', '-j', 'ping'], '{"w@example.com": {"ok": "pong"}}\n'],
    [['inspect', '--pattern', 'w@*.com', '-j', 'ping'], '{"w@example.com": {"ok": "pong"}}\n'],
    [
      ['inspect', '--pattern', 'w@exam.+', '--matcher', 'pcre', '-j', 'ping'],
      '{"w@example.com": {"ok": "pong"}}\n',
    ],
    [
      ['inspect', '-d', 'w@example.com', 'ping', '-t', '10'],
      '->  w@example.com: OK\n        pong\n\n1 node online.\n',
    ],
    [
      ['control', 'rate_limit', 'tasks.add', '10/m'],
      '->  w@example.com: OK\n        new rate limit set successfully\n',
    ],
    [
      ['control', '-j', 'rate_limit', 'tasks.add', '0'],
      '[{"w@example.com": {"ok": "new rate limit set successfully"}}]\n',
    ],
    [['control', 'rate_limit', 'tasks.nosuch', '10/m'], '->  w@example.com: ERROR\n        unknown task\n'],
    [
      ['control', 'rate_limit'],
      `->  w@example.com: ERROR\n        TypeError("rate_limit() missing 2 required positional arguments: 'task_name' and 'rate_limit'")\n`,
    ],
    [
      ['control', 'rate_limit', 'tasks.add', 'bogus'],
      `->  w@example.com: ERROR\n        Invalid rate limit string: ValueError("could not convert string to float: 'bogus'")\n`,
    ],
  ])('%j', async (args, stdout) => {
    expect(await cli(made, ...args)).toEqual({ code: 0, signal: null, stdout, stderr: '' });
  });

  it('leaves out the arrow and the count with -q', async () => {
    const quiet = await runCli(['-q', '-A', 'tasks', 'inspect', 'ping'], { cwd: made.folder });
    expect(quiet.stdout).toBe(' w@example.com: OK\n        pong\n');
  });

  it('prints replies as they come, and ends at once with Ctrl-C', async () => {
    const asking = start(made, ['-A', 'tasks', 'inspect', 'ping', '-t', '300']);
    await asking.waitFor('->  w@example.com: OK\n        pong\n');
    asking.kill('SIGINT');
    expect(await asking.ended).toMatchObject({ code: 1, stderr: 'Aborted!\n' });
  });

  it('draws the workers', async () => {
    const drawn = await cli(made, 'graph', 'workers');
    expect(drawn.code).toBe(0);
    expect(drawn.stdout).toContain('    "w@example.com" -> "broker sqlite:///celery.db"\n');
    expect(drawn.stdout).toContain('    "w@example.com" -> "backend sqlite:///results.db"\n');
    expect(drawn.stdout).toContain('    "w@example.com 1" -> "w@example.com" [');
  });

  it('asks only the nodes that are named', async () => {
    expect(await cli(made, 'status', '-d', 'other@example.com')).toEqual({
      code: 69,
      signal: null,
      stdout: '',
      stderr: 'Error: No nodes replied within time constraint\n',
    });
  });
});

describe('commands without a worker', () => {
  const made = project();

  it('purges after asking', async () => {
    await cli(made, 'call', 'tasks.add', '-a', '[1, 1]');
    const declined = await runCli(['-A', 'tasks', 'purge'], { cwd: made.folder, input: 'n\n' });
    expect(declined).toMatchObject({ code: 1, stderr: 'Aborted!\n' });
    expect(declined.stdout).toBe(
      'WARNING:This will remove all tasks from queue: celery.\n' +
        '         There is no undo for this operation!\n\n(to skip this prompt use the -f option)\n' +
        'Are you sure you want to delete all tasks? [y/N]: ',
    );
    const agreed = await runCli(['-A', 'tasks', 'purge'], { cwd: made.folder, input: 'y\n' });
    expect(agreed).toMatchObject({ code: 0, stderr: '' });
    expect(agreed.stdout).toMatch(/Purged 1 message from 1 known task queue\.\n$/);
    expect(await cli(made, 'purge', '-f')).toMatchObject({
      code: 0,
      stdout: 'No messages purged from 1 queue.\n',
    });
    expect(await cli(made, 'purge', '-f', '-X', 'celery')).toMatchObject({
      ...{ code: 0, stdout: '', stderr: '' },
    });
  });

  it('reports versions and settings, with secrets masked', async () => {
    const report = await runCli(['-A', 'tasks', '-b', 'amqp://me:secret@h//', 'report'], {
      cwd: made.folder,
    });
    expect(report).toMatchObject({ code: 0, stderr: '' });
    expect(report.stdout).toMatch(
      /^\nsoftware -> celery-ts:\S+ node:\S+\n {12}amqplib:\S+ .*\nplatform -> system:\S+ arch:\S+\n/,
    );
    expect(report.stdout).toContain(
      '\nsettings -> transport:amqp results:sqlite:///results.db\n\ndeprecated_settings: None\n',
    );
    expect(report.stdout).toContain("\nbroker_url: 'amqp://me:********@h//'\n");
    expect(report.stdout).not.toContain('secret');
  });

  it('warns in one line that a worker has no app', async () => {
    const worker = start(project(), ['-b', 'memory://', 'worker', '-P', 'solo', '-l', 'INFO']);
    await worker.waitFor(' ready.');
    expect(worker.output).toMatch(
      /^Warning: no app was named with -A: this worker knows no tasks of yours\.$/m,
    );
    worker.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
  });

  it('checks the configuration', async () => {
    expect(await cli(made, 'config', 'check')).toEqual({ code: 0, signal: null, stdout: 'OK\n', stderr: '' });
    made.write({
      'celeryconfig.ts': "export const task_serializr = 'json';\nexport const worker_concurrency = 'two';\n",
    });
    const wrong = await cli(made, 'config', 'check');
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(
      /^Error: celeryconfig\.ts: task_serializr is not .* Did you mean task_serializer\?\n.*worker_concurrency takes an integer/,
    );
    expect(wrong.stderr).not.toContain('    at ');
  });

  it.each([[['call', 'tasks.add']], [['inspect', 'ping']], [['status']], [['purge', '-f']]])(
    'says that the broker is not there: %j',
    async (args) => {
      const down = project();
      const result = await runCli(['-A', 'tasks', '-b', 'amqp://me:secret@127.0.0.1:1//', ...args], {
        cwd: down.folder,
      });
      expect(result).toMatchObject({ code: 1, stdout: '' });
      expect(result.stderr).toMatch(
        /^Error: Cannot connect to amqp:\/\/me:\*\*@127\.0\.0\.1:1\/\/: .*ECONNREFUSED.*\n$/,
      );
    },
  );

  it.each([
    [['-A', 'nosuch', 'worker'], /^Error: Cannot load the app 'nosuch': no nosuch\.\{ts,.*\n$/],
    [
      ['-A', 'broken', 'worker'],
      /^Error: Cannot load the app 'broken': broken\.ts failed: TypeError: oh no \(broken\.ts:1:7\)\n$/,
    ],
    [['-A', 'broken', 'call', 'x'], /^Error: Cannot load the app 'broken': .*\n$/],
    [
      ['-A', 'broken', 'worker', '--loglevel=DEBUG'],
      /^Error: Cannot load .*\nTypeError: oh no\n {4}at .*broken\.ts:1:7/,
    ],
  ])('says in one line why the app cannot be loaded: %j', async (args, text) => {
    const bad = project({ 'broken.ts': "throw new TypeError('oh no');" });
    const result = await runCli(args, { cwd: bad.folder });
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toMatch(text);
  });
});

describe('signals', () => {
  const HINT = '\nworker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!\n';
  const AGAIN = '\nworker: Hitting Ctrl+C again will terminate all running tasks!\n';
  const WARM = '\nworker: Warm shutdown (MainProcess)\n';
  const COLD = '\nworker: Cold shutdown (MainProcess)\n';

  type Step = readonly [signal: NodeJS.Signals, said: string];
  const cases: readonly (readonly [code: number, seconds: number, steps: readonly Step[]])[] = [
    [0, 1, [['SIGTERM', WARM]]],
    [1, 1, [['SIGINT', HINT + WARM]]],
    [
      0,
      1,
      [
        ['SIGTERM', WARM],
        ['SIGTERM', WARM],
      ],
    ],
    [
      1,
      60,
      [
        ['SIGINT', HINT + WARM],
        ['SIGINT', AGAIN],
      ],
    ],
    [
      0,
      60,
      [
        ['SIGTERM', WARM],
        ['SIGQUIT', AGAIN + COLD],
      ],
    ],
    [0, 60, [['SIGQUIT', AGAIN + COLD]]],
  ];

  it.each(cases)('end the worker with %i, of a task of %i s: %j', async (code, seconds, steps) => {
    const made = project();
    const worker = await startWorker(made, '-c', '1', '--pidfile', 'w.pid');
    expect(readFileSync(made.path('w.pid'), 'utf8')).toBe(`${worker.pid}\n`);
    await cli(made, 'call', 'tasks.sleep', '-a', `[${seconds}]`);
    await worker.waitFor('received');
    let said = '';
    for (const [signal, text] of steps) {
      worker.kill(signal);
      said += text;
      await worker.waitFor((stdout) => stdout.endsWith(said));
    }
    const ended = await worker.ended;
    expect(ended).toMatchObject({ code, signal: null });
    expect(ended.stdout.endsWith(said)).toBe(true);
    // A warm shutdown lets the task finish, a cold one does not wait for it.
    expect(worker.output.includes('succeeded in')).toBe(seconds === 1);
    expect(existsSync(made.path('w.pid'))).toBe(false);
  });
});

describe('the worker', () => {
  it('refuses the pidfile of a living worker and takes over that of a dead one', async () => {
    const made = project();
    const first = await startWorker(made, '-c', '1', '--pidfile', '%n.pid');
    const second = await cli(made, 'worker', '--pidfile', 'w.pid');
    expect(second).toEqual({
      code: 73,
      signal: null,
      stdout: '',
      stderr: `ERROR: Pidfile (${made.path('w.pid')}) already exists.\nSeems we're already running? (pid: ${first.pid})\n`,
    });
    first.kill('SIGKILL');
    await first.ended;
    const third = await startWorker(made, '-c', '1', '--pidfile', 'w.pid');
    expect(third.output).toContain('Stale pidfile exists - Removing it.\n');
    await stop(third);
  });

  it.each([
    [['--pidfile', 'none/w.pid'], 'pidfile', 'none/w.pid'],
    [['-f', 'none/w.log'], 'log file', 'none/w.log'],
    [['-S', 'none/%n.state'], 'state file', 'none/w.state'],
  ])('says in one line that a file cannot be written: %j', async (options, what, file) => {
    const made = project();
    const { username } = userInfo();
    expect(await cli(made, 'worker', '-n', 'w@h', ...options)).toEqual({
      code: 73,
      signal: null,
      stdout: '',
      stderr: `Error: Cannot write the ${what} ${made.path(file)} as user ${username}: the folder ${made.path('none')} does not exist.\n`,
    });
  });

  it('remembers with --statedb what was revoked, also when it is killed', async () => {
    const made = project();
    const first = await startWorker(made, '-c', '1', '-S', '%n.state');
    expect((await cli(made, 'control', 'revoke', 'later', 'never')).code).toBe(0);
    await expect.poll(() => existsSync(made.path('w.state'))).toBe(true);
    first.kill('SIGKILL');
    await first.ended;
    await cli(made, 'shell', '-e', "await app.sendTask('tasks.add', [1, 2], { taskId: 'later' })");
    const second = await startWorker(made, '-c', '1', '--statedb=w.state');
    await second.waitFor('Discarding revoked task: tasks.add[later]');
    expect((await stop(second)).code).toBe(0);
    expect(readFileSync(made.path('w.state'), 'utf8')).toContain('"never"');

    made.write({ 'w.state': 'SQLite format 3' });
    const { code, stdout, stderr } = await cli(made, 'worker', '-S', 'w.state');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(
      `Error: The state file ${made.path('w.state')} cannot be used: it is not JSON. Name another file with --statedb, or delete this one`,
    );
  });

  it('writes the log to files of the main process and of each child', async () => {
    const prints = "app.task('tasks.prints', () => console.log('hello from the child'));";
    const made = project({ 'tasks.ts': TASKS + prints });
    const worker = start(made, [
      '-q',
      '-A',
      'tasks',
      'worker',
      '-c',
      '1',
      '-l',
      'info',
      '-n',
      'w1@',
      '-f',
      '%n%I.log',
    ]);
    const id = (await cli(made, 'call', 'tasks.prints')).stdout.trim();
    expect((await cli(made, 'result', id)).stdout).toBe('None\n');
    const ended = await stop(worker);
    expect(ended.stdout).toBe('\nworker: Warm shutdown (MainProcess)\n');
    const log = readFileSync(made.path('w1.log'), 'utf8');
    expect(log).toMatch(/INFO\/MainProcess\] w1@\S+ ready\.\n/);
    expect(log).toContain(`tasks.prints[${id}] succeeded in`);
    expect(readFileSync(made.path('w1-1.log'), 'utf8')).toMatch(
      /WARNING\/ForkPoolWorker-1\] hello from the child\n$/,
    );
  });

  it('takes options from the environment and settings from the words behind them', async () => {
    const made = project();
    const env = {
      CELERY_APP: 'nosuch',
      APP: 'tasks',
      CELERY_WORKER_QUEUES: 'alpha,beta',
      CELERY_WORKER_LOGLEVEL: 'info',
    };
    const worker = start(
      made,
      ['worker', '-P', 'solo', '--', 'worker.concurrency=3', 'task_default_queue=alpha'],
      env,
    );
    await worker.waitFor('ready.');
    expect(worker.output).toContain('.> concurrency: 1 (solo)\n');
    expect(worker.output).toMatch(
      /\n {16}\.> alpha {12}exchange=alpha\(direct\) key=alpha\n {16}\.> beta {13}exchange=beta/,
    );
    await stop(worker);
  });

  it('removes waiting messages with --purge', async () => {
    const made = project();
    await cli(made, 'call', 'tasks.add', '-a', '[1, 2]');
    await cli(made, 'call', 'tasks.add', '-a', '[1, 2]');
    const worker = await startWorker(made, '-P', 'solo', '--purge');
    expect(worker.output).toContain('purge: Erased 2 messages from the queue.\n');
    const ended = await stop(worker);
    expect(ended.stderr).not.toContain('received');
  });

  it('loads the app with the tsconfig paths of the project, wherever it is started', async () => {
    const made = project({
      'tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '@lib/*': ['./lib/*'] } } }),
      'lib/text.ts': 'export const text: string = "from the path";',
      'src/jobs.ts': `import { text } from '@lib/text';\nimport { app } from '../tasks.ts';\napp.task('jobs.text', () => text);\nexport { app };`,
    });
    const place = createProject();
    projects.push(place);
    const urls = {
      CELERY_BROKER_URL: `sqlite:///${made.path('b.db')}`,
      CELERY_RESULT_BACKEND: `sqlite:///${made.path('r.db')}`,
    };
    const worker = startCli(['-A', made.path('src/jobs.ts'), 'worker', '-c', '1'], {
      cwd: place.folder,
      env: urls,
    });
    workers.push(worker);
    const call = await runCli(['-A', made.path('src/jobs.ts'), 'call', 'jobs.text'], {
      cwd: place.folder,
      env: urls,
    });
    const result = await runCli(['-A', 'tasks', 'result', call.stdout.trim()], {
      cwd: made.folder,
      env: urls,
    });
    expect(result).toMatchObject({ code: 0, stdout: 'from the path\n', stderr: '' });
    await stop(worker);
  });

  it('names settings without effect once, and wrong ones before anything is started', async () => {
    const made = project({ 'celeryconfig.ts': 'export const cassandra_port = 9999;' });
    const worker = await startWorker(made, '-c', '1');
    const notes = worker.output.match(/have no effect yet: cassandra_port/g);
    expect(notes).toHaveLength(1);
    await stop(worker);
    made.write({ 'celeryconfig.ts': 'export const task_time_limit = "long";' });
    const wrong = await cli(made, 'worker', '-l', 'INFO');
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/^Error: celeryconfig\.ts: task_time_limit takes a number/);
  });
});
