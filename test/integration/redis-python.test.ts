import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import type { ResultBackend } from '../../src/backend/backend.ts';
import { connectBackend } from '../../src/backend/connect.ts';
import { decodeValue } from '../../src/message/registry.ts';
import { fromRemoteError } from '../../src/message/remote-error.ts';
import type { ResultMeta } from '../../src/message/result-meta.ts';
import { errorMeta, resultMeta } from '../contract/backend-suite.ts';
import { startWorker } from '../../src/testing/index.ts';
import { backendOptions, groupOf } from '../support/backend.ts';
import { python, runPython } from '../support/python.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';
import { wireFixture } from '../support/wire-fixtures.ts';

const APP = `
import json, sys
from celery import Celery
from celery.result import AsyncResult, GroupResult
app = Celery('tasks', broker='memory://', backend=sys.argv[1])
app.set_default()
`;

/** Prints what Python makes of each result. */
const READ = `${APP}
def shown(value):
    if isinstance(value, BaseException):
        return {'type': type(value).__name__, 'module': type(value).__module__, 'args': list(value.args)}
    return value
print('reading', flush=True)
for id in sys.argv[2:]:
    result = AsyncResult(id)
    ready = result.ready()
    if ready or result.state == 'PENDING':
        value = result.get(timeout=20, propagate=False)
    else:
        value = result.result
    children = result.children
    print(json.dumps([result.state, shown(value), result.traceback, children and [c.id for c in children]]), flush=True)
`;

const STORE = `${APP}
from celery.exceptions import TaskRevokedError
from celery import states
b = app.backend
b.store_result('py-success', {'a': [1, 2.5, None, 'ø']}, states.SUCCESS)
b.mark_as_done('py-done', 8)
try:
    raise ValueError('boom', 1)
except ValueError as exc:
    b.mark_as_failure('py-failure', exc, traceback='the traceback')
b.mark_as_retry('py-retry', RuntimeError('again'), traceback='tb')
b.mark_as_revoked('py-revoked', 'terminated')
b.store_result('py-progress', {'current': 3}, 'PROGRESS')
b.mark_as_started('py-started', pid=7, hostname='w@h')
GroupResult('py-group', [AsyncResult('one'), AsyncResult('two')]).save()
`;

const OVERWRITE = `${APP}
app.backend.mark_as_failure(sys.argv[2], ValueError('late'))
print(json.dumps([r.id for r in GroupResult.restore(sys.argv[3]).results]))
app.backend.mark_as_done(sys.argv[4], 'from python')
AsyncResult(sys.argv[5]).forget()
`;

