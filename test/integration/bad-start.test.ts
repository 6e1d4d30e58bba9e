import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CliResult, RunningCli } from '../support/cli.ts';
import { runCli, startCli } from '../support/cli.ts';
import { freePorts } from '../support/ports.ts';
import type { Project } from '../support/project.ts';
import { createProject, TASKS } from '../support/project.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

const SECRET = 'hunter2';
const DELAY = `
import { add, app } from './tasks.js';
try {
  await add.delay(1, 2);
} catch (error) {
  console.log(String(error));
  process.exitCode = 3;
}
await app.close();
`;

const projects: Project[] = [];
const running: RunningCli[] = [];
let made: Project;

function project(files: Readonly<Record<string, string>> = {}): Project {
  const one = createProject({ 'tasks.js': TASKS, ...files });
  projects.push(one);
  return one;
}

function start(
  args: readonly string[],
  folder = made.folder,
  env: Readonly<Record<string, string>> = {},
): RunningCli {
  const started = startCli(args, { cwd: folder, env });
  running.push(started);
  return started;
}

const cli = (...args: readonly string[]): Promise<CliResult> => start(['-A', 'tasks', ...args]).ended;

/** A script of the user that sends a task to that broker. */
const delay = (broker: string): Promise<CliResult> =>
  runCli([], { cwd: made.folder, program: made.path('delay.js'), env: { CELERY_BROKER_URL: broker } });

beforeAll(() => {
  made = project({ 'delay.js': DELAY });
});
afterEach(async () => {
  for (const each of running.splice(0)) {
    each.kill('SIGKILL');
    await each.ended;
  }
});
afterAll(() => {
  for (const each of projects) each.remove();
});

