import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runningTask } from '../../../src/app/current.ts';
import type { RunningTask } from '../../../src/app/current.ts';
import { AsyncResult, Celery, ImproperlyConfigured, RuntimeError, TimeoutError } from '../../../src/index.ts';
import type { ResultUpdate, TaskRequest } from '../../../src/index.ts';
import { encodeValue } from '../../../src/message/registry.ts';
import type { ResultMeta } from '../../../src/message/result-meta.ts';

let app: Celery;
beforeEach(() => {
  app = new Celery('results', { broker: 'memory://', backend: 'cache+memory://' });
  app.markConfigured();
});
afterEach(() => app.close());

function meta(taskId: string, status: string, more: Partial<ResultMeta> = {}): ResultMeta {
  return {
    taskId,
    status,
    result: null,
    error: null,
    traceback: null,
    children: null,
    dateDone: null,
    groupId: null,
    parentId: null,
    extended: null,
    ...more,
  };
}

const value = (of: unknown) => ({ result: encodeValue(of, 'json') });
const boom = {
  error: { type: 'ValueError', module: 'builtins', args: ['boom'], traceback: null },
  traceback: 'Traceback: here',
};

describe('what a result says', () => {
  it('before anything is known', async () => {
    const result = app.AsyncResult(randomUUID());
    expect(String(result)).toBe(result.id);
    expect(
      await Promise.all([
        result.state(),
        result.status(),
        result.ready(),
        result.successful(),
        result.failed(),
      ]),
    ).toEqual(['PENDING', 'PENDING', false, false, false]);
    expect(
      await Promise.all([
        result.result(),
        result.info(),
        result.traceback(),
        result.dateDone(),
        result.children(),
      ]),
    ).toEqual([null, null, null, null, null]);
  });

  it('of a success, with all that result_extended keeps', async () => {
    const dateDone = new Date('2026-11-22T15:15:00Z');
    const extended = {
      name: 'tasks.add',
      args: encodeValue([4, 4], 'json'),
      kwargs: encodeValue({ k: 1 }, 'json'),
      worker: 'w@h',
      retries: 2,
      queue: 'celery',
    };
    const result = app.AsyncResult<number>(randomUUID());
    await app.backend.store(
      meta(result.id, 'SUCCESS', {
        ...value(8),
        dateDone,
        extended,
        children: [[['child', [['up', null], null]], null]],
      }),
    );
    expect(
      await Promise.all([
        result.state(),
        result.ready(),
        result.successful(),
        result.failed(),
        result.result(),
        result.dateDone(),
      ]),
    ).toEqual(['SUCCESS', true, true, false, 8, dateDone]);
    expect(
      await Promise.all([
        result.name(),
        result.args(),
        result.kwargs(),
        result.worker(),
        result.retries(),
        result.queue(),
      ]),
    ).toEqual(['tasks.add', [4, 4], { k: 1 }, 'w@h', 2, 'celery']);
    const [child] = (await result.children()) ?? [];
    expect([child?.id, child?.parent?.id]).toEqual(['child', 'up']);
    await result.maybeThrow();
  });

  it('of a failure', async () => {
    const result = app.AsyncResult(randomUUID());
    await app.backend.store(meta(result.id, 'FAILURE', boom));
    expect(
      await Promise.all([result.state(), result.failed(), result.successful(), result.traceback()]),
    ).toEqual(['FAILURE', true, false, 'Traceback: here']);
    const failure = await result.get().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(failure).toMatchObject({
      name: 'ValueError',
      message: 'boom',
      remoteTraceback: 'Traceback: here',
    });
    expect(await result.get({ propagate: false })).toMatchObject({ name: 'ValueError', message: 'boom' });
    await expect(result.maybeThrow()).rejects.toThrow('boom');
  });

  it('of a retry is the error, not thrown', async () => {
    const result = app.AsyncResult(randomUUID());
    await app.backend.store(meta(result.id, 'RETRY', boom));
    expect([await result.state(), await result.ready(), String(await result.info())]).toEqual([
      'RETRY',
      false,
      'ValueError: boom',
    ]);
    await result.maybeThrow();
  });

  it('after forget is nothing', async () => {
    const result = app.AsyncResult(randomUUID());
    await app.backend.store(meta(result.id, 'SUCCESS', value(1)));
    expect(await result.get()).toBe(1);
    await result.forget();
    expect(await result.state()).toBe('PENDING');
  });

  it('names its backend without the password', () => {
    const { backend } = new Celery('b', { backend: 'cache+memory://' }).AsyncResult('id');
    expect([String(backend), String(new Celery('b').AsyncResult('id').backend)]).toEqual([
      'cache+memory://',
      'disabled://',
    ]);
  });
});

