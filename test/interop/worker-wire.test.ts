import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { makeIdentity } from '../support/certificates.ts';
import { type RunningCli, startCli } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import { python, runPython } from '../support/python.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

const TASKS = `
import { Celery } from 'celery-ts';
export const app = new Celery('tasks', {
  backend: 'rpc://', accept_content: ['json', 'msgpack', 'yaml'], task_default_queue: 'ts',
  result_serializer: process.env.RESULT_SERIALIZER ?? 'json',
});
export const same = app.task('ts.same', (value) => value);
export const sub = app.task('ts.sub', (x, y = 10, { z = 0 } = {}) => x - y - z);
const kinds = { Error, TypeError, RangeError, SyntaxError };
export const fail = app.task('ts.fail', (name, message) => {
  const error = new (kinds[name] ?? Error)(message, { cause: new RangeError('the root') });
  if (!(name in kinds)) error.name = name;
  throw error;
});
`;

const SIGNED_TASKS = `
import { Celery } from 'celery-ts';
export const app = new Celery('tasks', {
  backend: 'rpc://', task_default_queue: 'ts-signed', task_serializer: 'auth', accept_content: ['auth'],
  result_serializer: 'auth', security_key: 'keys/worker.key', security_certificate: 'certs/worker.pem',
  security_cert_store: 'certs',
});
app.setupSecurity();
export const add = app.task('ts.add', (x, y) => x + y);
`;

const PY_TASKS = `
from celery import Celery
app = Celery('pytasks')
app.conf.update(result_backend='rpc://', accept_content=['json', 'msgpack', 'yaml'], task_default_queue='py',
                worker_enable_remote_control=False)
@app.task(name='py.same')
def same(value): return value
@app.task(name='py.fail')
def fail(kind, *args):
    class ShopError(Exception): pass
    try:
        {}['the root']
    except KeyError as exc:
        raise {'ShopError': ShopError, 'TypeError': TypeError, 'ValueError': ValueError}[kind](*args) from exc
`;

const CLIENT = `
import json, sys
from celery import Celery, chain, signature
app = Celery('client', broker=sys.argv[1], backend='rpc://')
app.conf.update(accept_content=['json', 'msgpack', 'yaml'], task_default_queue='ts')
def result(call):
    try:
        return call.get(timeout=20)
    except BaseException as exc:
        return {'type': type(exc).__name__, 'module': type(exc).__module__, 'args': list(exc.args),
                'builtin': isinstance(exc, (TypeError, ValueError, KeyError, SyntaxError)),
                'traceback': call.traceback}
def step(name, *args, **kwargs):
    return signature(name, args=args, kwargs=kwargs, app=app)
print(json.dumps([result(eval(source)) for source in json.loads(sys.argv[2])]))
`;

const SIGNED_CLIENT = `
import sys
from celery import Celery
broker, folder, store = sys.argv[1:]
app = Celery('client', broker=broker, backend='rpc://', set_as_current=False)
app.conf.update(task_serializer='auth', accept_content=['auth'], security_key=folder + '/keys/client.key',
                security_certificate=folder + '/' + store + '/client.pem', security_cert_store=folder + '/certs')
if store == 'strangers':
    app.conf.update(security_key=folder + '/keys/stranger.key',
                    security_certificate=folder + '/strangers/stranger.pem')
app.setup_security()
call = app.send_task('ts.add', (2, 3), queue='ts-signed', ignore_result=store == 'strangers')
print(call.id if store == 'strangers' else call.get(timeout=20))
`;

const VALUE = { a: [1, 0.5, null, true, 'é😀'], big: 2 ** 40 };
const SENT = "{'a': [1, 0.5, None, True, 'é😀'], 'big': 2**40}";

const SERIALIZERS = ['json', 'msgpack', 'yaml'];
const COMPRESSIONS = ['zlib', 'bzip2', 'brotli'];
const CALLS: readonly (readonly [string, unknown])[] = [
  ...SERIALIZERS.flatMap((serializer) =>
    [undefined, ...COMPRESSIONS].map((compression): readonly [string, unknown] => [
      `app.send_task('ts.same', [${SENT}], serializer='${serializer}', compression=${compression ? `'${compression}'` : 'None'})`,
      VALUE,
    ]),
  ),
  ["app.send_task('ts.same', ['x' * 100], compression='zstd')", 'x'.repeat(100)],
  ["app.send_task('ts.sub', [5], {'y': 3})", 2],
  ["app.send_task('ts.sub', [], {'y': 3, 'x': 5})", 2],
  ["app.send_task('ts.sub', [5], {'z': 1})", -6],
  ["chain(step('ts.same', 20), step('ts.sub', y=3), step('ts.sub', z=2)).apply_async()", 5],
];

const error = (type: string, module: string, args: unknown[], builtin = false): unknown => ({
  ...{ type, module, args, builtin },
  traceback: expect.stringMatching(
    new RegExp(`^${type}: ${args.join()}\\n {4}at [^]*\\nCaused by: RangeError: the root\\n`),
  ) as unknown,
});
const ERRORS: readonly (readonly [string, unknown])[] = [
  ["app.send_task('ts.fail', ['TypeError', 'no'])", error('TypeError', 'builtins', ['no'], true)],
  ["app.send_task('ts.fail', ['ValueError', 'no'])", error('ValueError', 'builtins', ['no'], true)],
  ["app.send_task('ts.fail', ['KeyError', 'no'])", error('KeyError', 'builtins', ['no'], true)],
  ["app.send_task('ts.fail', ['SyntaxError', 'no'])", error('SyntaxError', 'builtins', ['no'], true)],
  ["app.send_task('ts.fail', ['RangeError', 'no'])", error('RangeError', 'celery.backends.base', ['no'])],
  ["app.send_task('ts.fail', ['ShopClosed', 'no'])", error('ShopClosed', 'celery.backends.base', ['no'])],
];

