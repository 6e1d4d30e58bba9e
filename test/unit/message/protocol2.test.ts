import { describe, expect, it } from 'vitest';

import { InvalidTaskError } from '../../../src/core/errors.ts';
import { decodeJson, encodeJson } from '../../../src/message/json.ts';
import type { Embed, SignatureJson } from '../../../src/message/message.ts';
import {
  buildTaskMessage,
  decodeTaskBody,
  isTaskMessage,
  parseTaskBody,
  parseTaskHeaders,
  type TaskCall,
} from '../../../src/message/protocol2.ts';
import { acceptedTypes, DEFAULT_LIMITS, encodeValue } from '../../../src/message/registry.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

interface Recorded {
  readonly case: string;
  readonly input?: {
    readonly task: string;
    readonly args: readonly unknown[];
    readonly kwargs: Readonly<Record<string, unknown>>;
    readonly options: Readonly<Record<string, unknown>>;
  } | null;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string | null;
  readonly body: string | null;
}

const accept = acceptedTypes(['json']);
const { cases } = wireFixture<{ cases: Recorded[] }>('messages-amqp.json');
const json = cases.filter(({ properties }) => properties.content_type === 'application/json');
const readable = json.filter(
  ({ headers }) =>
    headers.task !== undefined && [undefined, 'application/x-gzip'].includes(headers.compression as string),
);

function recordedBody(recorded: Recorded): Buffer {
  return recorded.text === null ? Buffer.from(recorded.body ?? '', 'base64') : Buffer.from(recorded.text);
}

/** The call that a recorded message came from, read back off the message itself. */
function callOf(recorded: Recorded): TaskCall {
  const { properties, headers } = recorded;
  const parsed = parseTaskHeaders(headers);
  const own = parsed.headers;
  const { args, kwargs, embed } = decodeTaskBody(
    { body: recordedBody(recorded), contentType: 'application/json', contentEncoding: 'utf-8', headers },
    accept,
    DEFAULT_LIMITS,
  );
  return {
    task: own.task,
    id: own.id,
    args,
    kwargs,
    embed,
    serializer: 'json',
    compression: headers.compression === undefined ? null : 'zlib',
    headers: parsed.userHeaders,
    shadow: own.shadow,
    etaIso: own.eta,
    expiresIso: own.expires,
    expirationMs: properties.expiration === undefined ? undefined : Number(properties.expiration),
    group: own.group,
    groupIndex: own.group_index,
    retries: own.retries,
    timeLimit: own.timelimit[0],
    softTimeLimit: own.timelimit[1],
    rootId: own.root_id,
    parentId: own.parent_id,
    argsrepr: own.argsrepr,
    kwargsrepr: own.kwargsrepr,
    origin: own.origin,
    ignoreResult: own.ignore_result,
    replyTo: properties.reply_to as string,
    correlationId: properties.correlation_id as string,
    deliveryMode: properties.delivery_mode as 1 | 2,
    priority: properties.priority as number | undefined,
  };
}

// What 5.6 adds to the headers of 5.2.6.
const ADDED = { replaced_task_nesting: 0, stamped_headers: null, stamps: {} };

describe('messages of Python Celery', () => {
  it('has enough of them', () => {
    expect(readable.length).toBeGreaterThan(120);
  });

  it.each(readable)('$case: rebuilt from its parts it is the same', (recorded) => {
    const message = buildTaskMessage(callOf(recorded));
    const { compression, ...headers } = message.headers;
    expect(headers).toEqual({ ...recorded.headers, compression: undefined, ...ADDED });
    expect(compression).toBe(recorded.headers.compression);
    expect(message.properties).toEqual({
      correlationId: recorded.properties.correlation_id,
      replyTo: recorded.properties.reply_to,
      deliveryMode: recorded.properties.delivery_mode,
      priority: recorded.properties.priority,
      expiration: recorded.properties.expiration,
    });
    expect([message.contentType, message.contentEncoding]).toEqual(['application/json', 'utf-8']);
    if (recorded.text !== null)
      expect(decodeJson(message.body.toString())).toEqual(decodeJson(recorded.text));
  });

  // Tuples inside, calls with a list and keys that are not text have no twin here.
  const twins = readable.filter(
    ({ case: name, input, headers }) =>
      typeof input?.task === 'string' &&
      String(headers.argsrepr).startsWith('(') &&
      !encodeJson(input).includes('"$') &&
      !['values-dict-keys', 'values-json', 'argsrepr-given'].includes(name),
  );

  it.each(twins)('$case: the same call gives the same headers and body', ({ input, headers, text }) => {
    const { task, args, kwargs, options } = input!;
    const message = buildTaskMessage({
      task,
      args,
      kwargs,
      id: String(headers.id),
      serializer: 'json',
      headers: options.headers as Record<string, unknown> | undefined,
      shadow: options.shadow as string | undefined,
      retries: options.retries as number | undefined,
      timeLimit: options.time_limit as number | undefined,
      softTimeLimit: headers.timelimit === undefined ? undefined : (headers.timelimit as number[])[1],
      rootId: options.root_id as string | undefined,
      parentId: options.parent_id as string | undefined,
      ignoreResult: headers.ignore_result as boolean,
      origin: String(headers.origin),
      // Taken over: the times, and the callbacks, which are signatures that the app makes.
      etaIso: headers.eta as string | null,
      expiresIso: headers.expires as string | null,
      ...(text === null ? undefined : { embed: (decodeJson(text) as [unknown, unknown, Embed])[2] }),
    });
    expect(message.headers).toEqual({ ...headers, compression: undefined, ...ADDED });
    if (text !== null) expect(decodeJson(message.body.toString())).toEqual(decodeJson(text));
  });

  it('has twins enough', () => {
    expect(twins.length).toBeGreaterThan(50);
  });
});

