import { describe, expect, it } from 'vitest';

import { DecodeError } from '../../../src/core/errors.ts';
import { decodeJson, encodeJson } from '../../../src/message/json.ts';
import { jsonMembers } from '../../../src/message/json-members.ts';
import { decodeValue, encodeValue } from '../../../src/message/registry.ts';
import { decodeMeta, encodeMeta } from '../../../src/message/result-codec.ts';
import type { ResultMeta } from '../../../src/message/result-meta.ts';
import { seededRandom, wireFixture } from '../../support/wire-fixtures.ts';

const { cases } = wireFixture<{ cases: { backend: string; case: string; document: string }[] }>(
  'results.json',
);

/** The recorded time in the form of 5.6: with its offset, and milliseconds for microseconds. */
function expectedOf(document: string): Record<string, unknown> {
  const expected = decodeJson(document) as Record<string, unknown>;
  const { date_done: done } = expected;
  if (typeof done === 'string') expected.date_done = `${done.slice(0, 23)}000+00:00`;
  return expected;
}

describe('result documents of Python Celery', () => {
  it('are enough', () => {
    expect(cases.length).toBeGreaterThan(100);
  });

  it.each(cases)('$backend $case: read and written again it is the same', ({ backend, document }) => {
    const meta = decodeMeta(Buffer.from(document), 'json');
    const written = encodeMeta(meta, backend === 'redis' ? 'key-value' : 'rpc', 'json').toString();
    const expected = expectedOf(document);
    expect(decodeJson(written)).toEqual(expected);
    expect(Object.keys(decodeJson(written) as object)).toEqual(Object.keys(expected));
    expect(meta.status).toBe(expected.status);
    expect(meta.error === null).toBe(
      !['FAILURE', 'REVOKED'].includes(meta.status) && (meta.status !== 'RETRY' || expected.result === null),
    );
    if (meta.status === 'SUCCESS' && expected.result !== null)
      expect(decodeValue(meta.result!)).toEqual(expected.result);
  });
});

describe.each(['msgpack', 'yaml'])('result documents in %s', (serializer) => {
  it.each(cases)('$backend $case: says what it says in JSON', ({ backend, case: recorded, document }) => {
    const form = backend === 'redis' ? 'key-value' : 'rpc';
    const meta = decodeMeta(Buffer.from(document), 'json');
    if (serializer === 'msgpack' && recorded === 'success-big') {
      expect(() => encodeMeta(meta, form, serializer)).toThrow('an integer of more than 64 bits');
      return;
    }
    const bytes = encodeMeta(meta, form, serializer);
    expect(decodeValue({ serializer, bytes })).toEqual(
      decodeValue({ serializer: 'json', bytes: encodeMeta(meta, form, 'json') }),
    );
    const again = encodeMeta(decodeMeta(bytes, serializer), form, 'json');
    expect(decodeJson(again.toString())).toEqual(decodeJson(encodeMeta(meta, form, 'json').toString()));
  });
});

const meta: ResultMeta = {
  taskId: 'T1',
  status: 'SUCCESS',
  result: encodeValue(5, 'json'),
  error: null,
  traceback: null,
  children: [],
  dateDone: new Date('2026-11-22T15:24:18.128Z'),
  groupId: null,
  parentId: null,
  extended: null,
};

