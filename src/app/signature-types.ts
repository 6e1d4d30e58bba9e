/** What the compiler knows of signatures: which arguments are still to come, and what the result is. */
import type { SignatureJson } from '../message/message.ts';

/** A list without its optional ends: `[x: number, y?: string]` is `[x: number] | [x: number, y: string]`. */
type ArgumentLists<Args extends readonly unknown[]> = number extends Args['length']
  ? Args
  : Args extends readonly []
    ? []
    : Args extends readonly [...unknown[], unknown]
      ? Args
      : Args extends readonly [...infer Front, unknown?]
        ? ArgumentLists<Front> | Required<Args>
        : Args;

type Ends<List extends readonly unknown[]> = number extends List['length']
  ? readonly List[number][]
  : List | (List extends readonly [unknown, ...infer Rest] ? Ends<Rest> : never);

/**
 * Arguments that a signature may hold: the last ones, or all. What a signature follows gives it the first ones, as in Celery:
 * of `mul(x, y)`, `mul.s(8)` holds `y`.
 */
export type PartialArguments<Args extends readonly unknown[]> = Ends<ArgumentLists<Args>>;

type Missing<List, Given extends readonly unknown[]> = List extends readonly unknown[]
  ? number extends List['length']
    ? readonly List[number][]
    : List extends readonly [...infer Before, ...{ [Index in keyof Given]: unknown }]
      ? List extends readonly [...Before, ...infer After]
        ? Given extends Readonly<After>
          ? Before
          : never
        : never
      : never
  : never;

/** Arguments that are still to be given to a task when a signature holds `Given`. */
export type RemainingArguments<Args extends readonly unknown[], Given extends readonly unknown[]> = Missing<
  ArgumentLists<Args>,
  Given
>;

/** Any signature, whatever its types. */
export interface AnySignature {
  /** Name of the task; `celery.chain`, `celery.group` and `celery.chord` for those. */
  readonly task: string;
  readonly '~types': { readonly result: unknown; readonly handle: unknown };
  toJSON(): SignatureJson;
}

/** A signature that may be called with those arguments. */
export interface Accepting<Args extends readonly unknown[]> extends AnySignature {
  readonly '~accepts': (args: Args) => void;
}

/** What a signature's task returns; of a group, what its tasks return, as a tuple. */
export type ResultOf<Sig extends AnySignature> = Sig['~types']['result'];

/** What calling a signature gives: an `AsyncResult` or a `GroupResult`. */
export type HandleOf<Sig extends AnySignature> = Sig['~types']['handle'];

/** The arguments that a signature still takes. */
export type AcceptedBy<Sig> = Sig extends { readonly '~accepts': (args: infer Args) => void }
  ? Args extends readonly unknown[]
    ? Args
    : never
  : never;

/** `Sig` if its task takes `Value` as first argument; otherwise what would be expected in its place, for the compiler to name. */
export type Taking<Sig extends AnySignature, Value> =
  Sig extends Accepting<[Value]> ? Sig : Accepting<[Value]>;

/** The steps of a chain: each takes what the one before gives. A group of one is that one. */
export type Steps<Sigs extends readonly AnySignature[]> = Sigs extends readonly [
  infer First extends AnySignature,
  infer Second extends AnySignature,
  ...infer Rest extends readonly AnySignature[],
]
  ? readonly [First, ...Following<StepResult<First>, [Second, ...Rest]>]
  : Sigs;

type Following<Value, Sigs extends readonly AnySignature[]> = Sigs extends readonly [
  infer First extends AnySignature,
  ...infer Rest extends readonly AnySignature[],
]
  ? [Taking<First, Value>, ...Following<StepResult<First>, Rest>]
  : [];

type StepResult<Sig extends AnySignature> = Sig extends IsGroup
  ? ResultOf<Sig> extends readonly [infer Only]
    ? Only
    : ResultOf<Sig>
  : ResultOf<Sig>;

export interface IsGroup {
  readonly isGroup: true;
}

/** Results of the members of a group, those of groups in it among them. */
export type ResultsOf<Sigs extends readonly AnySignature[]> = Sigs extends readonly []
  ? []
  : Sigs extends readonly [infer First extends AnySignature, ...infer Rest extends readonly AnySignature[]]
    ? [...MemberResults<First>, ...ResultsOf<Rest>]
    : MemberResults<Sigs[number]>[number][];

type MemberResults<Sig extends AnySignature> = Sig extends IsGroup
  ? ResultOf<Sig> extends readonly unknown[]
    ? ResultOf<Sig>
    : never
  : [ResultOf<Sig>];

/** What all of them take. */
export type AcceptedByAll<Sigs extends readonly AnySignature[]> = number extends Sigs['length']
  ? AcceptedBy<Sigs[number]>
  : Sigs extends readonly []
    ? readonly unknown[]
    : Intersection<{ [Index in keyof Sigs]: (args: AcceptedBy<Sigs[Index]>) => void }[number]>;

type Intersection<Functions> = [Functions] extends [(args: infer Args) => void]
  ? Args extends readonly unknown[]
    ? Args
    : never
  : never;

export type First<Sigs extends readonly AnySignature[]> = Sigs extends readonly [infer Sig, ...unknown[]]
  ? Sig
  : Sigs[number];

export type Last<Sigs extends readonly AnySignature[]> = Sigs extends readonly [
  ...unknown[],
  infer Sig extends AnySignature,
]
  ? Sig
  : Sigs[number];