describe.skipIf(python === undefined || !hasRabbitmq)('the wire between real workers', () => {
  const own = new Releasers();
  const answers = new Map<string, unknown>();
  const app = new Celery('client', {
    backend: 'rpc://',
    accept_content: SERIALIZERS,
    task_default_queue: 'py',
  });
  let broker: string;
  let signed: RunningCli;
  let folder: string;

  beforeAll(async () => {
    broker = own.own(await Rabbitmq.start()).url();
    const project = createProject({ 'tasks.js': TASKS, 'signed.js': SIGNED_TASKS, 'pytasks.py': PY_TASKS });
    own.push(() => project.remove());
    ({ folder } = project);
    const folders = { keys: project.path('keys'), certs: project.path('certs') };
    await makeIdentity(folders, 'worker', '/O=Example/CN=worker');
    await makeIdentity(folders, 'client', '/CN=client');
    await makeIdentity({ ...folders, certs: project.path('strangers') }, 'stranger', '/CN=stranger');
    const start = (module: string): RunningCli => {
      const worker = startCli(
        ['-A', module, '-b', broker, 'worker', '-c', '1', '-l', 'INFO', '-n', `${module}@h`],
        {
          cwd: folder,
        },
      );
      own.push(async () => {
        worker.kill('SIGKILL');
        await worker.ended;
      });
      return worker;
    };
    const worker = start('tasks');
    signed = start('signed');
    own.push(await startPython(broker, folder));
    await Promise.all([worker.waitFor('tasks@h ready.'), signed.waitFor('signed@h ready.')]);
    app.conf.update({ broker_url: broker });
    app.markConfigured();
    own.own(app);
    const sources = [...CALLS, ...ERRORS].map(([source]) => source);
    const values = JSON.parse(await runPython(CLIENT, broker, JSON.stringify(sources))) as unknown[];
    sources.forEach((source, index) => answers.set(source, values[index]));
  });
  afterAll(() => own.release());

  it.each(CALLS)('Python calls TypeScript: %s', (source, value) => {
    expect(answers.get(source)).toEqual(value);
  });

  it.each(ERRORS)('Python catches: %s', (source, value) => {
    expect(answers.get(source)).toEqual(value);
  });

  it.each(
    SERIALIZERS.flatMap((serializer) =>
      [undefined, ...COMPRESSIONS].map((compression) => [serializer, compression]),
    ),
  )('TypeScript calls Python: %s, %s', async (serializer, compression) => {
    const call = await app.sendTask('py.same', [VALUE], {
      serializer: serializer!,
      ...(compression !== undefined && { compression }),
    });
    expect(await call.get({ timeout: 20 })).toEqual(VALUE);
  });

  it.each([
    [['TypeError', 'no'], TypeError, 'TypeError', 'no', 'builtins'],
    [['ValueError', 'no', 1], Error, 'ValueError', "('no', 1)", 'builtins'],
    [['ShopError', 'closed'], Error, 'ShopError', 'closed', 'pytasks'],
  ])('TypeScript catches what Python raises: %j', async (args, constructor, name, message, module) => {
    const call = await app.sendTask('py.fail', args);
    const caught = await call.get({ timeout: 20 }).catch((thrown: unknown) => thrown as Error);
    expect(caught).toBeInstanceOf(constructor);
    expect(caught).toMatchObject({ message, module });
    expect((caught as Error).name.split('.').at(-1)).toBe(name);
    expect((caught as { traceback?: string }).traceback).toMatch(
      /KeyError: 'the root'[^]*The above exception was the direct cause of the following exception:[^]*no|closed/,
    );
  });

  it('signed calls and results cross, those of strangers are refused, and the worker goes on', async () => {
    expect(await runPython(SIGNED_CLIENT, broker, folder, 'certs')).toBe('5\n');
    const id = (await runPython(SIGNED_CLIENT, broker, folder, 'strangers')).trim();
    const told = ["Can't decode message body: SecurityError(", id, 'Unknown certificate:'];
    await signed.waitFor(() => told.every((text) => signed.output.includes(text)));
    const unsigned = await app.sendTask('ts.add', [1, 2], { queue: 'ts-signed', serializer: 'json' });
    await expect(unsigned.get({ timeout: 20 })).rejects.toThrow();
    expect(await runPython(SIGNED_CLIENT, broker, folder, 'certs')).toBe('5\n');
  });
});

/** @returns what ends it */
async function startPython(broker: string, cwd: string): Promise<() => Promise<void>> {
  const worker: ChildProcess = spawn(
    python!,
    ['-m', 'celery', '-A', 'pytasks', '-b', broker, 'worker', '-P', 'solo', '-l', 'INFO', '--without-gossip'],
    { cwd, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let output = '';
  await new Promise<void>((resolve, reject) => {
    worker.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('ready.')) resolve();
    });
    worker.once('exit', () => reject(new Error(`Python's worker ended: ${output}`)));
  });
  return async () => {
    const ended = once(worker, 'exit');
    worker.kill('SIGKILL');
    await ended;
  };
}