describe('get', () => {
  it('waits for the result', async () => {
    const result = app.AsyncResult<number>(randomUUID());
    const got = result.get({ timeout: 5 });
    await app.backend.store(meta(result.id, 'STARTED', value({ pid: 1 })));
    await app.backend.store(meta(result.id, 'SUCCESS', value(8)));
    expect(await got).toBe(8);
  });

  it('gives up after its timeout, and can be asked again', async () => {
    const result = app.AsyncResult(randomUUID());
    await expect(result.get({ timeout: 0.05 })).rejects.toThrow(new TimeoutError('The operation timed out.'));
    await app.backend.store(meta(result.id, 'SUCCESS', value(1)));
    expect(await result.get({ timeout: 1 })).toBe(1);
  });

  it.each([
    ['before', (gone: Error) => AbortSignal.abort(gone)],
    [
      'later',
      (gone: Error) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(gone), 20);
        return controller.signal;
      },
    ],
  ])('ends with the signal: %s', async (_, signalOf) => {
    const gone = new Error('gone');
    await expect(app.AsyncResult(randomUUID()).get({ signal: signalOf(gone) })).rejects.toBe(gone);
  });

  it('ends when the app is closed', async () => {
    const got = app.AsyncResult(randomUUID()).get();
    const closed = expect(got).rejects.toThrow('closed');
    await new Promise(setImmediate);
    await app.close();
    await closed;
  });

  it('says that there is no backend', async () => {
    const bare = new Celery('bare', { broker: 'memory://' });
    bare.markConfigured();
    const result = bare.AsyncResult('id');
    for (const asked of [result.get(), result.state(), result.ready()]) {
      await expect(asked).rejects.toThrow(ImproperlyConfigured);
      await expect(asked).rejects.toThrow(/^No result backend is configured\..*result_backend/);
    }
  });

  it('does not wait for a result that is ignored', async () => {
    const ignored = await app.sendTask('t', [], { ignoreResult: true });
    expect([ignored.ignored, await ignored.get()]).toEqual([true, undefined]);
  });

  it('is refused inside a task, unless told otherwise', async () => {
    const result = app.AsyncResult(randomUUID());
    await app.backend.store(meta(result.id, 'SUCCESS', value(1)));
    const inside = <T>(run: () => T): T => runningTask.run({ id: 'outer' } as RunningTask, run);
    await expect(inside(() => result.get())).rejects.toThrow(RuntimeError);
    await expect(inside(() => result.get())).rejects.toThrow('Never call result.get() within a task');
    expect(await inside(() => result.get({ disableSyncSubtasks: false }))).toBe(1);
  });
});

describe('updates', () => {
  it('shows each state until the last', async () => {
    const result = app.AsyncResult(randomUUID());
    const seen: ResultUpdate[] = [];
    await app.backend.store(meta(result.id, 'STARTED', value({ pid: 1 })));
    for await (const update of result.updates()) {
      seen.push(update);
      if (update.state === 'STARTED')
        await app.backend.store(meta(result.id, 'PROGRESS', value({ current: 1 })));
      if (update.state === 'PROGRESS') await app.backend.store(meta(result.id, 'FAILURE', boom));
    }
    expect(seen.map(({ state }) => state)).toEqual(['STARTED', 'PROGRESS', 'FAILURE']);
    expect([seen[1]?.info, String(seen[2]?.info), seen[2]?.traceback]).toEqual([
      { current: 1 },
      'ValueError: boom',
      'Traceback: here',
    ]);
    const again: unknown[] = [];
    for await (const { state } of result.updates()) again.push(state);
    expect(again).toEqual(['FAILURE']);
  });

  it('ends with its signal', async () => {
    const gone = new Error('gone');
    const updates = app.AsyncResult(randomUUID()).updates({ signal: AbortSignal.abort(gone) });
    await expect(updates.next()).rejects.toBe(gone);
  });
});

