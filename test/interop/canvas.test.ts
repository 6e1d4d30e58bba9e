import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CanvasRuns, chain, chord, group, immutable, linked, WAYS } from '../support/canvas-runs.ts';
import type { Shape } from '../support/canvas-runs.ts';
import { Cluster } from '../support/interop-cluster.ts';
import { python } from '../support/python.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

/** `races` are sets of tasks any of which may end last, and so be the parent, or the root, of what follows them all. */
const SHAPES: readonly (readonly [name: string, shape: Shape, result: unknown, races?: readonly string[]])[] =
  [
    ['a chain', (t) => chain(t('a', 1), t('b', 2), t('c')), 'c(b(a(1), 2))'],
    ['an immutable step', (t) => chain(t('a', 1), immutable(t('b', 2)), t('c')), 'c(b(2))'],
    ['a group', (t) => group(t('a', 1), t('b', 2)), ['a(1)', 'b(2)']],
    ['a group in a group', (t) => group(t('a', 1), group(t('b', 2), t('c', 3))), ['a(1)', 'b(2)', 'c(3)']],
    ['a group of one in a chain', (t) => chain(t('a', 1), group(t('b')), t('c')), 'c(b(a(1)))'],
    ['a chord', (t) => chord([t('a', 1), t('b', 2)], t('c')), 'c([a(1), b(2)])', ['ab']],
    ['a chord of one', (t) => chord([t('a', 1)], t('c')), 'c([a(1)])'],
    ['a chord of none', (t) => chord([], t('c')), 'c([])'],
    [
      'a group and a task',
      (t) => chain(group(t('a', 1), t('b', 2)), t('c'), t('d')),
      'd(c([a(1), b(2)]))',
      ['ab'],
    ],
    ['a task and a group', (t) => chain(t('a', 1), group(t('b'), t('c'))), ['b(a(1))', 'c(a(1))']],
    [
      'groups after groups',
      (t) => chain(t('a', 1), group(t('b'), t('c')), group(t('d'), t('e')), t('f')),
      'f([d([b(a(1)), c(a(1))]), e([b(a(1)), c(a(1))])])',
      ['bc', 'de'],
    ],
    [
      'chains in a group',
      (t) => group(chain(t('a', 1), t('b')), chain(t('c', 2), t('d'), t('e'))),
      ['b(a(1))', 'e(d(c(2)))'],
    ],
    [
      'chains in a chord',
      (t) => chord([chain(t('a', 1), t('b')), t('c', 2)], chain(t('d'), t('e'))),
      'e(d([b(a(1)), c(2)]))',
      ['abc'],
    ],
    [
      'a chord in a chain',
      (t) => chain(t('a', 1), chord([t('b'), t('c')], t('d')), t('e')),
      'e(d([b(a(1)), c(a(1))]))',
      ['bc'],
    ],
    [
      'a chord in a chord',
      (t) => chord([chord([t('a', 1), t('b', 2)], t('c')), t('d', 3)], t('e')),
      'e([c([a(1), b(2)]), d(3)])',
      ['abcd', 'ab'],
    ],
    [
      'a chord as body',
      (t) => chord([t('a', 1), t('b', 2)], chord([t('c'), t('d')], t('e'))),
      'e([c([a(1), b(2)]), d([a(1), b(2)])])',
      ['ab', 'cd'],
    ],
    [
      'several steps after a group',
      (t) => chain(t('a', 1), group(t('b'), t('c')), t('d'), t('e')),
      'e(d([b(a(1)), c(a(1))]))',
      ['bc'],
    ],
    [
      'a chain as body, in a chain',
      (t) => chain(t('a', 1), chord([t('b'), t('c')], chain(t('d'), t('e')))),
      'e(d([b(a(1)), c(a(1))]))',
      ['bc'],
    ],
    [
      'a chord as body, in a chain',
      (t) => chain(t('a', 1), chord([t('b'), t('c')], chord([t('d'), t('e')], t('f')))),
      'f([d([b(a(1)), c(a(1))]), e([b(a(1)), c(a(1))])])',
      ['bc', 'de'],
    ],
    [
      'a group as body, in a chain',
      (t) => chain(t('a', 1), chord([t('b'), t('c')], group(t('d'), t('e')))),
      ['d([b(a(1)), c(a(1))])', 'e([b(a(1)), c(a(1))])'],
      ['bc', 'de'],
    ],
    ['a group as callback', (t) => linked(t('a', 1), group(t('b'), t('c'))), 'a(1)'],
  ];

describe.runIf(hasRedis && python !== undefined)('canvases with Python', { timeout: 60_000 }, () => {
  let redis: RedisServer;
  let cluster: Cluster;
  beforeAll(async () => {
    redis = await RedisServer.start();
    cluster = await Cluster.start({ broker: redis.url(0), backend: redis.url(0), resultSerializer: 'json' });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  describe.each(SHAPES.map(([name, ...rest]) => [name, rest] as const))(
    '%s',
    (_, [shape, result, races = []]) => {
      let expected: unknown;
      beforeAll(async () => {
        expected = await new CanvasRuns(cluster).run({ shape, races }, 'python', () => 'py');
        expect(expected).toMatchObject({ result });
      });

      it.each(WAYS)('%s', async (_, client, language) => {
        expect(await new CanvasRuns(cluster).run({ shape, races }, client, language)).toEqual(expected);
      });
    },
  );
});
