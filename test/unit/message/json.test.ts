import { execFileSync } from 'node:child_process';
import { runInNewContext } from 'node:vm';

import { describe, expect, it } from 'vitest';

import { DecodeError, EncodeError } from '../../../src/core/errors.ts';
import { decodeJson, encodeJson, jsonSerializer, parseJson } from '../../../src/message/json.ts';
import { readExactJson } from '../../../src/message/json-read.ts';
import { isPlain, writeJson } from '../../../src/message/json-write.ts';
import { seededRandom, wireFixture } from '../../support/wire-fixtures.ts';

describe('encoding', () => {
  it.each<[unknown, string]>([
    [undefined, 'null'],
    [null, 'null'],
    [[undefined, { left: undefined, kept: 1 }], '[null,{"kept":1}]'],
    [[2n ** 64n, -(2n ** 63n)], '[18446744073709551616,-9223372036854775808]'],
    [[2 ** 53, -1e20, 1e21, 2 ** 53 - 1], '[9.007199254740992e+15,-1e+20,1e+21,9007199254740991]'],
    [[NaN, Infinity, -Infinity, -0], '[NaN,Infinity,-Infinity,0]'],
    [
      new Date('2030-01-02T03:04:05.678Z'),
      '{"__type__":"datetime","__value__":"2030-01-02T03:04:05.678000+00:00"}',
    ],
    [{ at: Buffer.from('blåbær') }, '{"at":{"__type__":"bytes","__value__":"blåbær"}}'],
    [new Uint8Array([255, 0]), '{"__type__":"base64","__value__":"/wA="}'],
    [new Uint8Array([104, 105]).buffer, '{"__type__":"bytes","__value__":"hi"}'],
    [Object('boxed'), '"boxed"'],
    [{ toJSON: (key: string) => `at ${key}` }, '"at "'],
    [[{ toJSON: () => [2n] }], '[[2]]'],
    [new URL('http://host/'), '"http://host/"'],
    [
      new (class Point {
        x = 1n;
      })(),
      '{"x":1}',
    ],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [JSON.parse('{"__proto__":{"polluted":1}}'), '{"__proto__":{"polluted":1}}'],
    [
      { n: 1n, ...(JSON.parse('{"__proto__":{"polluted":1}}') as object) },
      '{"n":1,"__proto__":{"polluted":1}}',
    ],
    ['\ud800 \u2028 "\\', '"\\ud800 \u2028 \\"\\\\"'],
    [
      runInNewContext('({ when: new Date(0), list: [1] })'),
      '{"when":{"__type__":"datetime","__value__":"1970-01-01T00:00:00.000000+00:00"},"list":[1]}',
    ],
  ])('writes %o', (value, text) => {
    expect(encodeJson(value)).toBe(text);
  });

  const cycle: Record<string, unknown> = { a: [1] };
  (cycle.a as unknown[]).push({ back: cycle });

  it.each<[unknown, string]>([
    [() => 1, 'cannot encode a function as JSON'],
    [[[{ 'call back': () => 1 }]], 'cannot encode a function as JSON, at [0][0]["call back"]'],
    [{ s: Symbol('s') }, 'cannot encode a symbol as JSON, at .s'],
    [{ tags: new Set([1]) }, 'cannot encode a Set (make it an array: [...set]) as JSON, at .tags'],
    [{ m: new Map() }, 'a Map (make it an object'],
    [[Promise.resolve(1)], 'a Promise (is an await missing?) as JSON, at [0]'],
    [new Error('x'), 'an Error (throw it, or send its message)'],
    [/x/, 'a RegExp'],
    [new Float32Array(1), 'a typed array'],
    [new Date(NaN), 'an invalid Date'],
    [cycle, 'an object that contains itself as JSON, at .a[1].back'],
    [
      {
        toJSON: () => {
          throw new Error('not today');
        },
      },
      'not today',
    ],
  ])('refuses %o', (value, message) => {
    expect(() => encodeJson(value)).toThrow(EncodeError);
    expect(() => encodeJson(value)).toThrow(message);
  });

  it('refuses what is too deep to be read', () => {
    let deep: unknown[] = [];
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    expect(() => encodeJson(deep)).toThrow('more than 900 levels');
  });

  it('leaves plain data to JSON.stringify', () => {
    expect(isPlain([[4, 4], {}, { callbacks: null, deep: [{ a: ['x', true, 1.5] }] }])).toBe(true);
    for (const value of [
      1n,
      NaN,
      new Date(0),
      Buffer.alloc(0),
      () => 1,
      new Map(),
      new Proxy(new Map(), {}),
    ]) {
      expect(isPlain([{ value }])).toBe(false);
    }
  });

  it('writes the same on both roads', () => {
    const random = seededRandom(7);
    const forms = { date: String, bytes: String };
    for (let round = 0; round < 2000; round += 1) {
      const value = randomValue(random, 0);
      expect(JSON.parse(writeJson(value, forms))).toEqual(JSON.parse(JSON.stringify(value)));
      if (isPlain(value)) expect(writeJson(value, forms)).toBe(JSON.stringify(value));
    }
  });
});

