import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { TaskHeaders } from '../../../src/message/message.ts';
import type { Outcome } from '../../../src/message/outcome.ts';
import { DecodeError } from '../../../src/core/errors.ts';
import { JobFrameReader, JobFrameWriter, type ArrivedMessage } from '../../../src/pool/job-frames.ts';
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
  ignoreResult: false,
  deliveryInfo: { exchange: '', routing_key: 'celery', priority: null, redelivered: false },
  replyTo: null,
  correlationId: 'id-1',
  hostname: 'worker@host',
  timeLimit: undefined,
  softTimeLimit: 2.5,
};

/** As bytes, whatever they were. */
function bytesOf(parts: Frame['parts']): Buffer[] {
  return parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
}

/** What a child reads of jobs that are written to it one after the other. */
function passed(jobs: readonly Job[], reportMemory = false): ArrivedMessage[] {
  const [writer, reader] = [new JobFrameWriter(), new JobFrameReader()];
  return jobs.map((each, number) => {
    const { header, parts } = encodeParentMessage({ kind: 'job', number, job: each, reportMemory }, writer);
    const read = decodeParentMessage(header, bytesOf(parts), reader);
    if (read.kind !== 'job') throw new Error(read.kind);
    return read;
  });
}

/** All that a job says, whoever holds it. */
function plain(each: Job | ArrivedMessage['job']): Record<string, unknown> {
  const { id, task, headers, userHeaders, body, contentType, contentEncoding, compression } = each;
  const { ignoreResult, deliveryInfo, replyTo, correlationId, hostname } = each;
  return {
    ...{ id, task, headers: { ...headers }, userHeaders, body, contentType, contentEncoding, compression },
    ...{ ignoreResult, deliveryInfo, replyTo, correlationId, hostname },
  };
}

const CHANGES: readonly [string, Partial<Job>][] = [
  ['plain', {}],
  ['compressed', { compression: 'application/x-gzip' }],
  ['empty body', { body: Buffer.alloc(0) }],
  [
    'headers of its own',
    { userHeaders: { text: 'x', at: new Date(5), big: 2n ** 70n, raw: Buffer.from('b') } },
  ],
  ['stamps', { headers: { ...headers, stamped_headers: ['n'], stamps: { n: 2n ** 60n } } }],
  ['another correlation id', { correlationId: 'ä,{' }],
  ['no correlation id', { correlationId: null }],
  ['another task', { task: 'tasks.{,mul', headers: { ...headers, task: 'tasks.{,mul' } }],
  ['no result wanted', { ignoreResult: true }],
  ['delivered again', { deliveryInfo: { exchange: 'x', routing_key: 'é', priority: 3, redelivered: true } }],
];

describe('a job', () => {
  it.each(CHANGES)('arrives as it was sent: %s', (_, change) => {
    const sent = { ...job, ...change };
    const [read] = passed([sent], true);
    expect(read).toMatchObject({ number: 0, reportMemory: true });
    expect(plain(read!.job)).toEqual(plain(sent));
  });

  it('arrives as it was sent among others, each of which is told of once', () => {
    const sent = [...CHANGES, ...CHANGES, ...CHANGES.toReversed()].map(([, change]) => ({
      ...job,
      ...change,
    }));
    expect(passed(sent).map((read) => plain(read.job))).toEqual(sent.map(plain));
    const writer = new JobFrameWriter();
    const lengths = [job, job].map((each) => writer.encode(1, each, false).header.length);
    expect(lengths[1]).toBeLessThan(12);
  });

  it('arrives with its own context when there are more of them than are remembered', () => {
    const sent = Array.from({ length: 600 }, (_, at) => ({ ...job, replyTo: `queue-${at % 300}` }));
    expect(passed(sent).map((read) => read.job.replyTo)).toEqual(sent.map(({ replyTo }) => replyTo));
  });

  it('is told of in full again after one that could not be sent', () => {
    const [writer, reader] = [new JobFrameWriter(), new JobFrameReader()];
    writer.encode(1, job, false);
    writer.forget();
    const { header, parts } = writer.encode(2, { ...job, replyTo: 'elsewhere' }, false);
    expect(reader.decode(header, bytesOf(parts)).job.replyTo).toBe('elsewhere');
  });

  it('is not kept by who has sent it', async () => {
    const writer = new JobFrameWriter();
    const body = new WeakRef(
      writer.encode(1, { ...job, body: Buffer.alloc(1000) }, false).parts[0] as Buffer,
    );
    // A WeakRef holds until the end of the turn in which it was made.
    await new Promise((resolve) => setImmediate(resolve));
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    expect(body.deref()).toBeUndefined();
    expect(writer.encode(2, job, false).header).toContain('J2,0');
  });

  it('arrives with its headers in the bytes that the broker carried', () => {
    const table = Buffer.concat([text('task', 'tasks.add'), text('id', 'id-1'), text('mine', 'x')]);
    const [read] = passed([{ ...job, headerBytes: table }]);
    expect(read?.job.headers).toMatchObject({ task: 'tasks.add', id: 'id-1', retries: 0 });
    expect(read?.job.userHeaders).toEqual({ mine: 'x' });
  });
});

/** An entry of an AMQP table. */
function text(name: string, value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(`${name}S`), length, Buffer.from(value)]);
}

/** Through a frame and back. */
function through(message: ChildMessage): ChildMessage {
  const { header, parts } = encodeChildMessage(message);
  return decodeChildMessage(header, bytesOf(parts));
}

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
      const read = through(message);
      expect(read).toEqual(message);
    },
  );
});

describe('a state', () => {
  it('arrives as it was sent', () => {
    const update = { taskId: 'id-1', state: 'PROGRESS', meta: json('{"current":1}') };
    const message: ChildMessage = { kind: 'state', number: 4, sequence: 3, update };
    expect(through(message)).toEqual(message);
  });
});

describe('a success that nothing follows', () => {
  it('arrives as it was sent, in a short form', () => {
    const outcome = {
      kind: 'success',
      seconds: 1.5e-7,
      children: [],
      embed: null,
      result: json('"é"'),
      repr: "'é'",
    } as const;
    const message: ChildMessage = { kind: 'outcome', number: 4, outcome, memoryKb: null, isBroken: false };
    expect(encodeChildMessage(message).header).toBe('S4,1.5e-7,json');
    const read = through(message);
    if (read.kind !== 'outcome' || read.outcome.kind !== 'success') throw new Error(read.kind);
    const { kind, seconds, children, embed, result, repr } = read.outcome;
    expect({ ...read, outcome: { kind, seconds, children, embed, result, repr } }).toEqual(message);
  });

  it('is told of in full by a process that is broken', () => {
    const outcome = {
      kind: 'success',
      seconds: 1,
      children: [],
      embed: null,
      result: json('1'),
      repr: '1',
    } as const;
    const message: ChildMessage = { kind: 'outcome', number: 4, outcome, memoryKb: 9, isBroken: true };
    expect(through(message)).toEqual(message);
  });
});

it.each(['', 'null', '5', '"x"', '{}', '{"kind":1}', '{'])('refuses the header %j', (header) => {
  expect(() => decodeChildMessage(header, [])).toThrow(DecodeError);
});

it.each(['J1,0,ji', 'J1,0,ji{"task":"t"}'])('refuses the job %j that lacks something', (header) => {
  expect(() => new JobFrameReader().decode(header, [])).toThrow(DecodeError);
});
