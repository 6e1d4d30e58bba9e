import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chain, chord, group } from '../../src/app/compose.ts';
import { Celery } from '../../src/app/celery.ts';
import type { SignatureJson } from '../../src/message/message.ts';
import { startCli, type RunningCli } from '../support/cli.ts';
import { createProject, type Project } from '../support/project.ts';
import { python, runPython } from '../support/python.ts';
import { startPythonCelery } from '../support/python-session.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const TS_TASKS = `
import { appendFileSync } from 'node:fs';
import { Celery } from 'celery-ts';
const env = process.env;
export const app = new Celery('ts', {
  broker: env.BROKER, backend: env.BACKEND,
  result_backend_transport_options: { result_chord_ordered: env.ORDERED === 'true' },
  task_routes: { 'py.*': 'python', 'ts.*': 'typescript' },
});
app.task('ts.add', (x: number, y: number) => x + y);
app.task('ts.fail', (message: string) => { throw new Error(message); });
app.task('ts.random', () => Math.random());
app.task('ts.body', (values: unknown[]) => {
  appendFileSync(env.NOTES!, 'ts\\n');
  return values;
});
`;

const PY_TASKS = `
import os, random
from celery import Celery
app = Celery('py', broker=os.environ['BROKER'], backend=os.environ['BACKEND'])
app.conf.update(
    result_backend_transport_options={'result_chord_ordered': os.environ['ORDERED'] == 'true'},
    task_routes={'py.*': 'python', 'ts.*': 'typescript'}, worker_proc_alive_timeout=60,
)

@app.task(name='py.add')
def add(x, y):
    return x + y

@app.task(name='py.fail')
def fail(message):
    raise ValueError(message)

@app.task(name='py.random')
def rand():
    return random.random()

@app.task(name='py.body')
def body(values):
    with open(os.environ['NOTES'], 'a') as notes:
        notes.write('py\\n')
    return values