describe('decoding', () => {
  it.each<[string, unknown]>([
    ['[9007199254740991, 9007199254740992, -18446744073709551616]', [2 ** 53 - 1, 2n ** 53n, -(2n ** 64n)]],
    ['12345678901234567890', 12345678901234567890n],
    [
      '{"id": 12345678901234567890, "s": "\\u00e5\\n", "e": 1e3, "f": -0.5, "l": [], "o": {}}',
      { id: 12345678901234567890n, s: 'å\n', e: 1000, f: -0.5, l: [], o: {} },
    ],
    [
      '[0.30000000000000004, 12345678901234567.5, 12345678901234567e3]',
      [0.30000000000000004, 12345678901234567.5, 12345678901234567e3],
    ],
    [
      '["12345678901234567890", ": 12345678901234567890"]',
      ['12345678901234567890', ': 12345678901234567890'],
    ],
    [
      '{"a": NaN, "b": [Infinity, -Infinity], "c": true, "d": null}',
      { a: NaN, b: [Infinity, -Infinity], c: true, d: null },
    ],
    ['["NaN"]', ['NaN']],
    [
      '{"__type__": "datetime", "__value__": "2030-01-02T03:04:05.000678+02:00"}',
      new Date('2030-01-02T01:04:05.000Z'),
    ],
    ['[{"__type__": "datetime", "__value__": "2030-01-02T03:04:05"}]', [new Date('2030-01-02T03:04:05Z')]],
    ['{"a": {"__value__": "2030-01-02", "__type__": "date"}}', { a: '2030-01-02' }],
    ['{"__type__": "time", "__value__": "01:02:03"}', '01:02:03'],
    ['{"__type__": "decimal", "__value__": "1.10"}', '1.10'],
    [
      '{"__type__": "uuid", "__value__": {"hex": "6C9D4B2E8A1F4F0E9A530F4D2F3F5A11"}}',
      '6c9d4b2e-8a1f-4f0e-9a53-0f4d2f3f5a11',
    ],
    [
      '{"__type__": "uuid", "__value__": {"hex": "6c9d4b2e8a1f4f0e9a530f4d2f3f5a11", "version": 4}}',
      '6c9d4b2e-8a1f-4f0e-9a53-0f4d2f3f5a11',
    ],
    ['{"__type__": "bytes", "__value__": "blåbær"}', Buffer.from('blåbær')],
    ['{"__type__": "base64", "__value__": "/wA="}', Buffer.from([255, 0])],
    [
      '{"__type__": "datetime", "__value__": "x", "more": 1}',
      { __type__: 'datetime', __value__: 'x', more: 1 },
    ],
    ['{"__type__": "only"}', { __type__: 'only' }],
    [
      '{"n": 12345678901234567890, "at": {"__type__": "decimal", "__value__": "1"}}',
      { n: 12345678901234567890n, at: '1' },
    ],
  ])('reads %s', (text, value) => {
    expect(jsonSerializer.decode(Buffer.from(text))).toEqual(value);
  });

  it.each([
    ['hello', 'Unexpected token'],
    ['', 'cannot decode JSON'],
    ['[1', 'cannot decode JSON'],
    ['[NaN', 'it ends too early'],
    ['[NaN,]', 'unexpected "]" at position 5'],
    ['{"a" NaN}', 'unexpected "N" at position 5'],
    ['{NaN: 1}', 'unexpected "N" at position 1'],
    ['[NaN] 1', 'unexpected "1" at position 6'],
    ['[NaN, "a\nb"]', 'unexpected "\\n" at position 8'],
    ['[NaN, "\\x"]', 'at position 6'],
    ['[NaN, "open', 'it ends too early'],
    ['[NaN, 01]', 'unexpected "1" at position 7'],
    [`[${'9'.repeat(5000)}]`, 'an integer of 5000 digits; 4300 are allowed'],
    [`${'['.repeat(100_000)}NaN`, 'nested too deeply'],
    [`${'['.repeat(100_000)}{"__type__": "x"}${']'.repeat(100_000)}`, 'nested too deeply'],
    ['{"__type__": "tuple", "__value__": "1"}', 'unknown type "tuple"'],
    ['{"__type__": "datetime", "__value__": "x"}', 'x is not a datetime'],
    ['{"__type__": "datetime", "__value__": 5}', 'the type "datetime" is malformed'],
    ['{"__type__": "uuid", "__value__": {"hex": "zz"}}', 'the type "uuid" is malformed'],
    ['{"__type__": ["x"], "__value__": "1"}', 'unknown type ["x"]'],
  ])('refuses %.40s', (text, message) => {
    expect(() => decodeJson(text)).toThrow(DecodeError);
    expect(() => decodeJson(text)).toThrow(message);
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(() => jsonSerializer.decode(Buffer.from('"\xff"', 'latin1'))).toThrow('the bytes are not UTF-8');
  });

  it.each(['{"__proto__": {"admin": true}, "a": %}', '{"a": [%], "__proto__": 1}'])(
    'keeps __proto__ as plain data in %s',
    (template) => {
      for (const inner of ['1', '12345678901234567890', 'NaN', '{"__type__": "decimal", "__value__": "1"}']) {
        const value = decodeJson(template.replace('%', inner)) as Record<string, unknown>;
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
        expect(Object.hasOwn(value, '__proto__')).toBe(true);
        expect(value.admin).toBeUndefined();
        expect(Object.hasOwn(decodeJson(encodeJson(value)) as object, '__proto__')).toBe(true);
      }
    },
  );

  it('reads the same on both roads', () => {
    const random = seededRandom(11);
    for (let round = 0; round < 2000; round += 1) {
      const text = encodeJson(randomValue(random, 0)).replaceAll(',', ',\t ');
      expect(readExactJson(text)).toEqual(JSON.parse(text));
    }
  });

  it('passes extras on as they came when only parsed', () => {
    const text =
      '[{"__type__":"decimal","__value__":"1.10"},{"__type__":"datetime","__value__":"2030-01-02T03:04:05.000678"}]';
    expect(encodeJson(jsonSerializer.parse(Buffer.from(text)))).toBe(text);
    expect(jsonSerializer.revive(parseJson(text))).toEqual(['1.10', new Date('2030-01-02T03:04:05Z')]);
  });
});

