/** A tree of results as a graph: which task has sent which. */
import type { DotAttributes, DotGraph, DotNode } from '../core/dot.ts';
import { FAILURE, REVOKED, SUCCESS } from '../core/states.ts';
import type { AnyResult, TaskResult } from './result-options.ts';
import { edgesOf, membersOf } from './result-tree.ts';

const COLORS: ReadonlyMap<string, string> = new Map([
  [SUCCESS, 'palegreen3'],
  [FAILURE, 'salmon'],
  [REVOKED, 'lightsalmon'],
]);
const GROUP: DotAttributes = { shape: 'oval', fillcolor: 'lightsteelblue' };

/** @throws {IncompleteStream} a task has not ended, unless `intermediate` */
export async function resultGraph(
  root: AnyResult,
  options: { readonly intermediate?: boolean } = {},
): Promise<DotGraph> {
  const nodes: DotNode[] = [];
  const edges: { from: string; to: string }[] = [];
  for await (const [parent, result] of edgesOf([root], options)) {
    nodes.push(membersOf(result) === undefined ? await taskNode(result as TaskResult) : groupNode(result));
    if (parent !== null) edges.push({ from: parent.id, to: result.id });
  }
  return { nodes, edges };
}

function groupNode({ id }: AnyResult): DotNode {
  return { id, label: ['group', id], attributes: GROUP };
}

async function taskNode(result: TaskResult): Promise<DotNode> {
  const [name, state] = await Promise.all([result.name(), result.state()]);
  return {
    id: result.id,
    label: [...(name === null ? [] : [name]), result.id, state],
    attributes: { fillcolor: COLORS.get(state) ?? 'lightgoldenrod' },
  };
}
