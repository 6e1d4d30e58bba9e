/** Fixes the ids of all tasks of a canvas before any of them is sent. */
import { ValueError } from '../core/errors.ts';
import type { SignatureJson } from '../message/message.ts';
import type { ResultTuple } from '../message/outcome.ts';
import { stepsOf, without } from './steps.ts';
import { withOptions } from './signature.ts';
import type { CanvasNode, ChainNode, ChordNode, GroupNode, SignatureOptions, TaskNode } from './signature.ts';

/** Where a signature stands in a larger canvas. */
export interface Placement {
  /** Of the task whose result is the signature's. */
  readonly id?: string | undefined;
  readonly groupId?: string | undefined;
  readonly groupIndex?: number | undefined;
  /** Body of the chord whose header it belongs to. */
  readonly chord?: SignatureJson | undefined;
}

export interface FreezeContext {
  readonly newId: () => string;
  /** Where results are sent, for signatures that do not say. */
  readonly replyTo: string | undefined;
}

/** The result of a signature, by its ids: a task's, or those of a group. */
export interface ResultNode {
  readonly id: string;
  readonly parent: ResultNode | null;
  readonly members: readonly ResultNode[] | null;
}

export interface Frozen<Node extends CanvasNode = CanvasNode> {
  readonly node: Node;
  readonly result: ResultNode;
}

/**
 * Gives every task an id, unless it has one, and tells the ids of the results. Chains come out as they are sent.
 *
 * A task further down does not repeat which chord it belongs to: whoever starts that chord tells its members. So the message
 * grows with the canvas, and not faster.
 * @throws {ValueError} a chain has no steps
 */
export function freeze(
  node: CanvasNode,
  placement: Placement,
  context: FreezeContext,
  parent: ResultNode | null = null,
): Frozen {
  switch (node.kind) {
    case 'task':
      return freezeTask(node, placement, context, parent);
    case 'chain':
      return freezeChain(node, placement, context, parent);
    case 'group':
      return freezeGroup(node, placement, context, parent);
    case 'chord':
      return freezeChord(node, placement, context, parent);
  }
}

function freezeTask(
  node: TaskNode,
  placement: Placement,
  { newId, replyTo }: FreezeContext,
  parent: ResultNode | null,
): Frozen<TaskNode> {
  const id = text(node.options['task_id']) ?? placement.id ?? newId();
  const options = {
    ...node.options,
    task_id: id,
    ...(replyTo !== undefined && (node.options['reply_to'] ?? null) === null && { reply_to: replyTo }),
    ...placedOptions(node.options, placement),
  };
  return { node: { ...node, options }, result: { id, parent, members: null } };
}

/** A group that the signature is in for good is kept. */
function placedOptions(own: SignatureOptions, { groupId, groupIndex, chord }: Placement): SignatureOptions {
  return {
    ...(groupId !== undefined && (own['group_id'] ?? null) === null && { group_id: groupId }),
    ...(chord !== undefined && { chord }),
    ...(groupIndex !== undefined && { group_index: groupIndex }),
  };
}

function freezeChain(
  node: ChainNode,
  given: Placement,
  context: FreezeContext,
  parent: ResultNode | null,
): Frozen {
  const steps = stepsOf(node);
  const last = steps.at(-1);
  if (last === undefined) {
    throw new ValueError('A chain without steps cannot be sent: give it at least one signature.');
  }
  const placement = merged(placementOf(node.options), given);
  const tasks: CanvasNode[] = [];
  let before = parent;
  for (const step of steps.slice(0, -1)) {
    const frozen = freeze(step, {}, context, before);
    tasks.push(frozen.node);
    before = frozen.result;
  }
  const frozen = freeze(last, placement, context, before);
  if (tasks.length === 0) return frozen;
  const { id, members } = frozen.result;
  // Whoever can only fail the whole needs to know whose result that is.
  const options = members === null ? { task_id: id } : {};
  return {
    node: { kind: 'chain', tasks: [...tasks, frozen.node], options },
    result: frozen.result,
  };
}

/** @param isNumbered - its members get their places */
export function freezeGroup(
  node: GroupNode,
  placement: Placement,
  context: FreezeContext,
  parent: ResultNode | null,
  isNumbered = true,
): Frozen<GroupNode> {
  const id = text(node.options['task_id']) ?? placement.groupId ?? context.newId();
  const members = membersOf(node).map((member, index) =>
    freeze(member, { groupId: placement.groupId, groupIndex: isNumbered ? index : undefined }, context),
  );
  const options = { ...node.options, task_id: id, ...placedOptions(node.options, placement) };
  return {
    node: { kind: 'group', tasks: members.map((member) => member.node), options },
    result: { id, parent, members: members.map(({ result }) => result) },
  };
}

/** Members of a group, those of groups in it among them. */
export function membersOf(group: GroupNode): readonly CanvasNode[] {
  return group.tasks.flatMap((task) => {
    if (task.kind !== 'group') return [task];
    const own = without(task.options, [
      'task_id',
      'group_id',
      'group_index',
      'chord',
      'root_id',
      'parent_id',
    ]);
    return membersOf(task).map((member) => withOptions(member, own));
  });
}

function freezeChord(
  node: ChordNode,
  given: Placement,
  context: FreezeContext,
  parent: ResultNode | null,
): Frozen<ChordNode> {
  const own = placementOf(node.options);
  const isFrozen = text(node.header.options['task_id']) !== undefined;
  // The id of a chord that was frozen is that of its group.
  const placement = merged(isFrozen ? { ...own, id: undefined } : own, given);
  const header = freezeGroup(node.header, {}, context, parent);
  const body = freeze(node.body, placement, context, header.result);
  const options = {
    ...without(node.options, ['group_id', 'group_index', 'chord']),
    task_id: header.result.id,
  };
  return { node: { kind: 'chord', header: header.node, body: body.node, options }, result: body.result };
}

/** Where a composite stands, by its own options. */
export function placementOf(options: SignatureOptions): Placement {
  const { task_id: id, group_id: groupId, group_index: groupIndex, chord } = options;
  return {
    id: text(id),
    groupId: text(groupId),
    groupIndex: typeof groupIndex === 'number' ? groupIndex : undefined,
    chord: (chord ?? undefined) as SignatureJson | undefined,
  };
}

/** An id and a group that a signature has are kept. */
function merged(own: Placement, given: Placement): Placement {
  return {
    id: own.id ?? given.id,
    groupId: own.groupId ?? given.groupId,
    groupIndex: given.groupIndex ?? own.groupIndex,
    chord: given.chord ?? own.chord,
  };
}

/** Celery's tuple form: `[[id, parent], members]`. */
export function resultTuple({ id, parent, members }: ResultNode): ResultTuple {
  return [
    [id, parent === null ? null : resultTuple(parent)],
    members === null ? null : members.map(resultTuple),
  ];
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
