/** What is sent to start a canvas: the calls that can run now, each with what follows it, and the chords that wait for them. */
import type { SignatureJson } from '../message/message.ts';
import type { ResultTuple } from '../message/outcome.ts';
import { freeze, placementOf, resultTuple } from './freeze.ts';
import type { FreezeContext, Frozen, ResultNode } from './freeze.ts';
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
  const called = withCallOptions(withArguments(node, args, kwargs), options, context);
  const { task_id, group_id, group_index, chord } = options;
  const placement = placementOf({ task_id, group_id, group_index, chord });
  const frozen = freeze(called, placement, context);
  const starting = new Starting(context);
  const own = without(options, [...PLACED, ...(node.kind === 'task' ? [] : ['link', 'link_error'])]);
  const child = starting.start(frozen, own);
  return { chords: starting.chords, calls: starting.calls, result: frozen.result, child };
}

/** They are in the signatures by then. */
const PLACED = ['task_id', 'group_id', 'group_index', 'chord', 'chain'];

function withCallOptions(node: CanvasNode, options: SignatureOptions, places: ErrbackPlaces): CanvasNode {
  const rest = restOf(options);
  let called = node;
  if (node.kind !== 'task') {
    const [callbacks, errbacks] = [signaturesIn(options['link']), signaturesIn(options['link_error'])];
    if (node.kind === 'group' && callbacks.length + errbacks.length > 0) {
      throw new TypeError('A group has no callbacks of its own: use a chord, or link to its tasks.');
    }
    for (const callback of callbacks) called = withLink(called, callback);
    for (const errback of errbacks) called = withErrback(called, errback, places);
  }
  const id = options['task_id'];
  if (node.kind === 'group' && id !== undefined) called = withOptions(called, { task_id: id });
  return rest.length === 0 ? called : sequence([called, ...rest]);
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
    return this.#call(first.task, first.args, first.kwargs, { ...first.options, ...options, chain });
  }

  #startGroup(node: GroupNode, result: ResultNode, options: SignatureOptions): ResultTuple {
    const { groupId, chord } = { ...placementOf(node.options), groupId: result.id };
    const own = commonOptions(node);
    node.tasks.forEach((member, groupIndex) => {
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
    const called = withArguments(body, [results.map(empty)]);
    return this.start(freeze(called, {}, this.#context), options);
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