describe('task_always_eager', () => {
  beforeEach(() => {
    app.conf.task_always_eager = true;
  });

  it('runs the task here, through its message', async () => {
    const task = app.task('t', { bind: true }, (self, at: Date) => [
      at.getTime(),
      self.request.isEager,
      self.request.calledDirectly,
    ]);
    const result = await task.delay(new Date(7));
    expect(result).toBeInstanceOf(AsyncResult);
    expect([await result.get(), await result.state(), await result.ready()]).toEqual([
      [7, true, false],
      'SUCCESS',
      true,
    ]);
    expect(await app.AsyncResult(result.id).state()).toBe('PENDING');
  });

  it('checks what cannot be sent', async () => {
    const task = app.task('t', (run: unknown) => run);
    await expect(task.delay(() => 1)).rejects.toThrow(/function/);
  });

  it('keeps the error as the result', async () => {
    const task = app.task('t', () => {
      throw new RangeError('boom');
    });
    const result = await task.delay();
    expect(await result.state()).toBe('FAILURE');
    await expect(result.get()).rejects.toThrow(new RangeError('boom'));
  });

  it('throws it with task_eager_propagates', async () => {
    app.conf.task_eager_propagates = true;
    const task = app.task('t', () => {
      throw new RangeError('boom');
    });
    await expect(task.delay()).rejects.toThrow(new RangeError('boom'));
  });

  it('retries at once', async () => {
    const task = app.task('t', { bind: true }, (self, until: number) => {
      if (self.request.retries < until) throw self.retry({ countdown: 100, args: [until] });
      return self.request.retries;
    });
    expect(await (await task.delay(2)).get()).toBe(2);
    await expect((await task.delay(4)).get()).rejects.toThrow(/Can't retry/);
  });

  it('stores the result with task_store_eager_result', async () => {
    app.conf.task_store_eager_result = true;
    const task = app.task('t', { bind: true }, async (self) => {
      await self.updateState('PROGRESS', 1);
      return 'done';
    });
    const { id } = await task.delay();
    expect(await app.AsyncResult(id).get({ timeout: 1 })).toBe('done');
  });

  it('calls error callbacks that take the error, and runs those that take the id', async () => {
    const seen: unknown[] = [];
    const boom = app.task('boom', () => {
      throw new RangeError('boom');
    });
    const alarm = app.task(
      'alarm',
      (request: TaskRequest, exc: Error, traceback: string | null, of: string) => {
        seen.push([request.id, request.task, exc instanceof RangeError, traceback?.split('\n')[0], of]);
      },
    );
    const told = app.task('told', { bind: true }, (self, id: string) => {
      seen.push([id, self.request.parentId, self.request.isEager]);
    });
    const signature = boom.s().onError(alarm.s('mine')).onError(told.s());
    for (const call of [() => signature.clone().delay(), () => signature.clone().apply()]) {
      seen.length = 0;
      const { id } = await call();
      expect(seen).toEqual([
        [id, 'boom', true, 'RangeError: boom', 'mine'],
        [id, id, true],
      ]);
    }
  });

  it('sends what is linked, and gives calls inside a task their place', async () => {
    const seen: unknown[] = [];
    const log = app.task(
      'log',
      { bind: true },
      (self, first: unknown) => void seen.push([first, self.request.parentId]),
    );
    const outer = app.task('outer', { bind: true }, async (self) => {
      await log.delay('inner');
      return self.request.id;
    });
    const link = { task: 'log', args: [], kwargs: {}, options: {}, subtask_type: null, immutable: false };
    const result = await outer.applyAsync([], { link });
    expect(seen).toEqual([
      ['inner', result.id],
      [result.id, result.id],
    ]);
    expect(await result.children()).toHaveLength(1);
  });
});
