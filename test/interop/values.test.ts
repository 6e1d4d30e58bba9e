import { beforeAll, describe, expect, it } from 'vitest';
import { decodeValue, encodeValue } from '../../src/message/registry.ts';
import { python, runPython } from '../support/python.ts';

const SERIALIZERS = ['json', 'msgpack', 'yaml'] as const;
type Name = (typeof SERIALIZERS)[number] | 'json-plain';

/** What Python gets, as its repr; an error here, or there, as its text. */
interface ToPython {
  readonly what: string;
  readonly value: unknown;
  readonly all?: string;
  readonly json?: string;
  /** As `json` when left out. */
  readonly 'json-plain'?: string;
  readonly msgpack?: string;
  readonly yaml?: string;
}

const date = new Date('2030-01-02T03:04:05.678Z');
const bytes = Buffer.from([0, 0xff, 0x41]);
const refused = (what: string, format: string): string => `cannot encode ${what} as ${format}`;

/** What has no form in any of them. */
const KINDS: readonly (readonly [unknown, string])[] = [
  [new Set([1]), 'a Set (make it an array: [...set])'],
  [new Map(), 'a Map (make it an object: Object.fromEntries(map))'],
  [() => 1, 'a function'],
  [Symbol('s'), 'a symbol'],
  [new Date(NaN), 'an invalid Date'],
];

const TO_PYTHON: readonly ToPython[] = [
  { what: 'null', value: null, all: 'None' },
  { what: 'undefined', value: undefined, all: 'None' },
  { what: 'undefined within', value: [undefined, { a: undefined, b: 1 }], all: "[None, {'b': 1}]" },
  { what: 'true', value: true, all: 'True' },
  { what: 'an integer', value: -42, all: '-42' },
  { what: 'minus zero', value: -0, json: '0', msgpack: '0', yaml: '0' },
  { what: 'a whole float', value: 1.0, all: '1' },
  { what: 'a float', value: 0.1, all: '0.1' },
  { what: 'a small float', value: 1e-7, all: '1e-07' },
  { what: '2^53 - 1', value: Number.MAX_SAFE_INTEGER, all: '9007199254740991' },
  { what: '2^53 as a number', value: 2 ** 53, all: '9007199254740992.0' },
  { what: '1e21', value: 1e21, all: '1e+21' },
  { what: '2^63 as a BigInt', value: 2n ** 63n, all: '9223372036854775808' },
  { what: '-2^63', value: -(2n ** 63n), all: '-9223372036854775808' },
  {
    what: '2^64',
    value: 2n ** 64n,
    all: '18446744073709551616',
    msgpack: refused('an integer of more than 64 bits', 'msgpack'),
  },
  { what: 'NaN', value: NaN, all: 'nan' },
  { what: 'infinities', value: [Infinity, -Infinity], all: '[inf, -inf]' },
  { what: 'text', value: 'é😀\u2028\0', all: String.raw`'\xe9\U0001f600\u2028\x00'` },
  {
    what: 'words of YAML',
    value: ['yes', 'null', '1e5', '0x1', '~'],
    all: "['yes', 'null', '1e5', '0x1', '~']",
  },
  {
    what: 'a lone surrogate',
    value: '\ud800',
    all: String.raw`'\ud800'`,
    msgpack: refused('a text with half a surrogate pair', 'msgpack'),
  },
  {
    what: 'a Date',
    value: date,
    // kombu 5.3 and later make a datetime of it.
    json: "{'__type__': 'datetime', '__value__': '2030-01-02T03:04:05.678000+00:00'}",
    'json-plain': "'2030-01-02T03:04:05.678000Z'",
    msgpack: 'Timestamp(seconds=1893553445, nanoseconds=678000000)',
    yaml: 'datetime.datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)',
  },
  {
    what: 'bytes',
    value: bytes,
    json: "{'__type__': 'base64', '__value__': 'AP9B'}",
    'json-plain': refused('bytes (use msgpack, or json for kombu 5.3 and later)', 'plain JSON'),
    msgpack: String.raw`b'\x00\xffA'`,
    yaml: String.raw`b'\x00\xffA'`,
  },
  { what: 'nested', value: { a: [{ b: [[]] }, {}] }, all: "{'a': [{'b': [[]]}, {}]}" },
  { what: 'the key __proto__', value: JSON.parse('{"__proto__":1}'), all: "{'__proto__': 1}" },
  { what: 'toJSON', value: { toJSON: () => 'its own form' }, all: "'its own form'" },
  ...KINDS.map(([value, what]) => ({
    what,
    value: [value],
    json: `${refused(what, 'JSON')}, at [0]`,
    msgpack: `${refused(what, 'msgpack')}, at [0]`,
    yaml: `${refused(what, 'YAML')}, at [0]`,
  })),
];

