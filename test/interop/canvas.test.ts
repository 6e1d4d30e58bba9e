import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AnyResult, SignatureJson } from '../../src/index.ts';
import type { ResultTuple } from '../../src/message/outcome.ts';
import { Cluster } from '../support/interop-cluster.ts';
import { python } from '../support/python.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

type Json = SignatureJson;
/** Makes the shape; `t` is a task by its label. */
type Shape = (t: (label: string, ...args: unknown[]) => Json) => Json;

const composite = (type: string, kwargs: Json['kwargs']): Json => ({
  ...{ task: `celery.${type}`, args: [], kwargs, options: {}, subtask_type: type, immutable: false },
});
const chain = (...tasks: Json[]): Json => composite('chain', { tasks });
const group = (...tasks: Json[]): Json => composite('group', { tasks });
const chord = (header: Json[], body: Json): Json => composite('chord', { kwargs: {}, header, body });
const immutable = (json: Json): Json => ({ ...json, immutable: true });
const linked = (json: Json, link: Json): Json => ({ ...json, options: { ...json.options, link: [link] } });

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
      ['abc'],
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
    ['a group as callback', (t) => linked(t('a', 1), group(t('b'), t('c'))), 'a(1)'],
  ];

type Node = readonly [label: string, id: string, root: string, parent: string | null, index: unknown];
type Children = readonly (readonly string[])[];

/** What a run is: each label with the labels of its root, its parent and its children, and its place. */
function family(
  nodes: readonly Node[],
  races: readonly string[],
  children: ReadonlyMap<string, Children>,
): Record<string, unknown> {
  const labels = new Map(nodes.map(([label, id]) => [id, label]));
  const seenFrom = (label: string, id: string | null): string | undefined => {
    const other = labels.get(id ?? '');
    return (
      races.find((race) => other !== undefined && race.includes(other) && !race.includes(label)) ?? other
    );
  };
  return Object.fromEntries(
    nodes.map(([label, id, root, parent, index]) => [
      label,
      {
        ...{ root: seenFrom(label, root), parent: seenFrom(label, parent), index },
        children: children.get(id)?.map((ids) => ids.map((child) => labels.get(child) ?? '?').join('')),
      },
    ]),
  );
}

/** Ids of a child: of a group those of its members. */
function idsOf([[id], members]: ResultTuple): string[] {
  return members === null ? [id] : members.flatMap(idsOf);
}

const nodesOf = (notes: readonly unknown[]): Node[] => notes.map((each) => (each as [string, Node])[1]);

/** How many tasks a shape has. */
function count(shape: Shape): number {
  let tasks = 0;
  shape((label, ...args) => {
    tasks += 1;
    return { task: label, args, kwargs: {}, options: {}, subtask_type: null, immutable: false };
  });
  return tasks;
}

const WAYS = [
  ['Python to TypeScript', 'python', () => 'ts'],
  ['TypeScript to Python', 'typescript', () => 'py'],
  ['TypeScript to TypeScript', 'typescript', () => 'ts'],
  ['Python to both', 'python', (index: number) => (index % 2 === 0 ? 'py' : 'ts')],
  ['TypeScript to both', 'typescript', (index: number) => (index % 2 === 0 ? 'ts' : 'py')],
] as const;

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

  async function run(
    shape: Shape,
    client: 'python' | 'typescript',
    language: (index: number) => string,
    races: readonly string[],
  ): Promise<unknown> {
    const before = cluster.notes().length;
    let index = 0;
    const signature = shape((label, ...args) => {
      const task = `${language(index)}.node`;
      index += 1;
      return { task, args, kwargs: { label }, options: {}, subtask_type: null, immutable: false };
    });
    let result: unknown;
    if (client === 'python') {
      result = await cluster.py(
        `app.signature(json.loads(${JSON.stringify(JSON.stringify(signature))})).apply_async().get(timeout=T)`,
      );
    } else {
      const sent = (await cluster.client.signature(signature).delay()) as unknown as AnyResult;
      result = await sent.get({ timeout: 20 });
    }
    await vi.waitFor(
      () => {
        expect(cluster.notes()).toHaveLength(before + count(shape));
      },
      { timeout: 15_000, interval: 20 },
    );
    const nodes = nodesOf(cluster.notes().slice(before));
    const children = new Map<string, Children>();
    for (const [, id] of nodes) children.set(id, await childrenOf(id));
    return { result, family: family(nodes, races, children) };
  }

  /** What it has sent, which is known when its state is. */
  async function childrenOf(id: string): Promise<Children> {
    const stored = await vi.waitUntil(() => cluster.client.backend.fetch(id), { timeout: 15_000 });
    return (stored.children ?? []).map(idsOf);
  }

  describe.each(SHAPES.map(([name, ...rest]) => [name, rest] as const))(
    '%s',
    (_, [shape, result, races = []]) => {
      let expected: unknown;
      beforeAll(async () => {
        expected = await run(shape, 'python', () => 'py', races);
        expect(expected).toMatchObject({ result });
      });

      it.each(WAYS)('%s', async (_, client, language) => {
        expect(await run(shape, client, language, races)).toEqual(expected);
      });
    },
  );
});
