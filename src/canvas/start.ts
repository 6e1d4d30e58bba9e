/** What is sent to start a canvas: the calls that can run now, each with what follows it, and the chords that wait for them. */
import type { SignatureJson } from '../message/message.ts';
import type { ResultTuple } from '../message/outcome.ts';
import { freeze, freezeGroup, placementOf, resultTuple } from './freeze.ts';
import type { FreezeContext, Frozen, Placement, ResultNode } from './freeze.ts';
import { signaturesIn, withErrback, withLink } from './links.ts';
import type { ErrbackPlaces } from './links.ts';
import { withArguments, withOptions, writeSignature } from './signature.ts';
import type { CanvasNode, ChainNode, ChordNode, GroupNode, Kwargs, SignatureOptions } from './signature.ts';
import { restOf, sequence, without } from './steps.ts';

/** One call to send. */
export interface Call {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Kwargs;
  /** `apply_async` options in Celery's names; `chain` is reversed, as in messages. */
  readonly options: SignatureOptions;
}

/** A chord to be known to the result backend before its members are sent. */
export interface ChordStart {
  readonly groupId: string;
  /** So many ends of tasks complete the header. */
  readonly size: number;
  /** Results of the header, in order; one that is a group has members. */
  readonly header: readonly ResultTuple[];
  /** Called with the header's results, ids fixed. */
  readonly body: SignatureJson;
}

/** All that starts a canvas: first the chords are told, then the calls are sent. */
export interface CanvasStart {
  readonly chords: readonly ChordStart[];
  readonly calls: readonly Call[];
  readonly result: ResultNode;
  /** What a task that starts it remembers among its children; null when nothing was sent. */
  readonly child: ResultTuple | null;
}

/** Arguments and options that a signature is called with. */
export interface Given {
  /** Go before the signature's own. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Kwargs;
  /** In Celery's names; they win over the signature's own. */
  readonly options?: SignatureOptions;
}

/**
 * Works out what starts a signature.
 * @throws {TypeError} callbacks are given for a group, which has no end of its own
 * @throws {ValueError} a chain has no steps
 */
export function startOf(
  node: CanvasNode,
  { args = [], kwargs = {}, options = {} }: Given,
  context: FreezeContext & ErrbackPlaces,
): CanvasStart {
  const start = called(node, { args, kwargs, options }, context);
  const frozen = freezeStart(start.node, start.placement, context);
  const starting = new Starting(context);
  const child = starting.start(frozen, callOptions(node, options));
  return { chords: starting.chords, calls: starting.calls, result: frozen.result, child };
}

/** Celery numbers the members of a group where they are to be put in order: in a chord, and in what is sent later. */
function freezeStart(node: CanvasNode, placement: Placement, context: FreezeContext): Frozen {
  const isPlain = node.kind === 'group' && placement.chord === undefined;
  return isPlain ? freezeGroup(node, placement, context, null, false) : freeze(node, placement, context);
}

/** A signature with what it is called with in it, and where it stands. @throws {TypeError} as `startOf` */
export function called(
  node: CanvasNode,
  { args = [], kwargs = {}, options = {} }: Given,
  places: ErrbackPlaces,
): { readonly node: CanvasNode; readonly placement: Placement } {
  const { task_id, group_id, group_index, chord } = options;
  return {
    node: withCallOptions(withArguments(node, args, kwargs), options, places),
    placement: placementOf({ task_id, group_id, group_index, chord }),
  };
}

/** Options of a call that go to the tasks that it sends; the others are in the signature by then. */
export function callOptions(node: CanvasNode, options: SignatureOptions): SignatureOptions {
  return without(options, [...PLACED, ...(node.kind === 'task' ? [] : ['link', 'link_error'])]);
}

const PLACED = ['task_id', 'group_id', 'group_index', 'chord', 'chain'];

function withCallOptions(node: CanvasNode, options: SignatureOptions, places: ErrbackPlaces): CanvasNode {
  const rest = restOf(options);
  let linked = node;
  if (node.kind !== 'task') {
    const [callbacks, errbacks] = [signaturesIn(options['link']), signaturesIn(options['link_error'])];
    if (node.kind === 'group' && callbacks.length + errbacks.length > 0) {
      throw new TypeError('A group has no callbacks of its own: use a chord, or link to its tasks.');
    }
    for (const callback of callbacks) linked = withLink(linked, callback);
    for (const errback of errbacks) linked = withErrback(linked, errback, places);
  }
  const id = options['task_id'];
  if (node.kind === 'group' && id !== undefined) linked = withOptions(linked, { task_id: id });
  if (rest.length > 0) return sequence([withParentOfBody(linked, options), ...rest]);
  // The last step of a chain says that nothing is left of it.
  return Array.isArray(options['chain']) ? withOptions(linked, { chain: [] }) : linked;
}

