import { describe, expect, it } from 'vitest';
import { parseOptions as parse, UsageError, type Options } from '../../../scripts/bench/arguments.ts';
import { compare } from '../../../scripts/bench/check.ts';
import type { Figure, Row, Table } from '../../../scripts/bench/model.ts';
import { filled, merge } from '../../../scripts/bench/record.ts';
import { cellsOf, digits, markdownPage, plainTable } from '../../../scripts/bench/report.ts';
import { median, percentile, summarize } from '../../../scripts/bench/stats.ts';

const parseOptions = (args: string[]): Options => parse(args, ['drain', 'latency'], ['celery-ts', 'raw']);

const figure: Figure = {
  name: 'drain',
  title: 'Drain',
  metrics: [
    { key: 'rate', title: 'tasks/s', unit: '/s', better: 'more', margin: 20 },
    { key: 'cpu', title: 'CPU', unit: 'µs', better: 'less', margin: 10 },
    { key: 'pss', title: 'PSS', unit: 'MB', better: 'less' },
  ],
  cases: () => [],
  measure: () => Promise.reject(new Error('not here')),
};

function row(contender: string, rate: number[], cpu: number[] = [], notes: string[] = []): Row {
  return { contender, values: { ...(rate.length > 0 && { rate }), ...(cpu.length > 0 && { cpu }) }, notes };
}

function table(rows: Row[], label = 'redis'): Table {
  return { figure: 'drain', case: label, tasks: 20_000, rounds: 3, date: '2026-01-02', machine: 'M', rows };
}

describe('the command line', () => {
  it('means all without options', () => {
    expect(parseOptions([])).toEqual({
      figures: [],
      brokers: ['rabbitmq', 'redis'],
      results: ['off', 'rpc', 'redis'],
      rounds: 3,
      ...{ quick: false, record: false, check: false, help: false, list: false },
    });
  });

  it('takes one figure with its options', () => {
    const line =
      'drain --broker redis --results off --concurrency 2,4 --tasks 500 --rounds 5 --contenders raw,celery-ts';
    expect(parseOptions(line.split(' '))).toMatchObject({
      ...{ figures: ['drain'], brokers: ['redis'], results: ['off'], concurrency: [2, 4] },
      ...{ tasks: 500, rounds: 5, contenders: ['raw', 'celery-ts'] },
    });
    expect(parseOptions(['--quick', 'latency'])).toMatchObject({ quick: true, rounds: 1 });
    expect(parseOptions(['--check', '--margin', '30', '--from', 'a.json'])).toMatchObject({
      ...{ check: true, margin: 30, from: 'a.json' },
    });
  });

  it.each([
    ['drian', 'No figure drian; there are: drain, latency'],
    ['--contenders celery', 'No contender celery; there are: celery-ts, raw'],
    ['--broker kafka', '--broker kafka: it is one of rabbitmq, redis'],
    ['--results on', '--results on: it is one of off, rpc, redis'],
    ['--tasks 0', '--tasks 0: it is a number from 1'],
    ['--rounds many', '--rounds many: it is a number from 1'],
    ['--concurrency 2,x', '--concurrency x: it is a number from 1'],
    ['--record --quick', '--record keeps full tables only: without --quick and --contenders'],
    ['--record --contenders raw', '--record keeps full tables only: without --quick and --contenders'],
    ['--from a.json', '--from goes with --check or --record'],
    ['--fast', /Unknown option '--fast'/],
  ])('refuses %s', (line, message) => {
    expect(() => parseOptions(line.split(' '))).toThrow(UsageError);
    expect(() => parseOptions(line.split(' '))).toThrow(message);
  });
});

it.each([
  [[], NaN],
  [[3], 3],
  [[9, 1], 5],
  [[10, 2, 100], 10],
  [[4, 1, 3, 2], 2.5],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});

