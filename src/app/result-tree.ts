/** A result and all that belongs to it: what it follows, and the tasks that it has sent, and theirs. */
import { setMaxListeners } from 'node:events';
import { IncompleteStream } from '../core/errors.ts';
import { PROPAGATE_STATES } from '../core/states.ts';
import type { GroupResult } from './group-result.ts';
import type { AnyResult, GetOptions, TaskResult, TreeEdge, TreeOptions } from './result-options.ts';
import { infoOf } from './result-value.ts';
import type { Wait } from './wait.ts';

/**
 * All results below some roots, breadth first. What a task has sent is looked up after the caller has come back for more.
 * @throws {IncompleteStream} a task has not ended, unless `intermediate`
 */
export async function* edgesOf(
  roots: readonly AnyResult[],
  { intermediate = false }: TreeOptions = {},
): AsyncGenerator<TreeEdge, void, undefined> {
  const waiting: TreeEdge[] = roots.map((root) => [null, root]);
  const seen = new Set(roots.map((root) => root.id));
  for (let edge = waiting.shift(); edge !== undefined; edge = waiting.shift()) {
    yield edge;
    const [, result] = edge;
    for (const child of await childrenOf(result, intermediate)) {
      // A task that was retried has itself among its children.
      if (seen.has(child.id)) continue;
      seen.add(child.id);
      waiting.push([result, child]);
    }
  }
}

async function childrenOf(result: AnyResult, intermediate: boolean): Promise<readonly AnyResult[]> {
  const members = membersOf(result);
  if (members !== undefined) return members;
  const children = await result.children();
  if (intermediate || (await result.ready())) return children ?? [];
  throw new IncompleteStream(
    `Task ${result.id} has not ended: what it sends is not known yet. Say { intermediate: true } to leave that out.`,
  );
}

/** The members of a group, whose class is not to be imported here; undefined for a task. */
export function membersOf(result: AnyResult): readonly AnyResult[] | undefined {
  return 'results' in result ? (result as GroupResult).results : undefined;
}

/** See `AsyncResult.collect`. */
export async function* collectFrom(
  root: AnyResult,
  options: GetOptions & TreeOptions,
): AsyncGenerator<readonly [result: AnyResult, value: unknown], void, undefined> {
  for await (const [, result] of edgesOf([root], options)) yield [result, await result.get(options)];
}

/** Those that a result follows, nearest first. */
export function* parentsOf(result: AnyResult): Generator<AnyResult, void, undefined> {
  for (let parent = result.parent; parent !== null; parent = parent.parent) yield parent;
}

/**
 * Stops a wait with the error of a task that the result follows: what comes after it will not run, and where that is a group nobody
 * may tell so. The members of a header are left to the chord, which ends with a `ChordError`.
 */
export function failWithParents(result: AnyResult, wait: Wait): void {
  for (const parent of parentsOf(result)) {
    if (membersOf(parent) !== undefined || (parent as TaskResult).ignored) continue;
    setMaxListeners(0, wait.signal);
    (parent as TaskResult).wait({ signal: wait.signal, propagate: false }).then(
      (meta) => {
        if (PROPAGATE_STATES.has(meta.status)) wait.stop(infoOf(meta));
      },
      // The wait is over, or finds out by itself that the backend is not there.
      () => undefined,
    );
  }
}

/** Ids of all tasks of a canvas as far as they are known: before, in and after a result, and so for the members of groups. */
export async function idsOfTree(result: AnyResult): Promise<string[]> {
  const ids = new Set<string>();
  for await (const [, each] of edgesOf(knownFrom(result), { intermediate: true })) {
    if (membersOf(each) === undefined) ids.add(each.id);
  }
  return [...ids];
}

/** What a result itself knows of: those that it follows, the members of groups, and those that they follow. */
function knownFrom(result: AnyResult): readonly AnyResult[] {
  const known = new Set([result]);
  for (const each of known) {
    for (const member of membersOf(each) ?? []) known.add(member);
    if (each.parent !== null) known.add(each.parent);
  }
  return [...known];
}