/** What follows a chord joins its body; a body that was one task is told its parent, which the first step of a chain is not. */
function withParentOfBody(node: CanvasNode, { parent_id }: SignatureOptions): CanvasNode {
  if (node.kind !== 'chord' || node.body.kind !== 'task' || parent_id === undefined) return node;
  return { ...node, body: withOptions(node.body, { parent_id }) };
}

/** Collects what is sent, from the top of a frozen canvas to the tasks that run first. */
class Starting {
  readonly chords: ChordStart[] = [];
  readonly calls: Call[] = [];
  readonly #context: FreezeContext;

  constructor(context: FreezeContext) {
    this.#context = context;
  }

  /** @returns what the parent remembers of it */
  start({ node, result }: Frozen, options: SignatureOptions): ResultTuple | null {
    switch (node.kind) {
      case 'task':
        return this.#call(node.task, node.args, node.kwargs, { ...node.options, ...options });
      case 'chain':
        return this.#startChain(node, options);
      case 'group':
        return this.#startGroup(node, result, options);
      case 'chord':
        return this.#startChord(node, options);
    }
  }

  #call(task: string, args: readonly unknown[], kwargs: Kwargs, options: SignatureOptions): ResultTuple {
    this.calls.push({ task, args, kwargs, options });
    return [[String(options['task_id']), null], null];
  }

  // The first of several steps is always a task: what follows a group or a chord is in a chord's body.
  #startChain({ tasks }: ChainNode, options: SignatureOptions): ResultTuple | null {
    const [first, ...rest] = tasks;
    if (first?.kind !== 'task') return null;
    const chain = rest.map(writeSignature).reverse();
    const all = { ...first.options, ...without(options, ['parent_id']), chain };
    return this.#call(first.task, first.args, first.kwargs, all);
  }

  #startGroup(node: GroupNode, result: ResultNode, options: SignatureOptions): ResultTuple {
    const { groupId, chord } = { ...placementOf(node.options), groupId: result.id };
    const own = commonOptions(node);
    node.tasks.forEach((member, index) => {
      const groupIndex = chord === undefined ? undefined : index;
      const placed = freeze(member, { groupId, groupIndex, chord }, this.#context);
      this.start(placed, { ...own, ...options });
    });
    return resultTuple({ ...result, parent: null });
  }

  #startChord(node: ChordNode, options: SignatureOptions): ResultTuple | null {
    const { header } = node;
    const all = { ...commonOptions(node), ...options };
    const body = withOptions(node.body, without(all, ['link', 'link_error']));
    const size = sizeOf(header);
    const groupId = String(header.options['task_id']);
    const members = header.tasks.map((member, groupIndex) => freeze(member, { groupIndex }, this.#context));
    const results = members.map(({ result }) => result);
    if (size === 0) return this.#startBody(body, results, options);
    const bodyJson = writeSignature(body);
    this.chords.push({ groupId, size, header: results.map(resultTuple), body: bodyJson });
    const started = withOptions(header, { chord: bodyJson });
    return this.#startGroup(started, { id: groupId, parent: null, members: results }, all);
  }

  /** Nothing is waited for. */
  #startBody(
    body: CanvasNode,
    results: readonly ResultNode[],
    options: SignatureOptions,
  ): ResultTuple | null {
    const empty = (result: ResultNode): unknown => (result.members ?? []).map(empty);
    return this.start(freeze(withArguments(body, [results.map(empty)]), {}, this.#context), options);
  }
}

/** Options of a composite that its tasks take over; Python writes null where it knows none. */
function commonOptions({ options }: CanvasNode): SignatureOptions {
  const known = Object.entries(without(options, PLACED)).filter(([, value]) => value !== null);
  return Object.fromEntries(known);
}

/** How many ends of tasks the results of a group are made of. */
export function sizeOf(node: CanvasNode): number {
  switch (node.kind) {
    case 'task':
      return 1;
    case 'chain': {
      const last = node.tasks.at(-1);
      return last === undefined ? 0 : sizeOf(last);
    }
    case 'group':
      return node.tasks.reduce((sum, task) => sum + sizeOf(task), 0);
    case 'chord':
      return sizeOf(node.body);
  }
}
