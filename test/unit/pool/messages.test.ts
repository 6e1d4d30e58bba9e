import { describe, expect, it } from 'vitest';
import type { TaskHeaders } from '../../../src/message/message.ts';
import type { Outcome } from '../../../src/message/outcome.ts';
import type { Frame } from '../../../src/pool/frames.ts';
import type { ChildMessage } from '../../../src/pool/messages.ts';
import {
  decodeChildMessage,
  decodeParentMessage,
  encodeChildMessage,
  encodeParentMessage,
} from '../../../src/pool/messages.ts';
import type { Job } from '../../../src/pool/pool.ts';

const headers: TaskHeaders = {
  lang: 'py',
  task: 'tasks.add',
  id: 'id-1',
  shadow: null,
  eta: null,
  expires: null,
  group: null,
  group_index: null,
  retries: 0,
  timelimit: [null, 2.5],
  root_id: 'id-1',
  parent_id: null,
  argsrepr: "('ä',)",
  kwargsrepr: '{}',
  origin: 'gen1@host',
  ignore_result: false,
  replaced_task_nesting: 0,
  stamped_headers: null,
  stamps: {},
};

const job: Job = {
  id: 'id-1',
  task: 'tasks.add',
  headers,
  userHeaders: null,
  body: Buffer.from([0, 255, 128]),
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  deliveryInfo: { exchange: '', routing_key: 'celery', priority: null, redelivered: false },
  replyTo: null,
  correlationId: 'id-1',
  hostname: 'worker@host',
  timeLimit: undefined,
  softTimeLimit: 2.5,
};

/** Through JSON, as frames go. */
function wire({ header, parts }: Frame): [unknown, readonly Buffer[]] {
  return [JSON.parse(JSON.stringify(header)), parts];
}

describe('a job', () => {
  it.each<[string, Partial<Job>]>([
    ['plain', {}],
    ['compressed', { compression: 'application/x-gzip' }],
    ['empty body', { body: Buffer.alloc(0) }],
    [
      'headers of its own',
      { userHeaders: { text: 'x', at: new Date(5), big: 2n ** 70n, raw: Buffer.from('b') } },
    ],
    ['stamps', { headers: { ...headers, stamped_headers: ['n'], stamps: { n: 2n ** 60n } } }],
  ])('arrives as it was sent: %s', (_, change) => {
    const sent = { ...job, ...change };
    const message = encodeParentMessage({ kind: 'job', number: 1, job: sent, reportMemory: true });
    expect(decodeParentMessage(...wire(message))).toEqual({
      kind: 'job',
      number: 1,
      job: sent,
      reportMemory: true,
    });
  });
});

const json = (text: string) => ({ serializer: 'json', bytes: Buffer.from(text) });
const ran = { seconds: 0.25, children: [[['child', null], null]] as const, embed: null };
const error = { type: 'KeyError', module: 'builtins', args: ['k', 1], traceback: 'KeyError\n  at x' };

const OUTCOMES: readonly Outcome[] = [
  { kind: 'success', ...ran, result: json('8'), repr: '8' },
  {
    kind: 'success',
    ...ran,
    embed: json('{"chord":null}'),
    call: { args: json('[1]'), kwargs: json('{}') },
    result: json(''),
    repr: 'None',
  },
  { kind: 'failure', ...ran, error, expected: true, repr: "KeyError('k')" },
  {
    kind: 'failure',
    ...ran,
    embed: json('{}'),
    error: { ...error, args: [{ __type__: 'datetime', __value__: '2026-11-22T00:00:00' }, 2n ** 80n] },
    expected: false,
    repr: '',
  },
  {
    kind: 'retry',
    ...ran,
    error: null,
    message: 'Retry in 5s',
    request: { etaMs: 5, body: null, options: {} },
  },
  {
    kind: 'retry',
    ...ran,
    error,
    message: 'Retry in 5s',
    request: {
      etaMs: 5,
      body: { value: json('[[1],{},{}]'), argsrepr: '(1,)', kwargsrepr: '{}' },
      options: { queue: 'q', headers: { at: new Date(9), raw: Buffer.from('b') } },
    },
  },
  { kind: 'ignore', ...ran },
  { kind: 'reject', ...ran, requeue: true, reason: 'no', traceback: null },
];

describe('an outcome', () => {
  it.each(OUTCOMES.map((outcome) => [outcome.kind, outcome] as const))(
    'arrives as it was sent: %s',
    (_, outcome) => {
      const message: ChildMessage = { kind: 'outcome', number: 4, outcome, memoryKb: 7, isBroken: false };
      expect(decodeChildMessage(...wire(encodeChildMessage(message)))).toEqual(message);
    },
  );
});

describe('a state', () => {
  it('arrives as it was sent', () => {
    const update = { taskId: 'id-1', state: 'PROGRESS', meta: json('{"current":1}') };
    const message: ChildMessage = { kind: 'state', number: 4, sequence: 3, update };
    expect(decodeChildMessage(...wire(encodeChildMessage(message)))).toEqual(message);
  });
});

it.each([[undefined], [null], [5], ['x'], [{}], [{ kind: 1 }]])('refuses the header %j', (header) => {
  expect(() => decodeChildMessage(header, [])).toThrow('has no kind');
});
