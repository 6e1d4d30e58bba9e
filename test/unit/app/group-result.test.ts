import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Celery, GroupResult, IncompleteStream, RuntimeError, TimeoutError } from '../../../src/index.ts';
import type { AnyResult, AsyncResult } from '../../../src/index.ts';
import { KeyError } from '../../../src/core/errors.ts';
import { runningTask } from '../../../src/app/current.ts';
import type { RunningTask } from '../../../src/app/current.ts';
import { errorMeta, resultMeta } from '../../contract/backend-suite.ts';

let app: Celery;
let a: AsyncResult, b: AsyncResult, c: AsyncResult;
beforeEach(() => {
  app = new Celery('results', { broker: 'memory://', backend: 'cache+memory://group-result' });
  app.markConfigured();
  [a, b, c] = [app.AsyncResult(randomUUID()), app.AsyncResult(randomUUID()), app.AsyncResult(randomUUID())];
});
afterEach(() => app.close());

const group = (...results: readonly AnyResult[]): GroupResult => app.GroupResult(randomUUID(), results);
const succeed = (result: AnyResult, value: unknown, children: readonly AnyResult[] = []) =>
  app.backend.store(
    resultMeta(result.id, 'SUCCESS', value, { children: children.map((child) => child.asTuple()) }),
  );
const fail = (result: AnyResult) => app.backend.store(errorMeta(result.id, 'FAILURE'));
const states = async (of: GroupResult): Promise<unknown[]> => [
  ...(await Promise.all([of.ready(), of.waiting(), of.successful(), of.failed()])),
  await of.completedCount(),
];

describe('what a group says', () => {
  it.each([
    ['nothing has ended', [], [], [false, true, false, false, 0]],
    ['some have', [0, 1], [], [false, true, false, false, 2]],
    ['all have', [0, 1, 2], [], [true, false, true, false, 3]],
    ['one has failed', [0], [2], [false, true, false, true, 1]],
    ['all have, one of them with an error', [0, 1], [2], [true, false, false, true, 2]],
  ])('when %s', async (_, succeeded, failed, expected) => {
    const members = [a, b, c];
    for (const index of succeeded) await succeed(members[index] ?? a, index);
    for (const index of failed) await fail(members[index] ?? a);
    expect(await states(group(a, b, c))).toEqual(expected);
    expect(await states(group(group(a, b), c))).toEqual([
      ...expected.slice(0, 4),
      // A group in it counts as one.
      Number(succeeded.includes(0) && succeeded.includes(1)) + Number(succeeded.includes(2)),
    ]);
  });

  it('without members', async () => {
    expect(await states(group())).toEqual([true, false, true, false, 0]);
    expect(await group().get()).toEqual([]);
    expect(await group().join()).toEqual([]);
  });

  it('in Celery’s tuple form and back, groups and parents in it', () => {
    const inner = app.GroupResult('inner', [app.AsyncResult('x', app.AsyncResult('before'))]);
    const outer = app.GroupResult('outer', [app.AsyncResult('y'), inner], app.AsyncResult('first'));
    const tuple = [
      ['outer', [['first', null], null]],
      [
        [['y', null], null],
        [['inner', null], [[['x', [['before', null], null]], null]]],
      ],
    ];
    expect(outer.asTuple()).toEqual(tuple);
    expect(outer.asList()).toEqual(['outer', 'y', 'inner', 'x', 'before', 'first']);
    const again = app.resultFromTuple(outer.asTuple());
    expect(again).toBeInstanceOf(GroupResult);
    expect(again.asTuple()).toEqual(tuple);
    expect(String(again)).toBe('outer');
  });

  it('is saved, restored and deleted', async () => {
    const saved = app.GroupResult<[number, string]>('saved', [a, group(b, c)], app.AsyncResult('before'));
    expect(await app.restoreGroup('saved')).toBeNull();
    await saved.save();
    const restored = await app.restoreGroup<[number, string]>('saved');
    expect(restored).toBeInstanceOf(GroupResult);
    expect(restored?.asTuple()).toEqual(saved.asTuple());
    await saved.delete();
    expect(await app.restoreGroup('saved')).toBeNull();
  });
});

