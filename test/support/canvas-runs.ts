import { expect, vi } from 'vitest';
import type { AnyResult, SignatureJson } from '../../src/index.ts';
import type { ResultTuple } from '../../src/message/outcome.ts';
import type { Cluster } from './interop-cluster.ts';

export type Json = SignatureJson;
/** Makes the shape; `t` is a task by its label. */
export type Shape = (t: (label: string, ...args: unknown[]) => Json) => Json;

/** A canvas to be run, and what is known of its run. */
export interface Case {
  readonly shape: Shape;
  /** Put on the whole by the client's own `link` and `link_error`. */
  readonly link?: Shape;
  readonly onError?: Shape;
  /** Sets of tasks any of which may end last, and so be the parent, or the root, of what follows them all. */
  readonly races?: readonly string[];
  /** A Python client reads it as it is, and does not put it together anew by `chain` and the like. */
  readonly isRaw?: boolean;
  /** So many of its tasks run; by default each once. */
  readonly runs?: number;
}

const composite = (type: string, kwargs: Json['kwargs']): Json => ({
  ...{ task: `celery.${type}`, args: [], kwargs, options: {}, subtask_type: type, immutable: false },
});
export const chain = (...tasks: Json[]): Json => composite('chain', { tasks });
export const group = (...tasks: Json[]): Json => composite('group', { tasks });
export const chord = (header: Json[], body: Json): Json => composite('chord', { kwargs: {}, header, body });
export const immutable = (json: Json): Json => ({ ...json, immutable: true });
export const linked = (json: Json, link: Json): Json => ({
  ...json,
  options: { ...json.options, link: [link] },
});
export const onError = (json: Json, errback: Json): Json => ({
  ...json,
  options: { ...json.options, link_error: [errback] },
});
/** The task goes on as another signature. */
export const becomes = (json: Json, other: Json): Json => ({
  ...json,
  kwargs: { ...json.kwargs, becomes: other },
});
/** The task adds a signature to its chord. */
export const adds = (json: Json, other: Json): Json => ({ ...json, kwargs: { ...json.kwargs, adds: other } });

type Node = readonly [label: string, id: string, root: string, parent: string | null, index: unknown];
type Children = readonly (readonly string[])[];

/** What came of a canvas: its result, and of each task by its label the labels of its root, parent and children, and its place. */
export interface Run {
  readonly result: unknown;
  readonly family: Readonly<Record<string, Member>>;
}

interface Member {
  readonly root: string | undefined;
  readonly parent: string | undefined;
  readonly index: unknown;
  readonly children: readonly string[] | undefined;
}

function family(
  nodes: readonly Node[],
  races: readonly string[],
  children: ReadonlyMap<string, Children>,
): Record<string, Member> {
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

const node = (task: string, label: string, args: readonly unknown[]): Json => ({
  ...{ task, args, kwargs: { label }, options: {}, subtask_type: null, immutable: false },
});

/** How many tasks a case has. */
function count({ shape, link, onError }: Case): number {
  let tasks = 0;
  for (const make of [shape, link, onError]) {
    make?.((label, ...args) => {
      tasks += 1;
      return node('', label, args);
    });
  }
  return tasks;
}

/** Who sends, and which tasks run where. */
export const WAYS = [
  ['Python to TypeScript', 'python', () => 'ts'],
  ['TypeScript to Python', 'typescript', () => 'py'],
  ['TypeScript to TypeScript', 'typescript', () => 'ts'],
  ['Python to both', 'python', (index: number) => (index % 2 === 0 ? 'py' : 'ts')],
  ['TypeScript to both', 'typescript', (index: number) => (index % 2 === 0 ? 'ts' : 'py')],
] as const;

/** Runs canvases on a cluster and tells what came of them: the result, and of each task its family. */
export class CanvasRuns {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** @param language of the task that is made as the so-many-eth */
  async run(it: Case, client: 'python' | 'typescript', language: (index: number) => string): Promise<Run> {
    const cluster = this.#cluster;
    const before = cluster.notes().length;
    let index = 0;
    const make = (shape: Shape | undefined): Json | undefined =>
      shape?.((label, ...args) => {
        const task = `${language(index)}.node`;
        index += 1;
        return node(task, label, args);
      });
    const parts = [it.shape, it.link, it.onError].map(make) as [Json, Json?, Json?];
    const result = await (client === 'python'
      ? this.#byPython(it.isRaw === true, ...parts)
      : this.#byTypeScript(...parts));
    await vi.waitFor(
      () => {
        expect(cluster.notes().slice(before).map(String)).toHaveLength(it.runs ?? count(it));
      },
      { timeout: 15_000, interval: 20 },
    );
    const nodes = nodesOf(cluster.notes().slice(before));
    const children = new Map<string, Children>();
    for (const [, id] of nodes) children.set(id, await this.#childrenOf(id));
    return { result, family: family(nodes, it.races ?? [], children) };
  }

  async #byPython(isRaw: boolean, canvas: Json, link?: Json, onError?: Json): Promise<unknown> {
    const signature = (json: Json): string =>
      `${isRaw ? 'app.signature' : 'built'}(json.loads(${pythonText(JSON.stringify(json))}))`;
    return this.#cluster.py(
      [
        `canvas = ${signature(canvas)}`,
        ...(link === undefined ? [] : [`canvas.link(${signature(link)})`]),
        ...(onError === undefined ? [] : [`canvas.link_error(${signature(onError)})`]),
        // With propagate it may give the error of a task before it.
        'value = canvas.apply_async().get(timeout=T, propagate=False)',
        'errors = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Exception)]',
        'return failed(type(errors[0]).__name__, str(errors[0])) if errors else value',
      ].join('\n'),
    );
  }

  async #byTypeScript(canvas: Json, link?: Json, onError?: Json): Promise<unknown> {
    const { client } = this.#cluster;
    const signature = client.signature(canvas);
    if (link !== undefined) signature.link(client.signature(link));
    if (onError !== undefined) signature.onError(client.signature(onError));
    const sent = (await signature.delay()) as unknown as AnyResult;
    try {
      return await sent.get({ timeout: 20 });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return failed(error.name, error.message);
    }
  }

  /** What it has sent, which is known when its state is. */
  async #childrenOf(id: string): Promise<Children> {
    const stored = await vi.waitUntil(() => this.#cluster.client.backend.fetch(id), { timeout: 15_000 });
    return (stored.children ?? []).map(idsOf);
  }
}

const pythonText = (text: string): string => JSON.stringify(text);

/** How it failed, without ids. */
function failed(name: string, message: string): readonly string[] {
  return [name, message.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')];
}
