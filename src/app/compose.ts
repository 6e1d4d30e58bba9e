import { readSignature } from '../canvas/signature.ts';
import type { CanvasNode, GroupNode } from '../canvas/signature.ts';
import { ImproperlyConfigured } from '../core/errors.ts';
import { currentApp } from './current.ts';
import type { GroupResult } from './group-result.ts';
import { chained, Signature } from './signature.ts';
import type { SignatureHost } from './signature.ts';
import type {
  AcceptedBy,
  AcceptedByAll,
  AnySignature,
  First,
  HandleOf,
  Last,
  ResultOf,
  ResultsOf,
  Steps,
  Taking,
} from './signature-types.ts';

/** Signatures that run side by side; what comes of it is the list of their results. */
export class Group<
  Accepts extends readonly unknown[] = readonly unknown[],
  Results extends readonly unknown[] = readonly unknown[],
> extends Signature<Accepts, Results, GroupResult<Results>> {
  declare readonly isGroup: true;

  /** Gives the members countdowns of `start`, `start + step`, … seconds, of at most `stop`. */
  skew({ start = 1, stop, step = 1 }: SkewOptions = {}): this {
    this.setEach((index) => ({ countdown: Math.min(start + index * step, stop ?? Infinity) }));
    return this;
  }
}

/** How far apart the members of a group start, in seconds. */
export interface SkewOptions {
  readonly start?: number;
  readonly stop?: number;
  readonly step?: number;
}

/**
 * Tasks one after the other, each with the result of the one before: `chain(add.s(2, 2), mul.s(8))`. What comes of it is the
 * last one's result.
 *
 * A group in it is followed by the next step when all its members have ended, with the list of their results; a group of one
 * member is that member, as in Celery.
 */
export function chain<const Sigs extends readonly AnySignature[]>(
  ...steps: Sigs & Steps<Sigs>
): Signature<AcceptedBy<First<Sigs>>, ResultOf<Last<Sigs>>, HandleOf<Last<Sigs>>>;
export function chain<Sig extends AnySignature>(
  steps: readonly Sig[],
): Signature<AcceptedBy<Sig>, ResultOf<Sig>, HandleOf<Sig>>;
export function chain(...given: readonly (AnySignature | readonly AnySignature[])[]): unknown {
  const steps = listed(given);
  return new Signature(hostFor(steps), chained(steps.map(readSignature)));
}

/**
 * Tasks side by side: `group(add.s(1, 1), add.s(2, 2))`. What comes of it is the list of their results, in this order; members
 * of groups in it are its own members.
 */
export function group<const Sigs extends readonly AnySignature[]>(
  ...members: Sigs
): Group<AcceptedByAll<Sigs>, ResultsOf<Sigs>>;
export function group<const Sigs extends readonly AnySignature[]>(
  members: Sigs,
): Group<AcceptedByAll<Sigs>, ResultsOf<Sigs>>;
export function group(...given: readonly (AnySignature | readonly AnySignature[])[]): unknown {
  const members = listed(given);
  return new Group(hostFor(members), groupNode(members));
}

/**
 * A group, and a task that is called with the list of its results when all members have ended:
 * `chord([add.s(1, 1), add.s(2, 2)], tsum.s())`. When one of them fails the body does too, with a `ChordError`.
 */
export function chord<const Sigs extends readonly AnySignature[], Body extends AnySignature>(
  header: Sigs | Group<AcceptedByAll<Sigs>, ResultsOf<Sigs>>,
  body: Taking<Body, ResultsOf<Sigs>>,
): Signature<AcceptedByAll<Sigs>, ResultOf<Body>, HandleOf<Body>>;
export function chord<
  Accepts extends readonly unknown[],
  Results extends readonly unknown[],
  Body extends AnySignature,
>(
  header: Group<Accepts, Results>,
  body: Taking<Body, Results>,
): Signature<Accepts, ResultOf<Body>, HandleOf<Body>>;
export function chord(header: readonly AnySignature[] | Group, body: AnySignature): Signature {
  const members = Array.isArray(header) ? (header as readonly AnySignature[]) : (header as Group).tasks;
  const node: CanvasNode = {
    kind: 'chord',
    header: groupNode(members),
    body: readSignature(body),
    options: {},
  };
  return new Signature(hostFor([...members, body]), node);
}

function groupNode(members: readonly AnySignature[]): GroupNode {
  return { kind: 'group', tasks: members.map((member) => readSignature(member)), options: {} };
}

function listed(given: readonly (AnySignature | readonly AnySignature[])[]): readonly AnySignature[] {
  return given.flatMap((each) => each);
}

/** That of the first signature that has one; where there is none, the app that was made last is the one. */
function hostFor(signatures: readonly AnySignature[]): SignatureHost {
  for (const signature of signatures) {
    const host = Signature.hostOf(signature);
    if (host !== undefined) return host;
  }
  const host = currentApp()?.signatures;
  if (host !== undefined) return host;
  throw new ImproperlyConfigured('A canvas needs an app to be sent by: make one with new Celery() first.');
}