it('finds percentiles and the spread', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect([0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 95, 99, 100]);
  expect(percentile([7], 0.5)).toBe(7);
  expect(summarize([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
});

describe('--check', () => {
  const before = table([row('celery-ts', [900, 1_000, 1_100], [100]), row('celery', [100], [500])]);
  const regressed = (rows: Row[], margin?: number): string[] =>
    compare([figure], [before], [table(rows)], margin)
      .filter((found) => found.regressed)
      .map(({ metric, peer, worse }) => `${metric} to ${peer} ${worse.toFixed(0)} %`);

  it('compares ratios, so that a slower machine is none', () => {
    expect(regressed([row('celery-ts', [100], [1_000]), row('celery', [10], [5_000])])).toEqual([]);
  });

  it.each([
    ['within the margins', [810], [109], []],
    ['a lower rate', [790], [100], ['tasks/s to celery 21 %']],
    ['more CPU', [1_000], [111], ['CPU to celery 11 %']],
    ['better', [5_000], [10], []],
  ])('judges %s', (_, rate, cpu, expected) => {
    expect(regressed([row('celery-ts', rate, cpu), row('celery', [100], [500])])).toEqual(expected);
  });

  it('knows the peer and the limit by all their names', () => {
    const rows = (rate: number): Row[] => [
      row('celery-ts async', [rate]),
      row('celery threads', [9]),
      row('ideal js', [9]),
    ];
    const found = compare([figure], [table(rows(10))], [table(rows(5))]);
    expect(found.map(({ peer, worse, regressed: bad }) => [peer, worse, bad])).toEqual([
      ['celery threads', 50, true],
      ['ideal js', 50, true],
    ]);
  });

  it('takes the margin that it is given', () => {
    const rows = [row('celery-ts', [790], [111]), row('celery', [100], [500])];
    expect(regressed(rows, 30)).toEqual([]);
    expect(regressed(rows, 5)).toHaveLength(2);
  });

  it('leaves out what is not in both', () => {
    const now = [row('celery-ts', [1], [999]), row('raw', [1_000], [1])];
    expect(compare([figure], [before], [table(now)])).toEqual([]);
    expect(compare([figure], [before], [table(now, 'rabbitmq')])).toEqual([]);
    expect(compare([figure], [], [before])).toEqual([]);
  });
});

describe('the report', () => {
  const measured = table([
    row('celery-ts', [900, 1_000, 1_234], [100.4]),
    row('celery', [100], [500]),
    row('raw', [20_000]),
    row('bullmq', [], [], ['skipped: BullMQ runs on Redis only']),
  ]);

  it('gives medians, spread and ratios', () => {
    expect(cellsOf(figure, measured)).toEqual([
      ['contender', 'tasks/s', 'min–max', '× celery', '× raw', 'CPU'],
      ['celery-ts', '1,000', '900–1,234', '10.0', '0.05', '100'],
      ['celery', '100', '', '', '0.01', '500'],
      ['raw', '20,000', '', '200', '', ''],
      ['bullmq', '– skipped: BullMQ runs on Redis only', '', '', '', ''],
    ]);
    expect(
      plainTable([
        ['a', 'b'],
        ['name', '1'],
        ['x', '– a long note'],
      ]),
    ).toBe('a     b\nname  1\nx     – a long note');
    expect([1_234_567, 99.94, 9.876, 0.004, NaN].map(digits)).toEqual([
      '1,234,567',
      '99.9',
      '9.88',
      '0.00',
      '-',
    ]);
  });

  it('goes between the marks of the page, newer cases in place of older ones', () => {
    const newer = { ...measured, date: '2026-02-03' };
    const other = table([row('raw', [1])], 'rabbitmq');
    expect(merge([measured, other], [newer])).toEqual([other, newer]);
    const page = 'above\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nbelow';
    const text = filled(page, markdownPage([figure], [newer]));
    expect(text).toMatch(
      /^above\n<!-- bench: begin -->\n\n### Drain\n\n#### redis\n\n20,000 a round, 3 rounds, 2026-02-03/,
    );
    expect(text).toContain('| celery-ts | 1,000 | 900–1,234 | 10.0 | 0.05 | 100 |');
    expect(text).toMatch(/<!-- bench: end -->\nbelow$/);
    expect(text).not.toContain('old');
    expect(() => filled('no marks', '')).toThrow('docs/performance.md lacks');
  });
});
