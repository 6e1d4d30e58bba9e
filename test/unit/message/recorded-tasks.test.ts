import { describe, expect, it } from 'vitest';
import { decodeJson } from '../../../src/message/json.ts';
import type { Envelope, SignatureJson } from '../../../src/message/message.ts';
import { toProtocol2 } from '../../../src/message/protocol1.ts';
import { buildTaskMessage, decodeTaskBody, parseTaskHeaders } from '../../../src/message/protocol2.ts';
import { acceptedTypes, DEFAULT_LIMITS, openBody } from '../../../src/message/registry.ts';
import {
  ADDED_HEADERS,
  envelopeOf,
  recordedTasks,
  recordedView,
  sentView,
  without,
} from '../../support/recorded-tasks.ts';

const accept = acceptedTypes(['json', 'msgpack', 'yaml']);
const all = recordedTasks();

/** What is refused, and how. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'serializer-pickle': /Refusing to deserialize untrusted content of type pickle/,
  'compression-lzma': /lzma/,
  'compression-xz': /lzma/,
};

const COMPRESSIONS: Readonly<Record<string, string>> = {
  'application/x-gzip': 'zlib',
  'application/x-bz2': 'bzip2',
};

/** The parsed value, in which typed extras are as they crossed. */
function parsed(envelope: Envelope): unknown {
  const { serializer, bytes } = openBody(envelope, accept, DEFAULT_LIMITS);
  return serializer.parse(bytes);
}

/** The message of the task that was read, written by us. */
function rewritten(envelope: Envelope): Envelope {
  const { headers, userHeaders } = parseTaskHeaders(envelope.headers);
  const { args, kwargs, embed } = decodeTaskBody(envelope, accept, DEFAULT_LIMITS);
  const { correlationId, replyTo, deliveryMode, priority, expiration } = envelope.properties;
  const { serializer } = openBody(envelope, accept, DEFAULT_LIMITS);
  return buildTaskMessage({
    ...{
      task: headers.task,
      id: headers.id,
      args,
      kwargs,
      embed,
      headers: userHeaders,
      origin: headers.origin,
    },
    serializer: serializer.name,
    compression: COMPRESSIONS[String(envelope.headers.compression)] ?? null,
    ...{ shadow: headers.shadow, etaIso: headers.eta, expiresIso: headers.expires },
    ...{ group: headers.group, groupIndex: headers.group_index, retries: headers.retries },
    ...{
      timeLimit: headers.timelimit[0],
      softTimeLimit: headers.timelimit[1],
      ignoreResult: headers.ignore_result,
    },
    ...{ rootId: headers.root_id, parentId: headers.parent_id },
    ...{ argsrepr: headers.argsrepr, kwargsrepr: headers.kwargsrepr },
    ...{ replyTo, correlationId, deliveryMode, priority },
    ...(expiration !== undefined && { expirationMs: Number(expiration) }),
  });
}

const readable = all.filter(({ name }) => REFUSED[name] === undefined);
const isOld = (name: string): boolean => name.startsWith('protocol1');

describe('every recorded task message', () => {
  it('is there', () => {
    expect(all).toHaveLength(391);
    expect(readable.length).toBe(all.length - 6);
  });

  it.each(all.filter(({ name }) => REFUSED[name] !== undefined))(
    '$broker: $name is refused',
    ({ name, recorded }) => {
      expect(() => decodeTaskBody(envelopeOf(recorded).envelope, accept, DEFAULT_LIMITS)).toThrow(
        REFUSED[name],
      );
    },
  );

  it.each(readable.filter(({ name }) => !isOld(name)))(
    '$broker: $name read and written again is the same',
    ({ recorded, broker }) => {
      const sent = envelopeOf(recorded);
      const view = recordedView(recorded);
      const envelope = rewritten(sent.envelope);
      expect(sentView({ ...sent, envelope }, broker)).toEqual({
        ...view,
        // A retry over Redis leaves two of its headers there as well.
        properties: without(view.properties, ['origin', 'replaced_task_nesting']),
        headers: { ...view.headers, ...ADDED_HEADERS },
      });
      expect(parsed(envelope)).toEqual(parsed(sent.envelope));
    },
  );

  it.each(readable.filter(({ name }) => isOld(name)))('$broker: $name is read', ({ recorded }) => {
    const { envelope } = envelopeOf(recorded);
    const old = decodeJson(envelope.body.toString()) as Readonly<Record<string, unknown>>;
    const { headers } = parseTaskHeaders(toProtocol2(envelope, accept, DEFAULT_LIMITS).headers);
    expect([headers.task, headers.id, headers.eta, headers.group]).toEqual([
      old.task,
      old.id,
      old.eta,
      old.taskset,
    ]);
  });
});