`;

/** A Python client's chords, over tasks of both languages; prints what comes of each. */
const PYTHON_CLIENT = `
import json, os, sys
os.environ.update(json.loads(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
from celery import chain, chord, group, signature
from celery.result import GroupResult
from py_tasks import app
app.set_default()
def sig(name, *args, **options):
    return app.signature(name, args=args)
def outcome(result):
    try:
        return result.get(timeout=40)
    except Exception as exc:
        return [type(exc).__name__, str(exc)]
sides = ['ts', 'py']
both = [sig(sides[i % 2] + '.add', i, 1) for i in range(20)]
seen = {}
for body in sides:
    seen['flat ' + body] = outcome(chord(both, sig(body + '.body'))())
    seen['failed ' + body] = outcome(chord(both + [sig(sides[body == 'ts'] + '.fail', 'x')], sig(body + '.body'))())
    seen['chains ' + body] = outcome(chord([sig('ts.add', 1, 1) | sig('py.add', 1), sig('py.add', 2, 2) | sig('ts.add', 1)], sig(body + '.body'))())
    seen['nested ' + body] = outcome(chord([
        chord(both[:4], sig(body + '.body')), sig('ts.add', 1, 1)], sig(sides[body == 'ts'] + '.body'))())
    seen['group ' + body] = outcome(chord([sig('ts.add', 1, 1) | group(sig('py.add', 1), sig('ts.add', 2)), sig('py.add', 5, 5)], sig(body + '.body'))())
saved = group(both[:2])()
saved.save()
seen['restored'] = GroupResult.restore(sys.argv[3]).get(timeout=40)
print(json.dumps([seen, saved.id]))
`;

const RANGE = Array.from({ length: 20 }, (_, index) => index + 1);

const sorted = (values: readonly unknown[]): unknown[] =>
  [...values].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));

/** As they are, or without their order. */
function deepSorted(value: unknown, ordered: boolean): unknown {
  if (!Array.isArray(value)) return value;
  const values = value.map((each: unknown) => deepSorted(each, ordered));
  return ordered ? values : sorted(values);
}

describe.skipIf(!hasRedis || python === undefined)('chords of both languages on one Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  describe.each([true, false])('result_chord_ordered: %s', { timeout: 60_000 }, (ordered) => {
    let app: Celery;
    let raw: Redis;
    let project: Project;
    let env: Record<string, string>;
    let workers: RunningCli[];

    beforeAll(async () => {
      const db = ordered ? 0 : 1;
      project = createProject({ 'ts_tasks.ts': TS_TASKS, 'py_tasks.py': PY_TASKS, notes: '' });
      const url = redis.url(db);
      const notes = project.path('notes');
      env = { BROKER: url, BACKEND: url, ORDERED: String(ordered), NOTES: notes, PYTHONUNBUFFERED: '1' };
      const options = { cwd: project.folder, env };
      workers = [
        startCli(
          ['-A', 'ts_tasks', 'worker', '-Q', 'typescript', '-n', 'ts@h', '-l', 'INFO', '-c', '2'],
          options,
        ),
        startPythonCelery(
          ['-A', 'py_tasks', 'worker', '-Q', 'python', '-n', 'py@h', '-l', 'INFO', '-c', '2'],
          options,
        ),
      ];
      raw = new Redis(redis.port, { db });
      app = new Celery('client', {
        broker: url,
        backend: url,
        result_backend_transport_options: { result_chord_ordered: ordered },
        task_routes: { 'py.*': 'python', 'ts.*': 'typescript' },
      });
      app.markConfigured();
      await Promise.all(workers.map((worker) => worker.waitFor(/ ready\./, 60_000)));
    });
    afterAll(async () => {
      for (const worker of workers) worker.kill('SIGTERM');
      await Promise.all(workers.map(({ ended }) => ended));
      await app.close();
      raw.disconnect();
      project.remove();
    });
    let before = 0;
    const bodies = (): string[] => readFileSync(project.path('notes'), 'utf8').split('\n').slice(before, -1);
    beforeEach(() => {
      before = 0;
      before = bodies().length;
    });

    const sig = (name: string, ...args: readonly unknown[]) => app.signature(name, args);
    const side = (index: number): string => (index % 2 === 0 ? 'ts' : 'py');
    const both = () => RANGE.map((_, index) => sig(`${side(index)}.add`, index, 1));
    /** Unordered, by how they are written. */
    const inOrder = (values: unknown): unknown => deepSorted(values, ordered);
    /** Nothing is left of a count; Python does not know of our ids, which go by themselves. */
    const uncounted = async (): Promise<void> => {
      const left = () => raw.keys('celery-taskset-meta-*.[jtsc]');
      await expect.poll(left, { timeout: 20_000 }).toEqual([]);
      for (const key of await raw.keys('celery-taskset-meta-*'))
        expect(await raw.ttl(key)).toBeGreaterThan(0);
    };

    it.each(['ts', 'py'])('members that alternate, a body in %s', async (body) => {
      const result = await chord(both(), sig(`${body}.body`)).delay();
      expect(inOrder(await result.get({ timeout: 40 }))).toEqual(inOrder(RANGE));
      await uncounted();
      expect(bodies()).toEqual([body]);
    });

    it.each([
      ['ts', 'py', "ValueError('x')"],
      ['py', 'ts', "Error('x')"],
    ])('a body in %s fails with a member in %s', async (body, failing, error) => {
      const result = await chord([...both(), sig(`${failing}.fail`, 'x')], sig(`${body}.body`)).delay();
      await expect(result.get({ timeout: 40 })).rejects.toMatchObject({
        name: 'ChordError',
        message: expect.stringMatching(/^Dependency [-0-9a-f]{36} raised /) as string,
      });
      await expect(result.get()).rejects.toThrow(error);
      expect(bodies()).toEqual([]);
      // A Python worker that counts last leaves the count of a failed chord to its expiry.
      await raw.flushdb();
    });

    it('chains and chords in the header', async () => {
      const header = [
        chain(sig('ts.add', 1, 1), sig('py.add', 1)),
        chain(sig('py.add', 1, 1), sig('ts.add', 2)),
        chord([sig('ts.add', 1, 2), sig('py.add', 1, 2)], sig('py.body')),
      ];
      const values = (await (await chord(header, sig('ts.body')).delay()).get({ timeout: 40 })) as unknown[];
      expect(inOrder(values)).toEqual(inOrder([3, 4, [3, 3]]));
      await uncounted();
    });

    it('a member that a TypeScript worker gets three times counts once', async () => {
      const [groupId, bodyId] = [randomUUID(), randomUUID()];
      const body: SignatureJson = {
        ...{ task: 'py.body', args: [], kwargs: {}, options: { task_id: bodyId } },
        ...{ subtask_type: null, immutable: false },
      };
      await app.backend.startChord(groupId, 3);
      const send = (groupIndex: number, task: string, taskId: string) =>
        app.sendTask(task, [], { groupId, groupIndex, taskId, chord: body });
      const first = randomUUID();
      for (const each of [1, 2, 3]) {
        await send(0, 'ts.random', first);
        await expect.poll(() => workers[0]?.output.split(`[${first}] succeeded`).length).toBe(each + 1);
      }
      await send(1, 'py.random', randomUUID());
      expect(await app.AsyncResult(bodyId).state()).toBe('PENDING');
      await send(2, 'ts.random', randomUUID());
      expect(await app.AsyncResult(bodyId).get({ timeout: 40 })).toHaveLength(3);
      await uncounted();
      expect(bodies()).toEqual(['py']);
    });

    it('chords of a Python client, and groups saved by either side', async () => {
      const saved = await group(both().slice(0, 2)).delay();
      await saved.save();
      const out = await runPython(PYTHON_CLIENT, JSON.stringify(env), project.folder, saved.id);
      const [seen, theirs] = JSON.parse(out) as [Record<string, unknown>, string];
      // Python's get() gives the error of a member that has failed already.
      const failure = (error: string): readonly unknown[] => [
        expect.stringMatching(new RegExp(`^(ChordError|${error})$`)) as unknown,
        expect.stringMatching(new RegExp(`^(x|Dependency .* raised ${error}\\('x'\\))$`)) as unknown,
      ];
      const expected: Record<string, unknown> = {
        ...{ 'flat ts': RANGE, 'flat py': RANGE, restored: [1, 2] },
        ...{ 'failed ts': failure('ValueError'), 'failed py': failure('Error') },
        ...{ 'chains ts': [3, 5], 'chains py': [3, 5] },
        ...{ 'nested ts': [[1, 2, 3, 4], 2], 'nested py': [[1, 2, 3, 4], 2] },
        ...{ 'group ts': [[3, 4], 10], 'group py': [[3, 4], 10] },
      };
      for (const [name, value] of Object.entries(expected)) {
        if (name.startsWith('failed')) expect(seen[name], name).toEqual(value);
        else expect(deepSorted(seen[name], ordered), name).toEqual(deepSorted(value, ordered));
      }
      const restored = await app.restoreGroup(theirs);
      expect(await restored?.get({ timeout: 40 })).toEqual([1, 2]);
    });
  });
});
