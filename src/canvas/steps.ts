/** The steps of a chain, as they are sent: nested chains unrolled, a group that something follows made a chord. */
import { signaturesIn, withErrback, withLink } from './links.ts';
import { readSignature, withOptions } from './signature.ts';
import type { CanvasNode, ChainNode, GroupNode, SignatureOptions } from './signature.ts';

/** Options that say where in a larger canvas a signature stands; they belong to the whole, not to one of its tasks. */
const PLACEMENT = ['task_id', 'group_id', 'group_index', 'chord'] as const;

/**
 * What a signature runs one after the other, first to last. Only the last may be a group or a chord: what follows one is part of
 * the chord's body. Empty for an empty chain.
 */
export function stepsOf(node: CanvasNode): readonly CanvasNode[] {
  return folded(unrolled(node));
}

/** What follows, by the option `chain`: reversed, as in messages. */
export function restOf(options: SignatureOptions): readonly CanvasNode[] {
  return signaturesIn(options['chain']).map(readSignature).reverse();
}

function unrolled(node: CanvasNode): readonly CanvasNode[] {
  if (node.kind === 'chain') return unrolledChain(node);
  const single = soleMember(node);
  if (single !== undefined) return unrolled(single);
  const rest = restOf(node.options);
  if (rest.length === 0) return [node];
  return [{ ...node, options: without(node.options, ['chain']) }, ...rest.flatMap(unrolled)];
}

function unrolledChain(chain: ChainNode): readonly CanvasNode[] {
  const rest = restOf(chain.options);
  const { tasks } = withOwnLinks(chain);
  const [first, ...others] = tasks.flatMap(unrolled);
  const after = rest.flatMap(unrolled);
  if (first === undefined) return after;
  // In Celery, too, they are those of the task that is sent; but its parent is whoever sends it.
  const own = without(chain.options, [...PLACEMENT, 'parent_id', 'link', 'link_error', 'chain']);
  return [withOptions(first, own), ...others, ...after];
}

function withOwnLinks(chain: ChainNode): ChainNode {
  let node: CanvasNode = chain;
  for (const callback of signaturesIn(chain.options['link'])) node = withLink(node, callback);
  for (const errback of signaturesIn(chain.options['link_error'])) node = withErrback(node, errback);
  return node as ChainNode;
}

/** A group of one is that one, in a chain. */
function soleMember(node: CanvasNode): CanvasNode | undefined {
  return node.kind === 'group' && node.tasks.length === 1 ? node.tasks[0] : undefined;
}

function folded(steps: readonly CanvasNode[]): readonly CanvasNode[] {
  const index = steps.findIndex(({ kind }) => kind === 'group' || kind === 'chord');
  const step = steps[index];
  const after = steps.slice(index + 1);
  if (step === undefined || after.length === 0) return steps;
  const before = steps.slice(0, index);
  if (step.kind === 'group') return [...before, chordOf(step, after)];
  if (step.kind !== 'chord') return steps;
  // A body that is a group of one still gives a list.
  const { body } = step;
  return [
    ...before,
    { ...step, body: body.kind === 'group' ? chordOf(body, after) : sequence([body, ...after]) },
  ];
}

function chordOf(header: GroupNode, after: readonly CanvasNode[]): CanvasNode {
  return { kind: 'chord', header, body: sequence(after), options: {} };
}

/** Several steps as one signature. */
export function sequence(tasks: readonly CanvasNode[]): CanvasNode {
  const [only] = tasks;
  return only !== undefined && tasks.length === 1 ? only : { kind: 'chain', tasks, options: {} };
}

export function without(options: SignatureOptions, names: readonly string[]): SignatureOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name)));
}