describe('waiting for a group', () => {
  it.each(['get', 'join', 'joinNative'] as const)('%s gives the values in order', async (method) => {
    const waiting = group(a, group(b, c))[method]({ timeout: 20 });
    await succeed(c, { last: 3 });
    await succeed(b, null);
    await succeed(a, 1);
    expect(await waiting).toEqual([1, [null, { last: 3 }]]);
  });

  it.each(['get', 'join', 'joinNative'] as const)('%s throws the error of a member', async (method) => {
    await fail(b);
    await Promise.all([succeed(a, 1), succeed(c, 1)]);
    await expect(group(a, b, c)[method]()).rejects.toMatchObject({ name: 'ValueError' });
    await expect(group(c, group(a, b))[method]()).rejects.toMatchObject({ name: 'ValueError' });
    expect(await group(a, b)[method]({ propagate: false })).toMatchObject([1, { name: 'ValueError' }]);
  });

  it('get does not wait for the others when one has failed; join does for those before it', async () => {
    await fail(c);
    await expect(group(a, b, c).get()).rejects.toMatchObject({ name: 'ValueError' });
    await expect(group(c, b).join()).rejects.toMatchObject({ name: 'ValueError' });
    const joined = group(a, c).join();
    let ended = false;
    void joined.catch(() => (ended = true));
    await group(c).get({ propagate: false });
    expect(ended).toBe(false);
    await succeed(a, 1);
    await expect(joined).rejects.toMatchObject({ name: 'ValueError' });
  });

  it('iterates in the order in which they end', async () => {
    await succeed(b, 'first');
    const seen: unknown[] = [];
    const next = [() => succeed(c, 'second'), () => succeed(a, 'third'), () => undefined];
    for await (const [result, value] of group(a, b, c).iterate({ timeout: 20 })) {
      seen.push([result.id, value]);
      await next.shift()?.();
    }
    expect(seen).toEqual([
      [b.id, 'first'],
      [c.id, 'second'],
      [a.id, 'third'],
    ]);
  });

  it.each(['get', 'join'] as const)('%s hands values to a callback instead', async (method) => {
    const seen: unknown[] = [];
    await Promise.all([succeed(a, 1), succeed(b, 2)]);
    const callback = (id: string, value: unknown): void => void seen.push([id, value]);
    expect(await group(a, b)[method]({ callback })).toEqual([]);
    expect(seen).toEqual([
      [a.id, 1],
      [b.id, 2],
    ]);
    expect(await a.get({ callback })).toBe(1);
    expect(seen).toHaveLength(3);
  });

  it.each(['get', 'join'] as const)('%s ends with its timeout, its signal and the app', async (method) => {
    await succeed(a, 1);
    await expect(group(a, b)[method]({ timeout: 0.02 })).rejects.toBeInstanceOf(TimeoutError);
    const stop = new AbortController();
    const stopped = group(a, b)[method]({ signal: stop.signal, propagate: false });
    stop.abort(new Error('enough'));
    await expect(stopped).rejects.toThrow('enough');
    const left = group(a, b)[method]();
    const closed = expect(left).rejects.toThrow('The app was closed.');
    await app.ready();
    await app.close();
    await closed;
  });

  it('is refused inside a task', async () => {
    const inside = { id: 'x' } as RunningTask;
    await succeed(a, 1);
    await expect(runningTask.run(inside, () => group(a).get())).rejects.toBeInstanceOf(RuntimeError);
    await expect(runningTask.run(inside, () => group(a).join())).rejects.toBeInstanceOf(RuntimeError);
    expect(await runningTask.run(inside, () => group(a).get({ disableSyncSubtasks: false }))).toEqual([1]);
  });
});

