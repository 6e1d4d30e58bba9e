import { describe, expect, it } from 'vitest';

import { pythonRepr, saferepr, tupleRepr } from '../../../src/core/python-repr.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

interface Case {
  readonly python: string;
  readonly json?: unknown;
  readonly saferepr: string;
  readonly maxlen?: number;
}
const fixture = wireFixture<{ cases: Case[]; limited: Case[] }>('saferepr.json');

// JavaScript has no tuples below the top, no Decimal and no UUID, and its 1.0 is 1.
const expressible = [...fixture.cases, ...fixture.limited].filter(
  ({ python, json }) =>
    json !== undefined && !/^[\w.]+\(|.\(/.test(python) && !['1.0', 'inf', 'nan'].includes(python),
);

describe('saferepr', () => {
  it.each(expressible)('shortens $python as Celery does', ({ python, json, maxlen, saferepr: expected }) => {
    const shown = python.startsWith('(') ? tupleRepr(json as unknown[], maxlen) : saferepr(json, maxlen);
    expect(shown).toBe(expected);
  });

  it.each([
    [Infinity, 'inf'],
    [NaN, 'nan'],
    [undefined, 'None'],
    [10n ** 20n, '100000000000000000000'],
    [Buffer.from('bytes'), "b'bytes'"],
    [Buffer.from([0xff, 0]), "b'ff00'"],
    [new Map([['k', 1]]), "{'k': 1}"],
    [new Set([5]), '{5}'],
    [new Set(), 'set()'],
    [
      new Date('2031-05-17T10:30:00Z'),
      'datetime.datetime(2031, 5, 17, 10, 30, tzinfo=datetime.timezone.utc)',
    ],
    [{ a: { b: { c: { d: 1 } } } }, "{'a': {'b': {'c': {...}}}}"],
    [[[[[]]]], '[[[[...]]]]'],
    ['😀'.repeat(12), `'${'😀'.repeat(12)}'`],
  ])('shows %o', (value, expected) => {
    expect(saferepr(value)).toBe(expected);
  });

  it('never cuts a character in two', () => {
    expect(saferepr('😀😀😀', 2)).toBe("'😀😀...'");
  });

  it('shows a container inside itself once', () => {
    const list: unknown[] = [1];
    list.push(list);
    expect(saferepr(list)).toBe('[1, ...]');
  });

  it('looks at no more of a huge value than it shows', () => {
    const started = performance.now();
    expect(saferepr(new Array(5_000_000).fill(0)).length).toBeLessThan(1100);
    expect(saferepr('x'.repeat(50_000_000)).length).toBe(1029);
    expect(saferepr(Buffer.alloc(50_000_000)).length).toBeLessThan(1100);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it.each([
    [[], '()'],
    [['x'], "('x',)"],
    [[4, 4], '(4, 4)'],
    [[[1, [2, [3, [4, [5]]]]]], '([1, [2, [...]]],)'],
  ])('shows the arguments %j as a tuple', (args, expected) => {
    expect(tupleRepr(args)).toBe(expected);
  });
});

describe('pythonRepr', () => {
  it.each<[unknown, string]>([
    ["it's", `"it's"`],
    ['both \' and "', `'both \\' and "'`],
    ['tab\t nl\n \\ \r', "'tab\\t nl\\n \\\\ \\r'"],
    ['\0\x1f\x7f\xad\u2028\ud800', "'\\x00\\x1f\\x7f\\xad\\u2028\\ud800'"],
    ['æøå 日本 😀', "'æøå 日本 😀'"],
    ['\u{e0001}', "'\\U000e0001'"],
    [0.1, '0.1'],
    [1e-7, '1e-07'],
    [0.00001, '1e-05'],
    [1.5e-10, '1.5e-10'],
    [1e22, '1e+22'],
    [-1.2062062043696642e16, '-1.2062062043696642e+16'],
    [2 ** 53, '9007199254740992.0'],
    [2 ** 53 - 1, '9007199254740991'],
    [-0, '-0.0'],
    [-Infinity, '-inf'],
    [true, 'True'],
    [[null, undefined, { a: [1n] }], "[None, None, {'a': [1]}]"],
    [Buffer.from('a\'"\\\n\xff', 'latin1'), `b'a\\'"\\\\\\n\\xff'`],
    [
      new Date(Date.UTC(2031, 4, 17, 10, 30, 0, 5)),
      'datetime.datetime(2031, 5, 17, 10, 30, 0, 5000, tzinfo=datetime.timezone.utc)',
    ],
    [new Date(NaN), 'datetime.datetime(invalid)'],
    [new TypeError('boom'), "TypeError('boom')"],
    [Object.create(null), '{}'],
    [
      new (class Point {
        x = 1;
      })(),
      "{'x': 1}",
    ],
    [Promise.resolve(), '<Promise object>'],
    [function named() {}, '<function named>'],
    [Symbol('s'), 'Symbol(s)'],
    [/a+/, "re.compile('a+')"],
    [new URL('http://h/'), "'http://h/'"],
    [Object('boxed'), "'boxed'"],
    [JSON.parse('{"__proto__": 1}'), "{'__proto__': 1}"],
  ])('prints %o', (value, expected) => {
    expect(pythonRepr(value)).toBe(expected);
  });

  it('never throws', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    Object.defineProperty(cycle, 'bad', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    });
    expect(pythonRepr(cycle)).toBe("{'self': {...}, 'bad': None}");
    let deep: unknown[] = [];
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    expect(pythonRepr(deep)).toContain('[...]');
  });
});