const NONE = Symbol('refused by Python');

/** What arrives of a Python value. */
interface FromPython {
  readonly what: string;
  readonly source: string;
  readonly all?: unknown;
  readonly json?: unknown;
  readonly 'json-plain'?: unknown;
  readonly msgpack?: unknown;
  readonly yaml?: unknown;
}

const utc = 'd.timezone.utc';
const FROM_PYTHON: readonly FromPython[] = [
  { what: 'None', source: 'None', all: null },
  { what: 'booleans', source: '[True, False]', all: [true, false] },
  { what: 'an int', source: '-42', all: -42 },
  { what: '2**53 - 1', source: '2**53 - 1', all: 2 ** 53 - 1 },
  { what: '2**53', source: '2**53', all: 2n ** 53n },
  { what: '-2**63', source: '-2**63', all: -(2n ** 63n) },
  { what: '2**64', source: '2**64', all: 2n ** 64n, msgpack: NONE },
  { what: 'a whole float', source: '1.0', all: 1 },
  { what: 'a float', source: '0.1', all: 0.1 },
  { what: '1e21', source: '1e21', all: 1e21 },
  { what: 'nan', source: 'float("nan")', all: NaN },
  { what: 'infinities', source: '[float("inf"), float("-inf")]', all: [Infinity, -Infinity] },
  { what: 'text', source: String.raw`'\xe9\U0001f600\u2028\x00'`, all: 'é😀\u2028\0' },
  { what: 'words of YAML', source: "['y', 'yes', '1e5', '012', '=']", all: ['y', 'yes', '1e5', '012', '='] },
  { what: 'a lone surrogate', source: String.raw`'\ud800'`, all: '\ud800', msgpack: NONE },
  { what: 'a tuple', source: '(1, (2,))', all: [1, [2]] },
  { what: 'a set', source: '{1}', json: NONE, msgpack: NONE, yaml: [1] },
  { what: 'keys', source: '{1: 2, "a": 3}', all: { 1: 2, a: 3 } },
  { what: 'the key __proto__', source: '{"__proto__": 1}', all: JSON.parse('{"__proto__":1}') },
  { what: 'bytes', source: String.raw`b'\x00\xffA'`, json: NONE, msgpack: bytes, yaml: bytes },
  {
    what: 'a datetime in UTC',
    source: `d.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=${utc})`,
    json: '2030-01-02T03:04:05.678901Z',
    msgpack: NONE,
    yaml: date,
  },
  {
    what: 'a datetime in another zone',
    source: 'd.datetime(2030, 1, 2, 3, 4, 5, tzinfo=d.timezone(d.timedelta(hours=-5, minutes=-30)))',
    json: '2030-01-02T03:04:05-05:30',
    msgpack: NONE,
    yaml: new Date('2030-01-02T08:34:05Z'),
  },
  {
    what: 'a naive datetime',
    source: 'd.datetime(2030, 1, 2, 3, 4, 5)',
    json: '2030-01-02T03:04:05',
    msgpack: NONE,
    yaml: new Date('2030-01-02T03:04:05Z'),
  },
  {
    what: 'a date',
    source: 'd.date(2030, 1, 2)',
    json: '2030-01-02T00:00:00',
    msgpack: NONE,
    yaml: '2030-01-02',
  },
  { what: 'a time', source: 'd.time(1, 2, 3)', json: '01:02:03', msgpack: NONE, yaml: NONE },
  { what: 'a Decimal', source: "Decimal('1.10')", json: '1.10', msgpack: NONE, yaml: NONE },
  {
    what: 'a UUID',
    source: 'UUID(int=1)',
    json: '00000000-0000-0000-0000-000000000001',
    msgpack: NONE,
    yaml: NONE,
  },
  { what: 'a Timestamp of msgpack', source: 'ts', json: NONE, msgpack: new Date(1_500), yaml: NONE },
  { what: 'one list twice', source: '[l, l, {"a": l}]', all: [[1], [1], { a: [1] }] },
];