describe.skipIf(!hasRedis || python === undefined)('one Redis with a Python Celery', () => {
  let server: RedisServer;
  let raw: Redis;
  let backend: ResultBackend;
  beforeAll(async () => {
    server = await RedisServer.start();
    raw = new Redis(server.port);
    backend = connectBackend(server.url(), backendOptions());
  });
  afterAll(async () => {
    await backend[Symbol.asyncDispose]();
    raw.disconnect();
    await server[Symbol.asyncDispose]();
  });

  /** The state, and the value or error, as a caller sees them. */
  const seen = (meta: ResultMeta | undefined): unknown[] => {
    const error = meta?.error && fromRemoteError(meta.error);
    return [
      meta?.status,
      error ? `${error.name}: ${error.message}` : meta?.result && decodeValue(meta.result),
    ];
  };

  it('Python reads what we store, and wakes when we do', async () => {
    const error = (type: string, module: string, args: unknown[]) => ({
      ...{ type, module, args },
      traceback: 'Traceback of Node',
    });
    const cases: [ResultMeta, unknown[]][] = [
      [
        resultMeta('ts-success', 'SUCCESS', { a: [1, 'ø'] }, { children: [[['child', null], null]] }),
        ['SUCCESS', { a: [1, 'ø'] }, null, ['child']],
      ],
      [
        errorMeta('ts-failure', 'FAILURE', error('TypeError', 'builtins', ['no', 2])),
        ['FAILURE', { type: 'TypeError', module: 'builtins', args: ['no', 2] }, 'Traceback of Node', []],
      ],
      [
        errorMeta('ts-revoked', 'REVOKED', error('TaskRevokedError', 'celery.exceptions', ['expired'])),
        [
          'REVOKED',
          { type: 'TaskRevokedError', module: 'celery.exceptions', args: ['expired'] },
          'Traceback of Node',
          [],
        ],
      ],
      [
        errorMeta('ts-retry', 'RETRY', error('RuntimeError', 'builtins', ['again'])),
        ['RETRY', { type: 'RuntimeError', module: 'builtins', args: ['again'] }, 'Traceback of Node', []],
      ],
      [resultMeta('ts-progress', 'PROGRESS', { current: 1 }), ['PROGRESS', { current: 1 }, null, []]],
    ];
    await Promise.all(cases.map(([meta]) => backend.store(meta)));
    const late = resultMeta('ts-late', 'SUCCESS', 'woken');
    const reading = runPython(READ, server.url(), ...cases.map(([{ taskId }]) => taskId), 'ts-late');
    await expect
      .poll(async () => (await raw.pubsub('NUMSUB', 'celery-task-meta-ts-late'))[1], { timeout: 30_000 })
      .toBe(1);
    await backend.store(late);
    const lines = (await reading).trim().split('\n').slice(1);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      ...cases.map(([, expected]) => expected),
      ['SUCCESS', 'woken', null, []],
    ]);
  });

  it('we read what Python stores', async () => {
    await runPython(STORE, server.url());
    const ids = ['success', 'done', 'failure', 'retry', 'revoked', 'progress', 'started', 'unknown'];
    const found = await Promise.all(ids.map((id) => backend.fetch(`py-${id}`)));
    expect(found.map(seen)).toEqual([
      ['SUCCESS', { a: [1, 2.5, null, 'ø'] }],
      ['SUCCESS', 8],
      ['FAILURE', expect.stringMatching(/^ValueError: .*boom/)],
      ['RETRY', 'RuntimeError: again'],
      ['REVOKED', 'TaskRevokedError: terminated'],
      ['PROGRESS', { current: 3 }],
      ['STARTED', { pid: 7, hostname: 'w@h' }],
      [undefined, undefined],
    ]);
    expect(found[2]).toMatchObject({ traceback: 'the traceback', error: { args: ['boom', 1] } });
    expect(await backend.loadGroup('py-group')).toEqual(groupOf('py-group', 'one', 'two'));
  });

  it('each side respects, restores, wakes and forgets what the other stored', async () => {
    const [kept, group, awaited, forgotten] = Array.from({ length: 4 }, () => randomUUID());
    await backend.store(resultMeta(kept ?? '', 'SUCCESS', 'first'));
    await backend.store(resultMeta(forgotten ?? '', 'SUCCESS', 'gone'));
    await backend.saveGroup(groupOf(group ?? '', 'three', 'four'));
    const waiting = (async () => {
      for await (const meta of backend.watch(awaited ?? '', AbortSignal.timeout(30_000))) return seen(meta);
      return undefined;
    })();
    const args = [kept, group, awaited, forgotten].map(String);
    expect(JSON.parse(await runPython(OVERWRITE, server.url(), ...args))).toEqual(['three', 'four']);
    expect(await waiting).toEqual(['SUCCESS', 'from python']);
    expect(seen(await backend.fetch(kept ?? ''))).toEqual(['SUCCESS', 'first']);
    expect(await backend.fetch(forgotten ?? '')).toBeUndefined();
  });

  it.each<[string, () => string]>([
    ['memory://', () => `memory://${randomUUID()}`],
    ['redis://', () => server.url(1)],
  ])('a worker’s results are read by us and by Python: over %s', async (_, broker) => {
    await using app = new Celery('tests', { broker: broker(), backend: server.url() });
    app.markConfigured();
    const add = app.task('tasks.add', (x: number, y: number) => x + y);
    const fail = app.task('tasks.fail', () => {
      throw new TypeError('wrong kind');
    });
    const ignored = app.task('tasks.ignored', { ignoreResult: true }, () => 1);
    const flaky = app.task('tasks.flaky', { bind: true }, (self) => {
      if (self.request.retries < 1) throw self.retry({ countdown: 0.05, exc: new RangeError('again') });
      return self.request.retries;
    });
    const progress = app.task('tasks.progress', { bind: true }, async (self) => {
      await self.updateState('PROGRESS', { done: 1 });
      await new Promise((resolve) => setTimeout(resolve, 100));
      return 'done';
    });
    await using worker = await startWorker(app);
    const revoked = await add.applyAsync([1, 1], { countdown: 0.3 });
    await revoked.revoke({ wait: true });
    const results = await Promise.all([add.delay(4, 4), flaky.delay(), progress.delay()]);
    const [updates, failed, quiet] = [[] as string[], await fail.delay(), await ignored.delay()];
    for await (const { state } of results[2].updates()) updates.push(state);
    expect(updates).toEqual(['PROGRESS', 'SUCCESS']);
    expect(await Promise.all(results.map((result) => result.get({ timeout: 20 })))).toEqual([8, 1, 'done']);
    await expect(failed.get({ timeout: 20 })).rejects.toThrow(TypeError);
    await expect(revoked.get({ timeout: 20 })).rejects.toThrow('revoked');
    await worker.stop();
    expect(await raw.exists(`celery-task-meta-${quiet.id}`)).toBe(0);
    const ids = [...results, failed, revoked].map(({ id }) => id);
    const lines = (await runPython(READ, server.url(), ...ids)).trim().split('\n').slice(1);
    expect(lines.map((line) => (JSON.parse(line) as unknown[]).slice(0, 2))).toEqual([
      ['SUCCESS', 8],
      ['SUCCESS', 1],
      ['SUCCESS', 'done'],
      ['FAILURE', { type: 'TypeError', module: 'builtins', args: ['wrong kind'] }],
      ['REVOKED', { type: 'TaskRevokedError', module: 'celery.exceptions', args: ['revoked'] }],
    ]);
  });

  const { cases } = wireFixture<{ cases: { backend: string; case: string; document: string }[] }>(
    'results.json',
  );
  it('we read every document that Celery was seen to store', async () => {
    const stored = cases.filter((each) => each.backend === 'redis');
    for (const [index, { case: name, document }] of stored.entries()) {
      await raw.set(`celery-task-meta-fixture-${String(index)}`, document);
      const { status, task_id: taskId } = JSON.parse(document) as { status: string; task_id: string };
      const meta = await backend.fetch(`fixture-${String(index)}`);
      expect([name, meta?.status, meta?.taskId]).toEqual([name, status, taskId]);
    }
    expect(stored.length).toBeGreaterThan(50);
  });
});
