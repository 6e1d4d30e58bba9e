/** What is called when a task has ended: its callbacks and the next step of its chain, or its error callbacks. */
import type { Embed, SignatureJson } from '../message/message.ts';
import { readSignature } from './signature.ts';
import type { CanvasNode } from './signature.ts';
import type { Given } from './start.ts';

/** A signature that follows a finished task, and what it is called with. */
export interface FollowUp {
  readonly node: CanvasNode;
  readonly given: Given;
}

/**
 * After success: every callback and the next step of the chain get the result as first argument, unless immutable.
 *
 * Several callbacks are sent as one group, those that are groups apart from it, as Celery does.
 * @throws {InvalidTaskError} something among them is no signature
 */
export function afterSuccess({ callbacks, chain }: Embed, result: unknown): readonly FollowUp[] {
  const args = [result];
  const followUps = side(callbacks ?? []).map((node) => ({ node, given: { args } }));
  const next = chain?.at(-1);
  if (chain === null || next === undefined) return followUps;
  const step = { node: readSignature(next), given: { args, options: { chain: chain.slice(0, -1) } } };
  return [...followUps, step];
}

function side(callbacks: readonly SignatureJson[]): readonly CanvasNode[] {
  const nodes = callbacks.map(readSignature);
  if (nodes.length < 2) return nodes;
  const groups = nodes.filter(({ kind }) => kind === 'group');
  const others = nodes.filter(({ kind }) => kind !== 'group');
  return others.length === 0 ? groups : [...groups, { kind: 'group', tasks: others, options: {} }];
}

/** After failure: the error callbacks get the id of the failed task, all in one group, as Celery sends them. */
export function afterFailure(errbacks: readonly SignatureJson[], taskId: string): readonly FollowUp[] {
  if (errbacks.length === 0) return [];
  const node: CanvasNode = { kind: 'group', tasks: errbacks.map(readSignature), options: {} };
  return [{ node, given: { args: [taskId] } }];
}