const SCRIPT = `
import base64, datetime as d, json, sys, msgpack
from decimal import Decimal
from uuid import UUID
from kombu.serialization import dumps, loads
l = [1]
ts = msgpack.Timestamp(1, 500000000)
def load(name, text):
    types = {'json': 'application/json', 'json-plain': 'application/json', 'msgpack': 'application/x-msgpack', 'yaml': 'application/x-yaml'}
    body = base64.b64decode(text)
    return ascii(loads(body, types[name], 'binary' if name == 'msgpack' else 'utf-8', force=True))
def dump(name, source):
    try:
        body = dumps(eval(source), serializer=name)[2]
    except Exception as exc:
        return None
    return base64.b64encode(body if isinstance(body, bytes) else body.encode('utf-8', 'surrogatepass')).decode()
asked = json.loads(sys.argv[1])
print(json.dumps([[(load if way == 'load' else dump)(name, text) for way, name, text in asked]]))
`;

type Question = readonly ['load' | 'dump', Name, string];

interface Case {
  readonly what: string;
  readonly serializer: Name;
}
const key = ({ what, serializer }: Case): string => `${serializer} ${what}`;

function cases<T extends { readonly what: string }>(
  rows: readonly T[],
  serializers: readonly Name[] = SERIALIZERS,
): (T & Case)[] {
  return rows.flatMap((row) => serializers.map((serializer) => ({ ...row, serializer })));
}

const toPythonCases = cases(TO_PYTHON, [...SERIALIZERS, 'json-plain']);

describe.skipIf(python === undefined)('values between TypeScript and Python', () => {
  const toPython = new Map<string, string>();
  const fromPython = new Map<string, string | null>();

  beforeAll(async () => {
    const questions: Question[] = [];
    const answers: ((answer: string | null) => void)[] = [];
    for (const row of toPythonCases) {
      try {
        const { bytes: body } = encodeValue(row.value, row.serializer);
        questions.push(['load', row.serializer, body.toString('base64')]);
        answers.push((answer) => toPython.set(key(row), answer ?? 'nothing'));
      } catch (error) {
        toPython.set(key(row), (error as Error).message);
      }
    }
    for (const row of cases(FROM_PYTHON)) {
      questions.push(['dump', row.serializer, row.source]);
      answers.push((answer) => fromPython.set(key(row), answer));
    }
    const [replies] = JSON.parse(await runPython(SCRIPT, JSON.stringify(questions))) as [(string | null)[]];
    replies.forEach((reply, index) => answers[index]!(reply));
  });

  it.each(toPythonCases)('to Python, $serializer: $what', (row) => {
    const json = row.serializer === 'json-plain' ? row.json : undefined;
    expect(toPython.get(key(row))).toBe(row[row.serializer] ?? json ?? row.all);
  });

  it.each(cases(FROM_PYTHON))('from Python, $serializer: $what', (row) => {
    const body = fromPython.get(key(row));
    const expected = row.serializer in row ? row[row.serializer] : row.all;
    if (expected === NONE) {
      expect(body).toBeNull();
      return;
    }
    const value = decodeValue({ serializer: row.serializer, bytes: Buffer.from(body!, 'base64') });
    expect(value).toStrictEqual(expected);
  });
});