describe.skipIf(!hasRabbitmq)('a wrong password', () => {
  const REFUSED =
    /Cannot connect to amqp:\/\/guest:\*\*@127\.0\.0\.1:\d+\/\/: ACCESS_REFUSED - Login was refused/;
  let server: Rabbitmq;
  let url: string;

  beforeAll(async () => {
    server = await Rabbitmq.start();
    url = server.url('/', `guest:${SECRET}`);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('ends the worker at once, also when it logs everything', async () => {
    const ended = await cli('-b', url, 'worker', '-l', 'DEBUG', '-c', '1');
    expect(ended.code).toBe(1);
    expect(ended.stdout).toContain('.> transport:   amqp://guest:**@127.0.0.1:');
    expect(ended.stderr).toMatch(
      /CRITICAL\/MainProcess\] Unrecoverable error: AccessRefused\('Cannot connect to /,
    );
    expect(ended.stderr).toMatch(REFUSED);
    expect(ended.stderr).not.toContain('Trying again');
    expect(ended.stdout + ended.stderr).not.toContain(SECRET);
  });

  it.each([[['call', 'tasks.add']], [['inspect', 'ping']], [['purge', '-f']]])('%j', async (args) => {
    const ended = await cli('-b', url, ...args);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(new RegExp(`^Error: ${REFUSED.source}.*\\n$`));
    expect(ended.stderr).not.toContain(SECRET);
  });

  it('report shows none', async () => {
    const ended = await cli('-b', url, 'report');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain("broker_url: 'amqp://guest:********@127.0.0.1:");
    expect(ended.stdout).not.toContain(SECRET);
  });

  it('delay()', async () => {
    const ended = await delay(url);
    expect(ended).toMatchObject({ code: 3, stderr: '' });
    expect(ended.stdout).toMatch(new RegExp(`^AccessRefused: ${REFUSED.source}.*\\n$`));
    expect(ended.stdout).not.toContain(SECRET);
  });
});

describe('a port nobody listens on', () => {
  let url: string;
  let reason: string;

  beforeAll(async () => {
    const [port = 0] = await freePorts(1);
    url = `amqp://me:${SECRET}@127.0.0.1:${port}//`;
    reason = `Cannot connect to amqp://me:**@127.0.0.1:${port}//: connect ECONNREFUSED 127.0.0.1:${port}`;
  });

  it('the worker tries again, more and more seldom, until it is told to end', async () => {
    const worker = start(['-A', 'tasks', '-b', url, 'worker', '-l', 'INFO', '-c', '1']);
    await worker.waitFor('(2/100)');
    worker.kill('SIGTERM');
    const ended = await worker.ended;
    expect(ended.code).toBe(0);
    const lines = ended.stderr.split('\n').filter((line) => /consumer:|Trying/.test(line));
    expect(lines.map((line) => line.replace(/^\[.*?: /, ''))).toEqual([
      `ERROR/MainProcess] consumer: ${reason}.`,
      'Trying again in 2.00 seconds... (1/100)',
      `ERROR/MainProcess] consumer: ${reason}.`,
      'Trying again in 4.00 seconds... (2/100)',
    ]);
    expect(ended.stdout).toMatch(/\nworker: Warm shutdown \(MainProcess\)\n$/);
    expect(ended.stdout + ended.stderr).not.toContain(SECRET);
  });

  it.each([[['call', 'tasks.add']], [['inspect', 'ping']], [['control', 'rate_limit', 'tasks.add', '1/m']]])(
    '%j',
    async (args) => {
      expect(await cli('-b', url, ...args)).toEqual({
        code: 1,
        signal: null,
        stdout: '',
        stderr: `Error: ${reason}\n`,
      });
    },
  );

  it('delay()', async () => {
    expect(await delay(url)).toMatchObject({ code: 3, stdout: `OperationalError: ${reason}\n`, stderr: '' });
  });
});

describe('an app module that throws: one line, exit code 2', () => {
  it.each([
    ["throw new TypeError('oh no');", 'failed: TypeError: oh no (broken.js:1:7)'],
    ["throw 'text';", 'failed: it threw text'],
    ['throw undefined;', 'failed: it threw undefined'],
    ["await Promise.reject(new Error('later'));", 'failed: later (broken.js:1:22)'],
    ["import './nosuch.js';", "failed: Cannot find module '"],
    ['export const x = ;', "failed: SyntaxError: Unexpected token ';'"],
    ['export const app = 5;', 'was imported, but exports no Celery app (it exports app). Add: '],
  ])('%s', async (text, reason) => {
    made.write({ 'broken.js': text });
    const ended = await start(['-A', 'broken', 'worker']).ended;
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(
      ended.stderr.startsWith(`Error: Cannot load the app 'broken': broken.js ${reason}`),
      ended.stderr,
    ).toBe(true);
    expect(ended.stderr).toMatch(/^.*\n$/);
  });
});

describe('a setting that is none, or takes something else, wherever it stands', () => {
  const MISSPELT = 'task_serializr is not a setting of Celery. Did you mean task_serializer?';
  const inTasks = (line: string): Record<string, string> => ({
    'tasks.js': TASKS.replace('export const add', `${line}\nexport const add`),
  });

  it.each<[Record<string, string>, string[], Record<string, string>, number, string]>([
    [
      { 'celeryconfig.js': "export const task_serializr = 'json';" },
      [],
      {},
      1,
      `celeryconfig.js: ${MISSPELT}`,
    ],
    [{ 'celeryconfig.json': '{"task_serializr": "json"}' }, [], {}, 1, `celeryconfig.json: ${MISSPELT}`],
    [
      { 'celeryconfig.json': '{"broker_url": 5}' },
      [],
      {},
      1,
      'celeryconfig.json: broker_url takes a URL such as ',
    ],
    [
      { 'celeryconfig.js': "throw new Error('no')" },
      [],
      {},
      1,
      'Cannot read the configuration in celeryconfig.js: no (',
    ],
    [
      { 'tasks.js': TASKS.replace('backend:', "task_serializr: 'json', backend:") },
      [],
      {},
      1,
      `new Celery('tasks'): ${MISSPELT}`,
    ],
    [inTasks("app.conf.task_serializr = 'json';"), [], {}, 1, `app.conf: ${MISSPELT}`],
    [{}, ['task_serializr=json'], {}, 1, `command line: ${MISSPELT}`],
    [{}, ['--concurency=3'], {}, 2, 'No such option: --concurency. Did you mean --concurrency?'],
    [{}, [], { CELERY_WORKER_CONCURRENCY: 'two' }, 2, 'Invalid value for CELERY_WORKER_CONCURRENCY '],
    [{}, [], { CELERY_TASK_ACKS_LATE: 'perhaps' }, 1, 'environment: task_acks_late takes '],
    [
      {},
      [],
      { CELERY_BROKER_URL: `amqpp://me:${SECRET}@h//` },
      1,
      'No such broker transport: amqpp. Did you mean amqp?',
    ],
  ])('%j %j %j', async (files, args, env, code, text) => {
    const ended = await start(['-A', 'tasks', 'worker', '-l', 'INFO', ...args], project(files).folder, env)
      .ended;
    expect(ended).toMatchObject({ code, stdout: '' });
    const line = ended.stderr.split('\n').find((each) => each.startsWith('Error: '));
    expect(line?.startsWith(`Error: ${text}`), ended.stderr).toBe(true);
    expect(ended.stderr).not.toMatch(/^ {4}at /m);
    expect(ended.stderr).not.toContain(SECRET);
  });

  it('a rate limit that is none names its task', async () => {
    const files = { 'tasks.js': TASKS.replace("'tasks.add',", "'tasks.add', { rateLimit: 'bogus' },") };
    const ended = await start(['-A', 'tasks', 'worker', '-c', '1'], project(files).folder).ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/^Error: Task 'tasks\.add': rateLimit .*'bogus'/m);
  });
});

describe('an app module that fails beside its import', () => {
  const APP = "export { app } from './tasks.js';";
  it.each([
    [
      `setTimeout(() => { throw new Error('late') }, 1); await new Promise((r) => setTimeout(r, 999));`,
      2,
      'late (odd.js:1:',
    ],
    [
      `Promise.reject(new Error('nobody cares')); await new Promise((r) => setTimeout(r, 999));`,
      2,
      'nobody cares (odd.js:1:',
    ],
    [
      `await new Promise(() => {});`,
      2,
      'a promise that a module awaits at its top level will never be settled',
    ],
    ['process.exit(5);', 5, 'a module ended the process with exit code 5.'],
  ])('%s', async (code, exit, why) => {
    const { folder } = project({ 'odd.js': `${code}${APP}` });
    const ended = await start(['-A', 'odd', 'config', 'check'], folder).ended;
    expect(ended).toMatchObject({ code: exit, stdout: '' });
    expect(ended.stderr.startsWith(`Error: Cannot load the app 'odd': ${why}`), ended.stderr).toBe(true);
    expect(ended.stderr.trimEnd()).not.toContain('\n');
  });

  it('or later, in the supervisor: it is logged, and the worker ends warmly', async () => {
    const later = `if (!process.argv[1].includes('child-main')) process.on('SIGUSR2', () => { throw new Error('boom') });`;
    const { folder } = project({ 'odd.js': `${later}${APP}` });
    const worker = start(['-A', 'odd', 'worker', '-c', '1', '-l', 'INFO'], folder);
    await worker.waitFor(/ ready\.\n/);
    const sent = await start(['-A', 'odd', 'call', 'tasks.sleep', '-a', '[1]'], folder).ended;
    await worker.waitFor(/ received\n/);
    worker.kill('SIGUSR2');
    expect((await worker.ended).code).toBe(1);
    expect(worker.output).toMatch(
      /CRITICAL\/MainProcess\] An error that no code caught.*\nError: boom\n {4}at /,
    );
    expect(worker.output).toContain(`[${sent.stdout.trim()}] succeeded in`);
  });
});

it.each(['rpc://', 'cache+memory://'])(
  'a result of %s that another process sent for is not waited for',
  async (url) => {
    const ended = await start([
      '-b',
      'memory://',
      '--result-backend',
      url,
      '-A',
      'tasks',
      'result',
      'some-id',
    ]).ended;
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/^Error: the results of .* go to the process that sent the task, .*\n$/);
  },
);

