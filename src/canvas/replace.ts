/** The signature that a task goes on as: it takes over the task's id, its callbacks, its chain and its place in a chord. */
import type { Embed } from '../message/message.ts';
import type { FollowUp } from './following.ts';
import { freeze } from './freeze.ts';
import type { FreezeContext } from './freeze.ts';
import { withErrback, withLink } from './links.ts';
import type { CanvasNode } from './signature.ts';
import { stampedBelow } from './stamps.ts';

/** The task that is replaced. */
export interface Replaced {
  readonly id: string;
  readonly rootId: string;
  readonly group: string | null;
  readonly groupIndex: number | null;
  /** How often it was replaced before. */
  readonly nesting: number;
  readonly stamps: Readonly<Record<string, unknown>>;
  readonly embed: Embed;
}

export function replacementOf(node: CanvasNode, replaced: Replaced, context: FreezeContext): FollowUp {
  const { id, rootId, group, groupIndex, nesting, stamps, embed } = replaced;
  let linked = stampedBelow(node.kind === 'group' ? accumulated(node) : node, stamps);
  for (const callback of embed.callbacks ?? []) linked = withLink(linked, callback);
  for (const errback of embed.errbacks ?? []) linked = withErrback(linked, errback);
  const placement = {
    id,
    groupId: group ?? undefined,
    groupIndex: groupIndex ?? undefined,
    chord: embed.chord ?? undefined,
  };
  const frozen = freeze(linked, placement, context);
  const options = {
    root_id: rootId,
    replaced_task_nesting: nesting + 1,
    ...(embed.chain !== null && { chain: embed.chain }),
  };
  return { node: frozen.node, given: { options } };
}

/** A group has no result of its own to take the task's id: a task that gives back the list of its results has. */
function accumulated(header: Extract<CanvasNode, { kind: 'group' }>): CanvasNode {
  const body: CanvasNode = {
    ...{ kind: 'task', task: 'celery.accumulate', args: [], kwargs: { index: 0 } },
    ...{ options: {}, immutable: false },
  };
  return { kind: 'chord', header, body, options: {} };
}
