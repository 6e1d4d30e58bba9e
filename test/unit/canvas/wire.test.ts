import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { resultTuple } from '../../../src/canvas/freeze.ts';
import { readSignature, writeSignature } from '../../../src/canvas/signature.ts';
import type { CanvasNode } from '../../../src/canvas/signature.ts';
import { startOf } from '../../../src/canvas/start.ts';
import type { Embed, SignatureJson } from '../../../src/message/message.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

/** A canvas that Python sent, with its messages. */
interface Recorded {
  readonly case: string;
  readonly signature: SignatureJson;
  readonly args: readonly unknown[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly returned: unknown;
  readonly sizes: readonly number[];
  readonly messages: readonly Sent[];
}

interface Sent {
  readonly task: string;
  readonly id: unknown;
  readonly group: unknown;
  readonly group_index: unknown;
  readonly args: unknown;
  readonly kwargs: unknown;
  readonly embed: Embed;
}

const { cases } = wireFixture<{ cases: readonly Recorded[] }>('canvas.json');
const context = { newId: () => randomUUID(), replyTo: 'reply', chordHeader: false };

/** Ids in the order in which they appear; what only one of the two versions writes is left out. */
function canonical(value: unknown): unknown {
  const names = new Map<string, string>();
  const text = JSON.stringify(pruned(value)).replace(
    /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
    (id) => {
      if (!names.has(id)) names.set(id, `#${String(names.size + 1)}`);
      return names.get(id) ?? id;
    },
  );
  return JSON.parse(text) as unknown;
}

/**
 * Python repeats in each member of a header which chord it belongs to, though whoever starts the chord tells it: so its messages
 * grow with every level. Celery 5.6 gives a chain the id of its last task.
 */
function pruned(value: unknown, inHeader = false): unknown {
  if (Array.isArray(value)) return value.map((item) => pruned(item, inHeader));
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Readonly<Record<string, unknown>>;
  const isChain = record['subtask_type'] === 'chain';
  const entries = Object.entries(record).map(([key, item]): [string, unknown] => {
    if (key === 'options') return [key, prunedOptions(item as Record<string, unknown>, isChain, inHeader)];
    return [key, pruned(item, key === 'header' || (inHeader && (key === 'tasks' || key === 'kwargs')))];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b)));
}

function prunedOptions(options: Record<string, unknown>, isChain: boolean, inHeader: boolean): unknown {
  const left = Object.entries(options).filter(
    ([key, item]) =>
      item !== null &&
      key !== 'reply_to' &&
      key !== 'add_to_parent' &&
      !(key === 'chord' && inHeader) &&
      !(key === 'task_id' && isChain),
  );
  return pruned(Object.fromEntries(left));
}

/** Of a body of several steps Python 5.2.6 forgets those before the last: the header is the last one's parent. */
const BODY_CHAINS: ReadonlySet<string> = new Set(['chain-chord-task', 'chord-body-chain', 'chain-of-groups']);

describe('what a canvas sends is what Python Celery sent', () => {
  it('has enough cases', () => {
    expect(cases.length).toBeGreaterThan(30);
  });

  it.each(cases.map((each) => [each.case, each] as const))('%s', (_, recorded) => {
    const { args, options } = recorded;
    const start = startOf(readSignature(recorded.signature), { args, options }, context);
    const messages = start.calls.map(({ task, args: given, kwargs, options: decided }) => ({
      ...{ task, id: decided['task_id'], group: decided['group_id'] ?? null },
      ...{ group_index: decided['group_index'] ?? null, args: given, kwargs },
      embed: {
        callbacks: decided['link'] ?? null,
        errbacks: decided['link_error'] ?? null,
        chain: decided['chain'] ?? null,
        chord: decided['chord'] ?? null,
      },
    }));
    const expected = recorded.messages.map(
      ({ task, id, group, group_index, args: given, kwargs, embed }) => ({
        ...{ task, id, group, group_index, args: given, kwargs, embed },
      }),
    );
    const isKnown = recorded.returned !== null && !BODY_CHAINS.has(recorded.case);
    expect(canonical({ messages, result: isKnown ? resultTuple(start.result) : null })).toEqual(
      canonical({ messages: expected, result: isKnown ? recorded.returned : null }),
    );
    expect(start.chords.map(({ size }) => size).sort()).toEqual(recorded.sizes);
  });
});

describe('signatures as JSON', () => {
  it.each(cases.map((each) => [each.case, each.signature] as const))('%s comes back as it was', (_, json) => {
    expect(JSON.parse(JSON.stringify(writeSignature(readSignature(json))))).toEqual(
      JSON.parse(JSON.stringify(json)),
    );
  });

  it.each([[null], ['add'], [{}], [{ task: 1 }], [{ task: 'celery.chord', subtask_type: 'chord' }]])(
    'refuses %j',
    (value) => {
      expect(() => readSignature(value)).toThrow(/not a signature/);
    },
  );
});

const task = (name: string): CanvasNode => ({
  ...{ kind: 'task', task: name, args: [], kwargs: {}, options: {}, immutable: false },
});

/** Bytes of all messages that start it. */
function bytes(node: CanvasNode): number {
  const { calls, chords } = startOf(node, {}, context);
  return JSON.stringify([calls, chords]).length / calls.length;
}

describe('the size of a message', () => {
  const members = Array.from({ length: 10 }, () => task('noop'));
  const nestedHeader = (levels: number): CanvasNode =>
    levels === 0
      ? task('noop')
      : {
          kind: 'chord',
          header: { kind: 'group', tasks: [...members, nestedHeader(levels - 1)], options: {} },
          body: task('noop'),
          options: {},
        };
  const nestedBody = (levels: number): CanvasNode =>
    levels === 0
      ? task('noop')
      : {
          kind: 'chord',
          header: { kind: 'group', tasks: members, options: {} },
          body: nestedBody(levels - 1),
          options: {},
        };
  const inChain = (levels: number): CanvasNode => ({
    kind: 'chain',
    tasks: [task('noop'), nestedHeader(levels), task('noop')],
    options: {},
  });

  it.each([
    ['chords in headers', nestedHeader],
    ['chords as bodies', nestedBody],
    ['chords in a chain', inChain],
  ])('grows with the canvas, and not faster: %s', (_, nested) => {
    expect(bytes(nested(6))).toBeLessThan(64 * 1024);
    const growth = bytes(nested(12)) / bytes(nested(6));
    expect(growth).toBeLessThan(2.5);
  });
});
