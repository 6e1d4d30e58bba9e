import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import type { AsyncResult } from '../../src/app/result.ts';
import type { SignatureJson } from '../../src/message/message.ts';
import type { ResultTuple } from '../../src/message/outcome.ts';
import { startWorker, type TestWorker } from '../../src/testing/index.ts';

let app: Celery;
let worker: TestWorker;
const told: string[] = [];

beforeAll(async () => {
  const settings = {
    broker: `memory://${randomUUID()}`,
    backend: `cache+memory://${randomUUID()}`,
    result_chord_retry_interval: 0.05,
  };
  app = new Celery('builtins', settings);
  app.markConfigured();
  app.task('add', (x: number, y = 10) => x + y);
  app.task('later', async (x: number) => Promise.resolve(-x));
  app.task('bound', { bind: true }, (self, x: number) => [self.name, x]);
  app.task('broken', (x: number) => {
    if (x === 2) throw new Error('two');
    return x;
  });
  app.task('sum', (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0));
  app.task('tell', (id: string) => told.push(id));
  worker = await startWorker(app);
});
afterAll(async () => {
  await worker.stop();
  await app.close();
});

const task = (name: string): SignatureJson => ({
  ...{ task: name, args: [], kwargs: {}, options: {} },
  ...{ subtask_type: null, immutable: false },
});

it.each([
  ['celery.map', [], { task: task('add'), it: [1, 2] }, [11, 12]],
  ['celery.map', [], { task: task('later'), it: [1, 2] }, [-1, -2]],
  ['celery.map', [], { task: task('bound'), it: [1] }, [['bound', 1]]],
  ['celery.map', [], { task: task('add'), it: [] }, []],
  ['celery.map', [], { task: task('broken'), it: [1, 2, 3] }, 'Error: two'],
  ['celery.map', [], { task: task('gone'), it: [1] }, 'NotRegistered: gone'],
  [
    'celery.starmap',
    [],
    {
      task: task('add'),
      it: [[1, 1], [2]],
    },
    [2, 12],
  ],
  ['celery.accumulate', [[1, 2], 3], {}, [[1, 2], 3]],
  ['celery.accumulate', [[1, 2], 3], { index: 0 }, [1, 2]],
  ['celery.accumulate', [], {}, []],
  ['celery.backend_cleanup', [], {}, null],
])('%s with %j and %j', async (name, args, kwargs, expected) => {
  const result = await app.sendTask(name, args, { kwargs });
  const value = await result.get({ timeout: 20, propagate: false });
  expect(value instanceof Error ? String(value) : value).toEqual(expected);
});

describe('those that Celery sends for a canvas', () => {
  const valueOf = async (tuple: unknown): Promise<unknown> =>
    app.resultFromTuple(tuple as ResultTuple).get({ timeout: 20 });
  const sent = async (name: string, args: readonly unknown[], kwargs = {}): Promise<unknown> =>
    (await app.sendTask(name, args, { kwargs })).get({ timeout: 20 });

  it('celery.group, celery.chord and celery.chunks send their tasks', async () => {
    const group = await sent('celery.group', [[task('later'), task('add')], null, 'group-id', [5]]);
    expect(app.resultFromTuple(group as ResultTuple).id).toBe('group-id');
    expect(await valueOf(group)).toEqual([-5, 15]);
    const chord = await sent('celery.chord', [], {
      header: [task('later'), task('add')],
      body: task('sum'),
      partial_args: [5],
    });
    expect(await valueOf(chord)).toBe(10);
    const pairs = [1, 2, 3].map((each) => [each, each]);
    const chunks = await sent('celery.chunks', [task('add'), pairs, 2]);
    expect(await valueOf(chunks)).toEqual([[2, 4], [6]]);
  });

  it('celery.chain cannot be run', async () => {
    await expect(sent('celery.chain', [])).rejects.toThrow(/not a real task/);
  });
});

describe('celery.chord_unlock', () => {
  const unlock = async (ids: readonly string[], kwargs = {}): Promise<AsyncResult> => {
    const id = randomUUID();
    const options = { task_id: id, link_error: [task('tell')] };
    const body = { ...task('sum'), options };
    const result = ids.map((each) => [[each, null], null]);
    await app.sendTask('celery.chord_unlock', [randomUUID(), body], { kwargs: { result, ...kwargs } });
    return app.AsyncResult(id);
  };
  const failedBody = async (body: AsyncResult): Promise<string> => {
    const error = await body.get({ timeout: 20, propagate: false });
    return String(error).replaceAll(/[0-9a-f]{8}-[-0-9a-f]+/g, 'ID');
  };

  it('waits for all members, and calls the body with their values', async () => {
    const [first, last] = [await app.sendTask('add', [1]), app.AsyncResult(randomUUID())];
    const body = await unlock([first.id, last.id]);
    // It has asked at least once: the worker runs one task after the other.
    expect(await (await app.sendTask('add', [2])).get({ timeout: 20 })).toBe(12);
    await app.sendTask('add', [3], { taskId: last.id });
    expect(await body.get({ timeout: 20 })).toBe(24);
  });

  it('fails the body, and calls its error callbacks, when a member has failed', async () => {
    const members = [await app.sendTask('add', [1]), await app.sendTask('broken', [2])];
    const body = await unlock(members.map(({ id }) => id));
    expect(await failedBody(body)).toBe("ChordError: Dependency ID raised Error('two')");
    await (await app.sendTask('add', [2])).get({ timeout: 20 });
    expect(told).toContain(body.id);
  });

  it('gives up after max_retries, and when results would have expired', async () => {
    const body = await unlock([randomUUID()], { max_retries: 2, interval: 0.01 });
    expect(await failedBody(body)).toMatch(/^ChordError: .*asked 3 times: one of them is lost/);
    app.conf.result_expires = 0.1;
    try {
      expect(await failedBody(await unlock([randomUUID()]))).toMatch(/asked 3 times/);
    } finally {
      app.conf.result_expires = 86_400;
    }
  });
});