describe('encodeMeta', () => {
  it.each([
    [
      {},
      '{"status":"SUCCESS","result":5,"traceback":null,"children":[],"date_done":"2026-11-22T15:24:18.128000+00:00","task_id":"T1"}',
    ],
    [
      { groupId: 'G1', parentId: 'P1', children: null },
      '{"status":"SUCCESS","result":5,"traceback":null,"children":null,"date_done":"2026-11-22T15:24:18.128000+00:00","group_id":"G1","parent_id":"P1","task_id":"T1"}',
    ],
    [
      {
        ...{ status: 'RETRY', result: null, dateDone: null, traceback: 'TB' },
        error: { type: 'RuntimeError', module: 'builtins', args: ['x'], traceback: 'TB' },
      },
      '{"status":"RETRY","result":{"exc_type":"RuntimeError","exc_message":["x"],"exc_module":"builtins"},"traceback":"TB","children":[],"date_done":null,"task_id":"T1"}',
    ],
    [
      {
        extended: {
          ...{
            name: 'tasks.add',
            args: encodeValue([2, 3n], 'json'),
            kwargs: null,
            worker: 'w@h',
            retries: 0,
          },
          ...{ queue: null, stampedHeaders: ['st'], stamps: { st: 'v' } },
        },
      },
      '{"status":"SUCCESS","result":5,"traceback":null,"children":[],"date_done":"2026-11-22T15:24:18.128000+00:00","name":"tasks.add","args":[2,3],"kwargs":null,"worker":"w@h","retries":0,"queue":null,"stamped_headers":["st"],"st":"v","task_id":"T1"}',
    ],
  ])('writes the stored form of %j', (fields, document) => {
    const full = { ...meta, ...fields };
    const bytes = encodeMeta(full, 'key-value', 'json');
    expect(bytes.toString()).toBe(document);
    expect(decodeMeta(bytes, 'json')).toEqual(full);
  });

  it('writes the sent form', () => {
    const bytes = encodeMeta({ ...meta, groupId: 'G1' }, 'rpc', 'json');
    expect(bytes.toString()).toBe(
      '{"task_id":"T1","status":"SUCCESS","result":5,"traceback":null,"children":[]}',
    );
    expect(decodeMeta(bytes, 'json')).toEqual({ ...meta, dateDone: null });
  });

  it('puts bytes in as they are', () => {
    const result = { serializer: 'json', bytes: Buffer.from('{"kept" : [ 1 ]}') };
    expect(encodeMeta({ ...meta, result }, 'rpc', 'json').toString()).toContain(
      '"result":{"kept" : [ 1 ]},"traceback"',
    );
  });
});

describe('decodeMeta', () => {
  it('reads what others wrote differently', () => {
    const document =
      '{ "result" : null , "children":[["bad"]], "status":"FAILURE", "task_id":"T1", "new": {"field": 1}}';
    expect(decodeMeta(Buffer.from(document), 'json')).toMatchObject({
      ...{ status: 'FAILURE', result: null, error: null, children: null, dateDone: null },
    });
    const old =
      '{"status":"FAILURE","result":{"exc_type":"E","exc_message":"x"},"traceback":"TB","task_id":"T1"}';
    expect(decodeMeta(Buffer.from(old), 'json').error).toEqual({
      type: 'E',
      module: null,
      args: ['x'],
      traceback: 'TB',
    });
    const plain = '{"status":"FAILURE","result":"no error form","task_id":"T1"}';
    expect(decodeMeta(Buffer.from(plain), 'json').result?.bytes.toString()).toBe('"no error form"');
  });

  it.each([
    '',
    'x',
    '[]',
    '{"status"',
    '{"status":',
    '{"status":}',
    '{"status":"A"',
    '{"status":"A",}',
    '{"status":"A"} x',
    '{status:1}',
    '{"a":1 2}',
    '{"task_id":"T1"}',
    '{"status":5}',
    '{"status":"\\x"}',
    '{"\\x":1}',
  ])('refuses %s', (document) => {
    expect(() => decodeMeta(Buffer.from(document), 'json')).toThrow(DecodeError);
  });
});

describe('jsonMembers', () => {
  it('finds what JSON.parse finds', () => {
    const random = seededRandom(3);
    const pick = (count: number): number => Math.floor(random() * count);
    const value = (depth: number): unknown => {
      const kind = pick(depth > 3 ? 4 : 6);
      if (kind === 0) return pick(1000) - 500.5;
      if (kind === 1) return [true, false, null][pick(3)];
      if (kind < 4)
        return Array.from({ length: pick(6) }, () => ['"', '\\', ',', '}', ']', 'å', ' '][pick(7)]).join('');
      const items = Array.from({ length: pick(4) }, () => value(depth + 1));
      return kind === 4 ? items : Object.fromEntries(items.map((item, index) => [`"k,}${index}`, item]));
    };
    for (let round = 0; round < 500; round += 1) {
      const object = { first: value(0), 'sec\\"ond': value(0), third: value(0) };
      const text = JSON.stringify(object, null, round % 3);
      const found: Record<string, unknown> = {};
      for (const [key, bytes] of jsonMembers(Buffer.from(text))) found[key] = JSON.parse(bytes.toString());
      expect(found).toEqual(object);
    }
    expect(encodeJson([...jsonMembers(Buffer.from(' { } '))])).toBe('[]');
  });
});
