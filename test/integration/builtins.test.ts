import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import type { SignatureJson } from '../../src/message/message.ts';
import { startWorker, type TestWorker } from '../../src/testing/index.ts';

let app: Celery;
let worker: TestWorker;

beforeAll(async () => {
  const settings = { broker: `memory://${randomUUID()}`, backend: `cache+memory://${randomUUID()}` };
  app = new Celery('builtins', settings);
  app.markConfigured();
  app.task('add', (x: number, y = 10) => x + y);
  app.task('later', async (x: number) => Promise.resolve(-x));
  app.task('bound', { bind: true }, (self, x: number) => [self.name, x]);
  app.task('broken', (x: number) => {
    if (x === 2) throw new Error('two');
    return x;
  });
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
