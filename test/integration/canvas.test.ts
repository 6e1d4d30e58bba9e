import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Celery, chain, chord, group, Ignore, Reject } from '../../src/index.ts';
import type { AnyResult, SignatureJson, TaskRequest } from '../../src/index.ts';
import { startWorker } from '../../src/testing/index.ts';
import type { TestWorker } from '../../src/testing/index.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

function tasksOf(app: Celery, seen: unknown[]) {
  const add = app.task('add', (x: number, y: number) => x + y);
  return {
    add,
    sum: app.task('sum', (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)),
    fail: app.task('fail', (x: number): number => {
      throw new TypeError(`no ${x}`);
    }),
    ignored: app.task('ignored', (): number => {
      throw new Ignore();
    }),
    rejected: app.task('rejected', { acksLate: true }, (): number => {
      throw new Reject('no thanks');
    }),
    flaky: app.task('flaky', { bind: true, maxRetries: 3 }, (self, x: number) => {
      if (self.request.retries < 2) throw self.retry({ countdown: 0 });
      return x;
    }),
    quiet: app.task('quiet', { ignoreResult: true }, (x: number) => x),
    twice: app.task('twice', { bind: true }, (self, x: number): number => self.replace(add.s(x, x))),
    fan: app.task('fan', { bind: true }, (self, count: number): number[] =>
      self.replace(group(Array.from({ length: count }, (_, n) => add.s(n, n)))),
    ),
    steps: app.task('steps', { bind: true }, (self, x: number): number =>
      self.replace(chain(add.s(x, 1), add.s(10))),
    ),
    grow: app.task('grow', { bind: true }, async (self, x: number) => {
      await self.addToChord(add.s(x, 100));
      return x;
    }),
    enlarge: app.task('enlarge', { bind: true }, async (self, x: number, more: SignatureJson) => {
      await self.addToChord(more);
      return x;
    }),
    same: app.task('same', (items: readonly unknown[]) => items),
    count: app.task('count', (items: readonly unknown[]) => items.length),
    nobody: app.signature<number>('nobody'),
    note: app.task('note', (x: unknown) => {
      seen.push(x);
    }),
    alarm: app.task('alarm', (request: TaskRequest, exc: Error, traceback: string | null, of = '') => {
      seen.push([request.task, String(exc), exc.constructor.name, traceback?.split('\n')[0], of]);
    }),
    broken: app.task('broken', (request: TaskRequest, exc: Error): void => {
      throw new RangeError(`an error callback that fails, after ${request.task} with ${exc.name}`);
    }),
    bound: app.task('bound', { bind: true }, (self, id: string, more = 0) => {
      seen.push([self.request.parentId === id, self.request.args.length + more]);
    }),
    sends: app.task('sends', async (request: TaskRequest, exc: Error) => {
      await app.tasks.get('child')?.delay(request.id, exc.name);
    }),
    child: app.task('child', { bind: true }, (self, parent: string, why: string) => {
      seen.push(self.request.parentId === parent && why === 'TypeError');
    }),
  };
}

type Tasks = ReturnType<typeof tasksOf>;
/** What was seen of error callbacks: those that were called before those that were sent. */
const rank = (seen: unknown): number => (Array.isArray(seen) ? (seen.length === 5 ? 0 : 2) : 1);

/** A signature whose types are of no matter here. */
interface Sendable {
  delay(): Promise<unknown>;
}