describe('what comes after a task that failed', () => {
  it.each([
    ['a task', () => app.AsyncResult(randomUUID(), app.AsyncResult(b.id, a))],
    ['a group', () => app.GroupResult(randomUUID(), [b, c], a)],
    ['the body of a chord', () => app.AsyncResult(randomUUID(), app.GroupResult(randomUUID(), [b, c], a))],
  ])('%s is not waited for', async (_, make) => {
    const result = make();
    const waiting = expect(result.get({ timeout: 20 })).rejects.toMatchObject({ name: 'ValueError' });
    await succeed(b, 1);
    await fail(a);
    await waiting;
    await expect(result.get({ timeout: 0.02, followParents: false })).rejects.toBeInstanceOf(TimeoutError);
  });

  it('a member of a header fails the chord, not whoever waits for its body', async () => {
    const body = app.AsyncResult(randomUUID(), group(a, b));
    await fail(a);
    const waiting = body.get({ timeout: 20 });
    await succeed(body, 'as it ended');
    expect(await waiting).toBe('as it ended');
  });
});

describe('the tree of a result', () => {
  it('is gone through breadth first, with and without values', async () => {
    const inner = group(b, c);
    const deep = app.AsyncResult(randomUUID());
    await succeed(a, 'a', [inner, a]);
    await succeed(b, 'b', [deep]);
    await succeed(c, 'c');
    await succeed(deep, 'deep');
    const edges: unknown[] = [];
    for await (const [parent, result] of a.iterdeps()) edges.push([parent?.id ?? null, result.id]);
    expect(edges).toEqual([
      [null, a.id],
      [a.id, inner.id],
      [inner.id, b.id],
      [inner.id, c.id],
      [b.id, deep.id],
    ]);
    const collected: unknown[] = [];
    for await (const [, value] of a.collect({ timeout: 20 })) collected.push(value);
    expect(collected).toEqual(['a', ['b', 'c'], 'b', 'c', 'deep']);
    expect(await a.getLeaf()).toBe('deep');
  });

  it('cannot be gone through where a task has not ended, unless that is left out', async () => {
    await succeed(a, 1, [b]);
    const ids = async (intermediate: boolean): Promise<string[]> => {
      const found: string[] = [];
      for await (const [, result] of a.iterdeps({ intermediate })) found.push(result.id);
      return found;
    };
    await expect(ids(false)).rejects.toBeInstanceOf(IncompleteStream);
    expect(await ids(true)).toEqual([a.id, b.id]);
  });

  it('is forgotten with what it follows', async () => {
    const last = app.AsyncResult(randomUUID(), app.GroupResult(randomUUID(), [a, b]));
    await Promise.all([a, b, last].map((result) => succeed(result, 1)));
    expect(await last.get()).toBe(1);
    await last.forget();
    expect(await Promise.all([a, b, last].map((result) => result.state()))).toEqual(Array(3).fill('PENDING'));
  });

  it('is revoked: its tasks, and all of the tree', async () => {
    const revoked: (readonly [string, string[], unknown])[] = [];
    app.control.broadcast = (command, args) => {
      revoked.push([command, args?.['task_id'] as string[], args?.['terminate']]);
      return Promise.resolve([]);
    };
    const sent = app.AsyncResult(randomUUID());
    await succeed(b, 1, [sent]);
    const first = app.AsyncResult(randomUUID());
    const last = app.AsyncResult(randomUUID(), first);
    const header = app.GroupResult(randomUUID(), [b, group(c), last], a);
    const body = app.AsyncResult(randomUUID(), header);
    await header.revoke();
    await header.revoke({ terminate: true, tree: true });
    await body.revoke();
    await body.revoke({ tree: true });
    expect(revoked).toEqual([
      ['revoke', [b.id, c.id, last.id], false],
      ['revoke', expect.any(Array), true],
      ['revoke', body.id, false],
      ['revoke', expect.any(Array), false],
    ]);
    const tree = [a, b, sent, c, first, last].map(({ id }) => id);
    expect(new Set(revoked[1]?.[1])).toEqual(new Set(tree));
    expect(new Set(revoked[3]?.[1])).toEqual(new Set([body.id, ...tree]));
  });
});

it('a set of results may change', () => {
  const set = app.ResultSet([a]);
  set.add(a);
  set.update([a, b, c]);
  expect([...set]).toEqual([a, b, c]);
  set.remove(b.id);
  expect(() => set.remove(b)).toThrow(KeyError);
  expect(set.discard(b)).toBe(false);
  expect([set.length, set.results]).toEqual([2, [a, c]]);
  set.clear();
  expect(set.length).toBe(0);
  expect(String(set.backend)).toBe('cache+memory://group-result');
});