describe('config check', () => {
  const bad = (name: string, option: string): string =>
    `import { Celery } from 'celery-ts';
     export const app = new Celery('bad', { broker: 'memory://' });
     app.task('tasks.${name}', ${option}, () => 1);`;
  const files = {
    'rate.js': bad('rate', "{ rateLimit: '10/x' }"),
    'queue.js': bad('queue', '{ queue: 5 }'),
    'late.js': bad('late', "{ acksLate: 'yes' }"),
    'wire.js': bad('wire', "{ serializer: 'pikle' }"),
    'bytes.js': bad('bytes', "{ serializer: 'raw' }"),
    'own.js': bad('own', "{ backend: 'nowhere://' }"),
  };
  const CHECK = ['config', 'check'];
  it.each<[string[], Record<string, string>, RegExp]>([
    [['-b', 'foo://x'], {}, /^No such broker transport: foo\. The transports are /],
    [['-b', 'amqp://['], {}, /amqp:\/\/\[ is not a URL: its host cannot be read/],
    [['-b', 'redis://h/notanumber'], {}, /notanumber/],
    [['--result-backend', 'nowhere://x'], {}, /^No such result backend: nowhere\. The backends are /],
    [['--result-backend', 'redis://h:port'], {}, /the port is not a number/],
    [
      [],
      { CELERY_TASK_SERIALIZER: 'pickle' },
      /^task_serializer: the serializer pickle is read by Python only/,
    ],
    [
      [],
      { CELERY_RESULT_SERIALIZER: 'jsn' },
      /^result_serializer: there is no serializer 'jsn'; there are: json,/,
    ],
    [[], { CELERY_EVENT_SERIALIZER: 'jsn' }, /^event_serializer: /],
    [[], { CELERY_RESULT_SERIALIZER: 'raw' }, /^result_serializer: .* text and bytes only, .*; use json/],
    [['-A', 'bytes'], {}, /^Task 'tasks\.bytes': the serializer raw takes text and bytes only/],
    [[], { CELERY_ACCEPT_CONTENT: 'json,pikle' }, /^accept_content: there is no serializer 'pikle'/],
    [[], { CELERY_RESULT_ACCEPT_CONTENT: 'pikle' }, /^result_accept_content: /],
    [[], { CELERY_TASK_ROUTES: '{"a":' }, /task_routes takes .*got "{\\"a\\":"\. The text is not JSON/],
    [['-A', 'rate'], {}, /^Task 'tasks\.rate': rateLimit takes a rate such as '10\/s', .*, got '10\/x'\.$/],
    [['-A', 'queue'], {}, /^Task 'tasks\.queue': queue takes the name of a queue, got 5\.$/],
    [['-A', 'late'], {}, /^Task 'tasks\.late': acksLate takes true or false, got 'yes'\.$/],
    [['-A', 'wire'], {}, /^Task 'tasks\.wire': there is no serializer 'pikle'/],
    [['-A', 'own'], {}, /^No such result backend: nowhere\./],
  ])('refuses what cannot work in one line: %j %j', async (args, env, problem) => {
    const { folder } = project(files);
    const app = args.includes('-A') ? [] : ['-A', 'tasks'];
    const ended = await start([...app, ...args, ...CHECK], folder, env).ended;
    expect([1, 2]).toContain(ended.code);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).toMatch(/^Error: [^\n]*\n$/);
    expect(ended.stderr.slice('Error: '.length, -1)).toMatch(problem);
  });

  it('as a worker does', async () => {
    const { folder } = project(files);
    const ended = await start(['-A', 'rate', 'worker'], folder).ended;
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toMatch(/^Error: Task 'tasks\.rate': rateLimit takes [^\n]*\n$/);
  });
});