describe('buildTaskMessage', () => {
  const call: TaskCall = {
    task: 'tasks.add',
    id: 'T1',
    args: [4, 4],
    kwargs: {},
    serializer: 'json',
    origin: 'gen1@host',
  };

  it("has Celery 5.6's headers in their order, and defaults", () => {
    const { headers, properties, body } = buildTaskMessage(call);
    expect(JSON.stringify(headers)).toBe(
      '{"lang":"py","task":"tasks.add","id":"T1","shadow":null,"eta":null,"expires":null,"group":null,' +
        '"group_index":null,"retries":0,"timelimit":[null,null],"root_id":"T1","parent_id":null,' +
        '"argsrepr":"(4, 4)","kwargsrepr":"{}","origin":"gen1@host","ignore_result":false,' +
        '"replaced_task_nesting":0,"stamped_headers":null,"stamps":{}}',
    );
    expect(properties).toEqual({ correlationId: 'T1', deliveryMode: 2 });
    expect(body.toString()).toBe('[[4,4],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]');
  });

  it('lets user headers stand beside its own', () => {
    const user = JSON.parse('{"x-tenant": "acme", "lang": "ts", "__proto__": 1}') as Record<string, unknown>;
    const { headers } = buildTaskMessage({ ...call, headers: user });
    expect(headers).toMatchObject({ 'x-tenant': 'acme', lang: 'ts', task: 'tasks.add' });
    expect(Object.hasOwn(headers, '__proto__')).toBe(true);
    const { userHeaders } = parseTaskHeaders({ ...headers, compression: 'x', redelivered: true });
    expect(Object.keys(userHeaders!)).toEqual(['x-tenant', '__proto__']);
  });

  it('takes a body that is encoded already, or came in', () => {
    const body = encodeValue([[1], {}, {}], 'json');
    expect(buildTaskMessage({ ...call, body }).body).toBe(body.bytes);
    const arrived = {
      body: Buffer.from('raw'),
      contentType: 'x/y',
      contentEncoding: 'binary',
      compression: 'c',
    };
    const message = buildTaskMessage({ ...call, body: arrived, compression: 'zlib' });
    expect(message).toMatchObject({ body: arrived.body, contentType: 'x/y', contentEncoding: 'binary' });
    expect(message.headers.compression).toBe('c');
    expect(buildTaskMessage({ ...call, body, compression: 'zlib' }).headers.compression).toBe(
      'application/x-gzip',
    );
  });

  it.each([
    [60_000, '60000'],
    [-5, '0'],
    [1.6, '2'],
  ])('writes the expiration %d as text', (expirationMs, text) => {
    expect(buildTaskMessage({ ...call, expirationMs }).properties.expiration).toBe(text);
  });

  it('shows what is given instead of secret arguments', () => {
    const { headers } = buildTaskMessage({ ...call, argsrepr: '(***)', kwargsrepr: '{***}' });
    expect([headers.argsrepr, headers.kwargsrepr]).toEqual(['(***)', '{***}']);
  });
});

