import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import { Celery } from '../../src/index.ts';
import { BadWorker } from '../support/bad-worker.ts';

// One worker for all: whatever a task does, the tasks around it and after it succeed.
let worker: BadWorker;

beforeAll(async () => {
  worker = await BadWorker.start('SQLite');
});
afterAll(() => worker[Symbol.asyncDispose]());

interface Failure {
  readonly error: { readonly name: string; readonly message: string };
  /** What the log has said since it was sent, of good tasks too. */
  readonly log: string;
}

/** Runs a bad task among good ones until `end` is logged. */
async function fail(task: string, args: readonly unknown[], end: (id: string) => RegExp): Promise<Failure> {
  const start = worker.worker.output.length;
  const sent = worker.call(task, args);
  await worker.between(() => sent);
  const { id } = await sent;
  const { name, message } = await worker.error(id);
  await worker.worker.waitFor(end(id));
  return { error: { name, message }, log: worker.worker.output.slice(start) };
}

const raised = (id: string): RegExp =>
  new RegExp(`ERROR/ForkPoolWorker-\\d+\\] .*${id}\\] raised unexpected: `);

describe('a result that cannot be stored fails the task, saying where it is', () => {
  it.each([
    ['function', 'EncodeError', 'cannot encode a function as JSON'],
    ['nested', 'EncodeError', 'cannot encode a function as JSON, at .rows[0].callback'],
    ['cycle', 'EncodeError', 'cannot encode an object that contains itself as JSON, at .self'],
    ['symbol', 'EncodeError', 'cannot encode a symbol as JSON'],
    ['getter', 'EncodeError', 'cannot encode as JSON: no value here'],
    ['toJSON', 'EncodeError', 'cannot encode as JSON: not today'],
    ['revoked', 'TypeError', "Cannot perform 'get' on a proxy that has been revoked"],
  ])('%s', async (kind, name, message) => {
    const { error, log } = await fail('tasks.returns', [kind], raised);
    expect(error).toEqual({ name, message });
    expect(log).toMatch(new RegExp(`raised unexpected: ${name}\\(.*\\)\\n${name}: .*\\n {4}at `));
    expect(log).not.toMatch(/tasks\.returns\[.*succeeded/);
  });

  it('100,000 lists within each other', async () => {
    const { error } = await fail('tasks.nest', [100_000], raised);
    expect(error.name).toBe('EncodeError');
    expect(error.message).toMatch(/^cannot encode as JSON: more than/);
  });

  it.each([
    ['bigint', 2n ** 64n],
    ['undefined', null],
    ['nan', NaN],
  ])('but these have a form: %s', async (kind, value) => {
    expect(await (await worker.call('tasks.returns', [kind])).get({ timeout: 20 })).toEqual(value);
  });

  it('and 100 MB arrive', { timeout: 90_000 }, async () => {
    const sent = worker.app.sendTask<string>('tasks.repeat', [100e6]);
    await worker.between(() => sent);
    expect((await (await sent).get({ timeout: 80 })).length).toBe(100e6);
  });
});

describe('whatever a task throws is a failure', () => {
  it.each([
    ['string', 'Error', 'just text'],
    ['undefined', 'Error', ''],
    ['null', 'Error', 'None'],
    ['getter', 'Error', "{'broken': None}"],
    ['brokenError', 'Error', 'a message that throws'],
    ['cycle', 'Error', "{'name': 'cycle', 'self': {...}}"],
    ['symbol', 'Error', 'Symbol(mark)'],
    ['function', 'Error', '<function <anonymous>>'],
    ['revoked', 'TypeError', "Cannot perform 'getPrototypeOf' on a proxy that has been revoked"],
    ['long', 'Error', 'y'.repeat(1_000_000)],
    ['causeCycle', 'Error', 'round'],
  ])('%s', async (kind, name, message) => {
    const { error } = await fail('tasks.throws', [kind], raised);
    expect(error).toEqual({ name, message });
  });

  it('an error that is no result of the task, of a promise left behind: at once, not at its end', async () => {
    const { error, log } = await fail('tasks.rejects', [], raised);
    expect(error).toEqual({ name: 'RangeError', message: 'left behind' });
    expect(log).toMatch(/RangeError: left behind\n {4}at .*tasks\.js:/);
  });

  it('a stack overflow', async () => {
    const { error } = await fail('tasks.overflows', [], raised);
    expect(error).toEqual({ name: 'RangeError', message: 'Maximum call stack size exceeded' });
  });

  it('but not what comes after its end: that costs the process only', async () => {
    expect(await (await worker.call('tasks.late')).get({ timeout: 20 })).toBe('done');
    await worker.worker.waitFor(
      /ERROR\/ForkPoolWorker-\d+\] An error that no task caught, in code that one left running; this process is replaced\.\nError: too late for its task\n/,
    );
    await worker.between(() => Promise.resolve());
  });
});