type Part = SignatureJson & { readonly kwargs: Readonly<Record<string, unknown>> };

/** A signature as one would type it, without its ids. */
function shown(signature: Part): string {
  const { task, args, kwargs, subtask_type: type } = signature;
  const list = (value: unknown): string => (value as readonly Part[]).map(shown).join(', ');
  if (type === 'group' || type === 'chain') return `${type}(${list(kwargs.tasks)})${following(signature)}`;
  if (type === 'chord') {
    const header = kwargs.header as Part | readonly Part[];
    const shownHeader = Array.isArray(header) ? `[${list(header)}]` : shown(header as Part);
    return `chord(${shownHeader}, ${shown(kwargs.body as Part)})${following(signature)}`;
  }
  const named = Object.entries(kwargs).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${task.replace('proj.', '')}(${[...args.map((arg) => JSON.stringify(arg)), ...named].join(', ')})${following(signature)}`;
}

function following({ options }: Part): string {
  const { link_error: errbacks, link: callbacks } = options as Record<string, readonly Part[] | undefined>;
  const { chord } = options as Record<string, Part | undefined>;
  return [
    ...(callbacks ?? []).map((callback) => `.link(${shown(callback)})`),
    ...(errbacks ?? []).map((errback) => `.onError(${shown(errback)})`),
    ...(chord === undefined ? [] : [`.chord(${shown(chord)})`]),
  ].join('');
}

/** What the message says about the workflow that it is part of. */
function workflow(envelope: Envelope): string {
  const { headers } = parseTaskHeaders(envelope.headers);
  const { args, kwargs, embed } = decodeTaskBody(envelope, accept, DEFAULT_LIMITS);
  const own = { task: headers.task, args, kwargs, options: {}, subtask_type: null, immutable: false };
  return [
    shown(own),
    ...(headers.group === null
      ? []
      : [`in group${headers.group_index === null ? '' : ` ${headers.group_index}`}`]),
    ...(embed.callbacks ?? []).map((part) => `link ${shown(part)}`),
    ...(embed.errbacks ?? []).map((part) => `error ${shown(part)}`),
    ...[...(embed.chain ?? [])].reverse().map((part) => `then ${shown(part)}`),
    ...(embed.chord === null ? [] : [`chord ${shown(embed.chord)}`]),
  ].join(' | ');
}

const CANVAS = /^(worker )?(chain|chord-(?!database|unlock)|group|link|signature-link|errback)/;

describe('the workflow in a recorded message', () => {
  it('is read', () => {
    const told = new Map<string, string>();
    for (const { name, broker, recorded } of readable) {
      if (!CANVAS.test(name)) continue;
      const ids = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
      const line = `${name}: ${workflow(envelopeOf(recorded).envelope).replace(ids, 'id')}\n`;
      told.set(broker, (told.get(broker) ?? '') + line);
    }
    expect(told.get('redis')).toBe(told.get('amqp'));
    expect(`\n${told.get('amqp') ?? ''}`).toMatchInlineSnapshot(`
      "
      chain-2: add(4, 4) | then mul(8)
      chain-3: add(2, 2) | then add(4) | then mul(8)
      chain-args: add(16, 4) | then mul(8)
      chain-chord-task: add(2, 2) | in group 0 | chord chain(xsum(), add(1), tail(note="z"))
      chain-chord-task: add(3, 3) | in group 1 | chord chain(xsum(), add(1), tail(note="z"))
      chain-chord: add(1, 1) | then chord(group(add(2).chord(xsum()), add(3).chord(xsum())).chord(xsum()), xsum())
      chain-group-task: add(1, 1) | in group 0 | chord xsum()
      chain-group-task: add(2, 2) | in group 1 | chord xsum()
      chain-link-error: add(1, 1) | error on_error() | then add(2).onError(on_error()) | then add(3).onError(on_error())
      chain-link: add(1, 1) | then add(2).link(tail())
      chain-of-groups: add(1, 1) | in group 0 | chord chord(group(ident().chord(tail(note="end")), tail().chord(tail(note="end"))).chord(tail(note="end")), tail(note="end"))
      chain-of-groups: add(2, 2) | in group 1 | chord chord(group(ident().chord(tail(note="end")), tail().chord(tail(note="end"))).chord(tail(note="end")), tail(note="end"))
      chain-task-group-task: add(1, 1) | then chord(group(add(2).chord(xsum()), mul(3).chord(xsum())).chord(xsum()), xsum())
      chain-task-group: add(1, 1) | then group(add(2), mul(3))
      chain-task-id: add(1, 1) | then add(2)
      chord-2: add(1, 1) | in group 0 | chord xsum()
      chord-2: add(2, 2) | in group 1 | chord xsum()
      chord-body-chain: add(1, 1) | in group 0 | chord chain(xsum(), add(5))
      chord-body-chain: add(2, 2) | in group 1 | chord chain(xsum(), add(5))
      chord-call: add(0, 0) | in group 0 | chord xsum()
      chord-call: add(1, 1) | in group 1 | chord xsum()
      chord-call: add(2, 2) | in group 2 | chord xsum()
      chord-header-chains: add(1, 1) | then mul(2).chord(xsum())
      chord-header-chains: add(2, 2) | then mul(3).chord(xsum())
      chord-link-error: add(1, 1) | in group 0 | chord xsum().onError(on_error())
      chord-link-error: add(2, 2) | in group 1 | chord xsum().onError(on_error())
      chord-nested: add(1, 1) | in group 0 | chord xsum().chord(xsum())
      chord-nested: add(2, 2) | in group 1 | chord xsum().chord(xsum())
      chord-nested: add(9, 9) | in group 1 | chord xsum()
      chord-one: add(1, 1) | in group 0 | chord xsum()
      group-2: add(1, 1) | in group
      group-2: mul(2, 2) | in group
      group-3: add(0, 0) | in group
      group-3: add(1, 1) | in group
      group-3: add(2, 2) | in group
      group-link: add(1, 1) | in group | link tail()
      group-link: add(2, 2) | in group
      group-nested: add(1, 1) | in group
      group-nested: add(2, 2) | in group
      group-nested: add(3, 3) | in group
      group-of-chains-3: add(1, 1) | in group
      group-of-chains-3: add(2, 2) | then mul(2)
      group-of-chains-3: add(3, 3) | then mul(3) | then tail(note="x")
      group-of-chains: add(1, 1) | then mul(2)
      group-of-chains: add(3, 3) | then mul(4)
      group-skew: add(0, 0) | in group
      group-skew: add(1, 1) | in group
      group-skew: add(2, 2) | in group
      group-task-id: add(1, 1) | in group
      group-task-id: add(2, 2) | in group
      link-error: add(2, 2) | error on_error()
      link-immutable: add(2, 2) | link noop()
      link-options: add(3, 5) | link mul(2).link(tail())
      link-two: add(2, 2) | link mul(10) | link tail(note="n")
      link: add(2, 2) | link mul(10)
      signature-link: add(1, 2) | link mul(5) | error on_error()
      worker chain-failure: fail("ValueError", "first") | then add(1) | then add(2)
      worker chain-next: add(4, 4) | then mul(8)
      worker chain-next: mul(8, 8)
      worker chain-three: add(1, 1) | then add(2) | then tail(note="end")
      worker chain-three: add(2, 2) | then tail(note="end")
      worker chain-three: tail(4, note="end")
      worker chord-body: add(1, 1) | in group 0 | chord xsum()
      worker chord-body: add(2, 2) | in group 1 | chord xsum()
      worker chord-body: xsum([2,4])
      worker chord-error: add(1, 1) | in group 0 | chord xsum().onError(on_error())
      worker chord-error: fail("ValueError", "in header") | in group 1 | chord xsum().onError(on_error())
      worker chord-error: on_error("id") | in group
      worker errback: fail("ValueError", "bad") | error on_error()
      worker errback: on_error("id") | in group
      worker group-in-chain: add(1, 1) | then group(add(2), mul(3))
      worker group-in-chain: add(2, 2) | in group 0
      worker group-in-chain: mul(2, 3) | in group 1
      worker link: add(2, 2) | link mul(10)
      worker link: mul(4, 10)
      "
    `);
  });
});
