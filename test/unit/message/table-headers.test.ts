import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/core/errors.ts';
import { readTable } from '../../../src/message/amqp-table.ts';
import type { TaskHeaders } from '../../../src/message/message.ts';
import { parseTaskHeaders } from '../../../src/message/protocol2.ts';
import { scanTaskHeaders } from '../../../src/message/table-headers.ts';
import { amqpTable } from '../../support/amqp-table.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

const int64 = (value: bigint) => ({ '!': 'int64', value });

describe('a table of AMQP', () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['text', { a: 'ä😀', '': '' }, { a: 'ä😀', '': '' }],
    ['null and booleans', { a: null, b: true, c: false }, { a: null, b: true, c: false }],
    ['small numbers', { a: 1, b: -1, c: 70_000, d: -70_000 }, { a: 1, b: -1, c: 70_000, d: -70_000 }],
    ['fractions', { a: 0.5, b: { '!': 'float', value: 1.5 } }, { a: 0.5, b: 1.5 }],
    ['64 bits, exact in a number', { a: int64(2n ** 40n) }, { a: 2 ** 40 }],
    ['64 bits, exact in no number', { a: int64(2n ** 63n - 1n) }, { a: 2n ** 63n - 1n }],
    ['time', { a: { '!': 'timestamp', value: 86_400 } }, { a: new Date(86_400_000) }],
    ['decimals', { a: { '!': 'decimal', value: { places: 2, digits: 125 } } }, { a: 1.25 }],
    ['bytes', { a: Buffer.from([0, 255]) }, { a: Buffer.from([0, 255]) }],
    [
      'lists and tables',
      { a: [1, ['x', null], {}], b: { c: { d: [] } } },
      { a: [1, ['x', null], {}], b: { c: { d: [] } } },
    ],
  ])('is read: %s', (_, fields, expected) => {
    expect(readTable(amqpTable(fields))).toEqual(expected);
  });

  it("reads the long integers of Python's client", () => {
    const bytes = Buffer.concat([Buffer.from([1, 0x61, 0x4c]), Buffer.alloc(8, 0xff)]);
    expect(readTable(bytes)).toEqual({ a: -1 });
  });

  it('keeps a key __proto__ as plain data', () => {
    const read = readTable(amqpTable({ xxxxxxxxx: 'evil' }).fill('__proto__', 1, 10));
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(Object.entries(read)).toEqual([['__proto__', 'evil']]);
  });

  it('refuses what ends too early or has an unknown type, wherever it is cut', () => {
    const whole = amqpTable({ a: 'text', b: [1, { c: 2 }], d: 0.5 });
    const ends = new Set([0, 12, whole.length - 11]);
    for (let length = 0; length < whole.length; length += 1) {
      const cut = () => readTable(whole.subarray(0, length));
      if (length === 0) expect(cut()).toEqual({});
      else if (!ends.has(length)) {
        try {
          cut();
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }
    }
    expect(() => readTable(Buffer.from([1, 0x61, 0x3f]))).toThrow("unknown type '?'");
    expect(() => readTable(whole.subarray(0, whole.length - 1))).toThrow(DecodeError);
  });
});

const FULL = {
  ...{
    lang: 'py',
    task: 'tasks.add',
    id: 'id-1',
    shadow: 'shown',
    eta: '2026-11-22T00:00:00',
    expires: null,
  },
  ...{ group: 'g', group_index: 3, retries: 2, timelimit: [null, null], root_id: 'r', parent_id: 'p' },
  ...{ argsrepr: '(1,)', kwargsrepr: '{}', origin: 'gen1@host', ignore_result: true },
  ...{ replaced_task_nesting: 1, stamped_headers: null, stamps: {}, redelivered: true },
};

function plain(headers: TaskHeaders): Record<keyof TaskHeaders, unknown> {
  const { lang, task, id, shadow, eta, expires, group, group_index, retries, timelimit, root_id } = headers;
  const { parent_id, argsrepr, kwargsrepr, origin, ignore_result, replaced_task_nesting } = headers;
  const { stamped_headers, stamps } = headers;
  return {
    ...{ lang, task, id, shadow, eta, expires, group, group_index, retries, timelimit, root_id, parent_id },
    ...{ argsrepr, kwargsrepr, origin, ignore_result, replaced_task_nesting, stamped_headers, stamps },
  };
}

describe('headers found in a table', () => {
  const { cases } = wireFixture<{ cases: readonly { case: string; headers: Record<string, unknown> }[] }>(
    'messages-amqp.json',
  );

  it.each<[string, Record<string, unknown>]>([
    ['all', FULL],
    ['the fewest', { id: 'x', task: 'y' }],
    [
      'nothing but null',
      { ...Object.fromEntries(Object.keys(FULL).map((name) => [name, null])), id: '1', task: 't' },
    ],
    [
      'numbers of other sizes',
      { ...FULL, retries: 200, group_index: 70_000, replaced_task_nesting: { '!': 'short', value: 300 } },
    ],
    ...cases.flatMap(({ case: name, headers }): [string, Record<string, unknown>][] =>
      'task' in headers ? [[name, headers]] : [],
    ),
  ])('are those that are read the long way: %s', (_, fields) => {
    const bytes = amqpTable(fields);
    const found = scanTaskHeaders(bytes);
    const { headers, userHeaders } = parseTaskHeaders(readTable(bytes));
    const isPlain =
      userHeaders === null &&
      headers.timelimit.every((limit) => limit === null) &&
      headers.stamped_headers === null &&
      fields['compression'] === undefined;
    expect(found !== undefined).toBe(isPlain);
    if (found !== undefined) expect(plain(found)).toEqual(plain(headers));
  });

  it.each<[string, Record<string, unknown>]>([
    ['no id', { task: 't' }],
    ['no task', { id: '1' }],
    ['a task that is no text', { id: '1', task: 5 }],
    ['an empty id', { id: '', task: 't' }],
    ["a header of the sender's", { ...FULL, mine: 'x' }],
    ['a name that begins like one', { ...FULL, retrie: 1 }],
    ['time limits', { ...FULL, timelimit: [10, null] }],
    ['one time limit only', { ...FULL, timelimit: [null] }],
    ['stamps', { ...FULL, stamps: { a: 'b' } }],
    ['stamped headers', { ...FULL, stamped_headers: [] }],
    ['compression', { ...FULL, compression: 'application/x-gzip' }],
    ['text for a number', { ...FULL, retries: '2' }],
    ['a number for text', { ...FULL, origin: 5 }],
    ['a fraction', { ...FULL, retries: 1.5 }],
    ['a negative number', { ...FULL, retries: -1 }],
    ['a 64-bit number', { ...FULL, retries: int64(2n ** 60n) }],
    ['text for a boolean', { ...FULL, ignore_result: 'yes' }],
  ])('are left to be read the long way: %s', (_, fields) => {
    expect(scanTaskHeaders(amqpTable(fields))).toBeUndefined();
  });

  it('are not found in a table that is cut inside of an entry', () => {
    const bytes = amqpTable(FULL);
    let cuts = 0;
    for (let length = 1; length < bytes.length; length += 1) {
      const cut = bytes.subarray(0, length);
      try {
        readTable(cut);
      } catch {
        cuts += 1;
        expect(scanTaskHeaders(cut)).toBeUndefined();
      }
    }
    expect(cuts).toBeGreaterThan(bytes.length - 30);
  });
});