describe('beside Python', () => {
  const { cases } = wireFixture<{ cases: { python: string; result?: string }[] }>('json-encoding.json');

  it.each(cases.filter(({ result }) => result !== undefined && result !== '-0.0'))(
    'reads what kombu writes for $python',
    ({ result = '' }) => {
      const again = encodeJson(decodeJson(result));
      expect(decodeJson(again)).toEqual(decodeJson(result));
    },
  );

  const python = pythonWithKombu();

  it.skipIf(python === undefined && process.env.CI === undefined)(
    'both read what the other writes',
    { timeout: 60_000 },
    () => {
      const random = seededRandom(23);
      const values = Array.from({ length: 3000 }, () => randomValue(random, 0, true));
      const program =
        'import sys\nfrom kombu.utils.json import dumps, loads\n' +
        'for line in sys.stdin.buffer: print(dumps(loads(line.decode("utf-8"))))';
      const input = values.map((value) => encodeJson(value)).join('\n');
      const output = execFileSync(python ?? 'python3', ['-c', program], {
        input,
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
      });
      const lines = output.trimEnd().split('\n');
      expect(lines.length).toBe(values.length);
      lines.forEach((line, index) => {
        expect(decodeJson(line)).toEqual(values[index]);
      });
    },
  );
});

/** A Python that has kombu, wherever the machine keeps it. */
function pythonWithKombu(): string | undefined {
  return ['python3', '/usr/bin/python3'].find((command) => {
    try {
      execFileSync(command, ['-c', 'import kombu'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

const CHARACTERS = Array.from('abc XYZ09"\\/\n\t\0\x7få日😀\u2028\ufeff');

function randomValue(random: () => number, depth: number, exotic = false): unknown {
  const pick = (count: number): number => Math.floor(random() * count);
  const text = (): string =>
    Array.from({ length: pick(9) }, () => CHARACTERS[pick(CHARACTERS.length)]).join('');
  switch (pick(depth > 4 ? 6 : 9)) {
    case 0:
      return pick(2 ** 32) - 2 ** 31;
    case 1:
      return (random() - 0.5) * 10 ** (pick(40) - 20);
    case 2:
      return random() < 0.5;
    case 3:
      return null;
    case 4:
      return text();
    case 5:
      return exotic ? [2n ** 53n + BigInt(pick(1000)), -(2n ** 80n), Infinity, NaN][pick(4)] : '';
    case 6:
      return Array.from({ length: pick(5) }, () => randomValue(random, depth + 1, exotic));
    default:
      return Object.fromEntries(
        Array.from({ length: pick(5) }, () => [text(), randomValue(random, depth + 1, exotic)]),
      );
  }
}