describe('a task that takes its process along', () => {
  it.each([3, 0])('process.exit(%i)', async (code) => {
    const { error, log } = await fail('tasks.exits', [code], () => /$/);
    expect(error.name).toBe('WorkerLostError');
    expect(error.message).toMatch(new RegExp(`^Worker exited prematurely: exitcode ${code} Job: \\d+\\.$`));
    expect(log).toMatch(
      new RegExp(
        `ERROR/MainProcess\\] Process 'ForkPoolWorker-\\d+' pid:\\d+ exited with 'exitcode ${code}'\\n` +
          `(.*INFO.*\\n)*.*ERROR/MainProcess\\] Task handler raised error: WorkerLostError\\('Worker exited prematurely: exitcode ${code} `,
      ),
    );
  });

  it.each(['tasks.never', 'tasks.spins'])('%s, at its time limit', async (task) => {
    const { error, log } = await fail(
      task,
      [],
      (id) => new RegExp(`ERROR/MainProcess\\] Hard time limit \\(1s\\) exceeded for ${task}\\[${id}\\]`),
    );
    expect(error).toEqual({ name: 'TimeLimitExceeded', message: '1' });
    expect(log).toContain('ERROR/MainProcess] Task handler raised error: TimeLimitExceeded(1)');
  });
});

it('remote control takes no nonsense, and goes on', async () => {
  const send = (args: Readonly<Record<string, unknown>>): Promise<unknown> =>
    worker.app.control.broadcast('rate_limit', args, { reply: true, timeout: 20, limit: 1 });
  expect(await send({ task_name: 'tasks.add', rate_limit: 'bogus' })).toEqual([
    {
      'w@h': { error: `Invalid rate limit string: ValueError("could not convert string to float: 'bogus'")` },
    },
  ]);
  for (const args of [{}, { task_name: 5, rate_limit: {} }, { task_name: '__proto__', rate_limit: '1/m' }]) {
    const [reply] = (await send(args)) as [Record<string, unknown>];
    expect(reply['w@h'], JSON.stringify(args)).toHaveProperty('error');
  }
  await worker.between(() => Promise.resolve());
});

it('the worker ends as if nothing had happened, with an empty queue', async () => {
  expect(await worker.stop()).toMatchObject({ code: 0, left: 0 });
});

const ESCAPES = `
import { Celery } from 'celery-ts';
export const app = new Celery('tasks', { broker: 'sqlite:///b.db', backend: 'sqlite:///b.db' });
app.task('tasks.rejects', async () => {
  void Promise.reject(new RangeError('left behind'));
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
app.task('tasks.late', () => {
  setTimeout(() => { throw new Error('too late for its task'); }, 50);
  return 'done';
});
`;

it('a worker with the solo pool survives what no code catches, and the task that runs fails with it', async () => {
  const project = createProject({ 'tasks.js': ESCAPES });
  const url = `sqlite:///${project.path('b.db')}`;
  const app = new Celery('client', { broker: url, backend: url });
  app.markConfigured();
  const solo = startCli(['-A', 'tasks', 'worker', '-P', 'solo', '-l', 'INFO'], { cwd: project.folder });
  try {
    await solo.waitFor(' ready.');
    const call = async (task: string) => (await app.sendTask(task, [])).get({ timeout: 20 });
    expect(await call('tasks.late')).toBe('done');
    await solo.waitFor(/ERROR\/MainProcess\] An error that no task caught.*\nError: too late for its task\n/);
    await expect(call('tasks.rejects')).rejects.toThrow('left behind');
    expect(await call('tasks.late')).toBe('done');
    solo.kill('SIGTERM');
    expect((await solo.ended).code).toBe(0);
  } finally {
    solo.kill('SIGKILL');
    await app.close();
    project.remove();
  }
});