describe('parseTaskHeaders', () => {
  it('fills what is not there', () => {
    expect(parseTaskHeaders({ task: 'tasks.add', id: 'T1', eta: null })).toEqual({
      headers: {
        ...{ lang: 'py', task: 'tasks.add', id: 'T1', shadow: null, eta: null, expires: null, group: null },
        ...{ group_index: null, retries: 0, timelimit: [null, null], root_id: null, parent_id: null },
        ...{ argsrepr: '', kwargsrepr: '', origin: '', ignore_result: false, replaced_task_nesting: 0 },
        ...{ stamped_headers: null, stamps: {} },
      },
      userHeaders: null,
    });
  });

  it.each([
    [{ id: 'T1' }, "has no header 'task'"],
    [{ task: 'a', id: '' }, "has no header 'id'"],
    [{ task: 5, id: 'T1' }, "the header 'task' of the task message is 5; expected text"],
    [{ task: 'a', id: 'T1', eta: 5 }, "'eta' of the task message is 5; expected text or null"],
    [{ task: 'a', id: 'T1', retries: '3' }, "'retries' of the task message is '3'; expected a number"],
    [
      { task: 'a', id: 'T1', timelimit: [1] },
      "'timelimit' of the task message is [1]; expected [hard, soft]",
    ],
    [{ task: 'a', id: 'T1', timelimit: ['1', null] }, "'timelimit'"],
    [{ task: 'a', id: 'T1', stamps: [] }, "'stamps'"],
    [{ task: 'a', id: 'T1', stamped_headers: [1] }, "'stamped_headers'"],
    [{ task: 'a', id: 'T1', group: { x: 'y'.repeat(1000) } }, "'group' of the task message is {'x': 'yyy"],
    [Object.create({ task: 'inherited', id: 'T1' }) as Record<string, unknown>, "has no header 'task'"],
  ])('refuses %j', (headers, message) => {
    expect(() => parseTaskHeaders(headers)).toThrow(InvalidTaskError);
    expect(() => parseTaskHeaders(headers)).toThrow(message);
  });

  it('knows a task message by its headers', () => {
    expect(isTaskMessage({ headers: { task: 'a' } })).toBe(true);
    expect(isTaskMessage({ headers: Object.create({ task: 'a' }) as Record<string, unknown> })).toBe(false);
  });
});

describe('parseTaskBody', () => {
  const none = { callbacks: null, errbacks: null, chain: null, chord: null };
  const signature: SignatureJson = {
    ...{ task: 'tasks.mul', args: [8], kwargs: {}, options: {}, subtask_type: null, immutable: false },
  };

  it.each([
    [
      [[1], { a: 2 }, { chain: [signature] }],
      { args: [1], kwargs: { a: 2 }, embed: { ...none, chain: [signature] } },
    ],
    [[[], {}], { args: [], kwargs: {}, embed: none }],
    [[[], {}, null], { args: [], kwargs: {}, embed: none }],
    [
      { args: [1], kwargs: {}, callbacks: [signature] },
      { args: [1], kwargs: {}, embed: { ...none, callbacks: [signature] } },
    ],
    [{ kwargs: { a: 1 } }, { args: [], kwargs: { a: 1 }, embed: none }],
  ])('reads %j', (value, body) => {
    expect(parseTaskBody(value)).toEqual(body);
  });

  it.each([
    ['text', 'is not [args, kwargs, embed]'],
    [null, 'is not [args, kwargs, embed]'],
    [[[]], 'is not [args, kwargs, embed]'],
    [[[], {}, {}, {}], 'is not [args, kwargs, embed]'],
    [{}, 'is not [args, kwargs, embed]'],
    [['abc', {}, {}], 'the args of the task message are not a list'],
    [[[], [], {}], 'the kwargs of the task message are not a dict'],
    [[[], {}, []], 'the third part of the task message is not a dict'],
    [[[], {}, { chain: [{}] }], "'chain' of the task message holds something that is not a signature"],
    [[[], {}, { callbacks: {} }], "'callbacks'"],
    [[[], {}, { chord: 'x' }], "'chord'"],
  ])('refuses %j', (value, message) => {
    expect(() => parseTaskBody(value)).toThrow(InvalidTaskError);
    expect(() => parseTaskBody(value)).toThrow(message);
  });

  it('makes values of the arguments and passes on what follows as it came', () => {
    const decimal = { __type__: 'decimal', __value__: '1.10' };
    const body = Buffer.from(
      JSON.stringify([[decimal], { d: decimal }, { chain: [{ ...signature, args: [decimal] }] }]),
    );
    const message = { body, contentType: 'application/json', contentEncoding: 'utf-8', headers: {} };
    const { args, kwargs, embed } = decodeTaskBody(message, accept, DEFAULT_LIMITS);
    expect([args, kwargs]).toEqual([['1.10'], { d: '1.10' }]);
    expect(embed.chain?.[0]?.args).toEqual([decimal]);
  });

  it('does not take an extra for the arguments', () => {
    const body = Buffer.from('[{"__type__": "decimal", "__value__": "1"}, {}, {}]');
    const message = { body, contentType: 'application/json', contentEncoding: 'utf-8', headers: {} };
    expect(() => decodeTaskBody(message, accept, DEFAULT_LIMITS)).toThrow(InvalidTaskError);
  });
});