const GIVES: readonly (readonly [name: string, make: (t: Tasks) => Sendable, result: unknown])[] = [
  ['a member that retries', (t) => chord([t.flaky.s(3), t.add.s(1, 1)], t.sum.s()), 5],
  ['a member whose result is ignored', (t) => chord([t.quiet.s(3), t.add.s(1, 1)], t.sum.s()), 5],
  ['a member that is replaced', (t) => chord([t.twice.s(3), t.add.s(1, 1)], t.sum.s()), 8],
  ['a member that is replaced by a chain', (t) => chord([t.steps.s(3), t.add.s(1, 1)], t.sum.s()), 16],
  ['a member that adds another', (t) => chord([t.grow.s(3), t.add.s(1, 1)], t.sum.s()), 108],
  [
    'a member that adds a chain',
    (t) => chord([t.enlarge.s(3, chain(t.add.s(1, 1), t.add.s(1)).toJSON()), t.add.s(1, 1)], t.sum.s()),
    8,
  ],
  [
    'a member that adds a group',
    (t) => chord([t.enlarge.s(3, group(t.add.s(1, 1), t.add.s(2, 2)).toJSON()), t.add.s(1, 1)], t.sum.s()),
    11,
  ],
  [
    'a member that adds a chord',
    (t) =>
      chord(
        [t.enlarge.s(3, chord([t.add.s(1, 1), t.add.s(2, 2)], t.sum.s()).toJSON()), t.add.s(1, 1)],
        t.sum.s(),
      ),
    11,
  ],
  [
    'a member that is replaced by a group, in order',
    (t) => chord([t.fan.s(4), t.add.s(1, 1)], t.same.s()),
    [[0, 2, 4, 6], 2],
  ],
  ['a step that is replaced', (t) => chain(t.twice.s(3), t.add.s(1)), 7],
  ['a step that is replaced by a group', (t) => chain(t.fan.s(3), t.sum.s(), t.add.s(1)), 7],
  ['a step that is replaced by a chain', (t) => chain(t.steps.s(3), t.add.s(1)), 15],
  [
    'chunks',
    (t) =>
      t.add.chunks(
        [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
        2,
      ),
    [[2, 4], [6]],
  ],
  [
    'chunks and a task',
    (t) =>
      chain(
        t.add.chunks(
          [
            [1, 1],
            [2, 2],
          ],
          1,
        ),
        t.count.s(),
      ),
    2,
  ],
  ['map and starmap', (t) => group(t.sum.map([[1, 2], [3]]), t.add.starmap([[1, 2]])), [[3, 3], [3]]],
  [
    'priority and queue of the members',
    (t) => group(t.add.s(1, 1).set({ priority: 3 }), t.add.s(2, 2)),
    [2, 4],
  ],
];

const FAILS: readonly (readonly [name: string, make: (t: Tasks) => Sendable, error: RegExp])[] = [
  [
    'a member that fails',
    (t) => chord([t.fail.s(1), t.add.s(1, 1)], t.sum.s()),
    /Dependency .* raised TypeError\('no 1'\)/,
  ],
  [
    'the last member fails',
    (t) => chord([t.add.s(1, 1), t.fail.s(2)], t.sum.s()),
    /raised TypeError\('no 2'\)/,
  ],
  [
    'a step before the end of a member',
    (t) => chord([chain(t.fail.s(1), t.add.s(1)), t.add.s(1, 1)], t.sum.s()),
    /raised TypeError/,
  ],
  ['an inner chord', (t) => chord([chord([t.fail.s(1)], t.sum.s()), t.add.s(1, 1)], t.sum.s()), /ChordError/],
  [
    'a chord in a chain',
    (t) => chain(t.add.s(1, 1), chord([t.fail.s(), t.add.s(1)], t.sum.s()), t.add.s(1)),
    /Dependency/,
  ],
  ['the body', (t) => chain(chord([t.add.s(1, 1)], t.sum.s()), t.fail.s(), t.add.s(1)), /^TypeError: no 2$/],
  ['a member that ends by Ignore', (t) => chord([t.ignored.s(), t.add.s(1, 1)], t.sum.s()), /raised Ignore/],
  ['a member that is rejected', (t) => chord([t.rejected.s(), t.add.s(1, 1)], t.sum.s()), /raised Reject/],
  [
    'a member that expires',
    (t) => chord([t.add.s(1, 1).set({ expires: -1 }), t.add.s(1, 1)], t.sum.s()),
    /TaskRevokedError\('expired'\)/,
  ],
  ['a member that nobody knows', (t) => chord([t.nobody, t.add.s(1, 1)], t.sum.s()), /NotRegistered/],
];

describe.each([
  ['memory', true],
  ['rabbitmq and redis', hasRabbitmq && hasRedis],
])('canvases of a worker over %s', (name, isThere) => {
  if (!isThere) return;
  const seen: unknown[] = [];
  const servers: AsyncDisposable[] = [];
  let app: Celery;
  let worker: TestWorker;
  let tasks: Tasks;
  beforeAll(async () => {
    let urls = { broker: 'memory://', backend: 'cache+memory://' };
    if (name !== 'memory') {
      const [rabbitmq, redis] = await Promise.all([Rabbitmq.start(), RedisServer.start()]);
      servers.push(rabbitmq, redis);
      urls = { broker: await rabbitmq.vhost('canvas'), backend: redis.url(0) };
    }
    app = new Celery('canvas', urls);
    app.markConfigured();
    tasks = tasksOf(app, seen);
    worker = await startWorker(app);
  }, 60_000);
  afterAll(async () => {
    await worker.stop();
    await app.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
  }, 60_000);

  it.each(GIVES)('%s', { timeout: 30_000 }, async (_, make, expected) => {
    const result = (await make(tasks).delay()) as AnyResult;
    expect(await result.get({ timeout: 20 })).toEqual(expected);
  });

  it.each(FAILS)('fails: %s', { timeout: 30_000 }, async (_, make, error) => {
    const result = (await make(tasks).delay()) as AnyResult;
    const failure: unknown = await result.get({ timeout: 20 }).catch((thrown: unknown) => thrown);
    expect(String(failure)).toMatch(error);
  });

  it.each<[string, (t: Tasks) => Sendable]>([
    ['of a chain', (t) => chain(t.add.s(1, 1), t.fail.s(), t.add.s(1)).onError(t.note.s())],
    ['of a body', (t) => chord([t.fail.s(1), t.add.s(1, 1)], t.sum.s()).onError(t.note.s())],
    [
      'of a body of several steps',
      (t) => chord([t.fail.s(1)], chain(t.sum.s(), t.add.s(1))).onError(t.note.s()),
    ],
  ])('error callback %s, called once', { timeout: 30_000 }, async (_, make) => {
    seen.length = 0;
    const result = (await make(tasks).delay()) as AnyResult;
    await result.get({ timeout: 20, propagate: false });
    await vi.waitFor(
      () => {
        expect(seen).toEqual([expect.any(String)]);
      },
      { timeout: 15_000 },
    );
  });

  const failure = (x: number, of = '') => [
    'fail',
    `TypeError: no ${x}`,
    'TypeError',
    `TypeError: no ${x}`,
    of,
  ];
  it.each<[string, (t: Tasks) => Sendable, readonly unknown[]]>([
    ['of a task', (t) => t.fail.s(1).onError(t.alarm.s()), [failure(1)]],
    ['with an argument of its own', (t) => t.fail.s(1).onError(t.alarm.s('x')), [failure(1, 'x')]],
    [
      'of a group',
      (t) => group(t.fail.s(1), t.add.s(1, 1), t.fail.s(2)).onError(t.alarm.s()),
      [failure(1), failure(2)],
    ],
    ['of a chain', (t) => chain(t.add.s(1, 1), t.fail.s(), t.add.s(1)).onError(t.alarm.s()), [failure(2)]],
    [
      'of a body',
      (t) => chord([t.fail.s(1), t.add.s(1, 1)], t.sum.s()).onError(t.alarm.s()),
      [
        [
          'sum',
          expect.stringMatching(/^ChordError: Dependency .* raised TypeError\('no 1'\)$/),
          'ChordError',
          expect.any(String),
          '',
        ],
      ],
    ],
    [
      'of a task that nobody knows',
      (t) => chain(t.nobody.clone(), t.add.s(1)).onError(t.alarm.s()),
      [['nobody', 'NotRegistered: nobody', 'NotRegistered', expect.any(String), '']],
    ],
    [
      'beside one that fails, one that takes self, and one that takes the id',
      (t) => t.fail.s(1).onError(t.broken.s()).onError(t.bound.s()).onError(t.alarm.s()).onError(t.note.s()),
      [failure(1), expect.any(String), [true, 1]],
    ],
    ['that calls a task, whose parent is the failed one', (t) => t.fail.s(1).onError(t.sends.s()), [true]],
  ])(
    'error callback that takes the request, the error and the traceback: %s',
    { timeout: 30_000 },
    async (_, make, expected) => {
      seen.length = 0;
      const result = (await make(tasks).delay()) as AnyResult;
      await result.get({ timeout: 20, propagate: false });
      const sorted = (): unknown[] =>
        [...seen].sort((a, b) => rank(a) - rank(b) || String(a).localeCompare(String(b)));
      await vi.waitFor(
        () => {
          expect(sorted()).toEqual(expected);
        },
        { timeout: 15_000 },
      );
    },
  );

  it.each<[string, (t: Tasks) => Sendable, readonly unknown[]]>([
    ['a chain', (t) => t.steps.s(1).link(t.note.s()), ['12']],
    ['a group', (t) => t.fan.s(2).link(t.note.s()), ['0,2']],
  ])(
    'a callback of a task that is replaced by %s is called once',
    { timeout: 30_000 },
    async (_, make, calls) => {
      seen.length = 0;
      await ((await make(tasks).delay()) as AnyResult).get({ timeout: 20 });
      await vi.waitFor(
        () => {
          expect(seen.map(String)).toEqual(calls);
        },
        { timeout: 15_000 },
      );
    },
  );

  it('callbacks of a chain, a chord and a group', { timeout: 30_000 }, async () => {
    seen.length = 0;
    await chain(tasks.add.s(1, 1), tasks.add.s(1)).link(tasks.note.s()).delay();
    await chord([tasks.add.s(2, 2)], tasks.sum.s())
      .link(tasks.note.s())
      .delay();
    await tasks.add
      .s(5, 5)
      .link(group(tasks.note.s(), tasks.note.si('twice')))
      .delay();
    await vi.waitFor(
      () => {
        expect([...seen].map(String).sort()).toEqual(['10', '3', '4', 'twice']);
      },
      { timeout: 15_000 },
    );
  });
});
