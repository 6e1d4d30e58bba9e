import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expand, nodename, splitNodename } from '../../../src/core/nodename.ts';

interface Case {
  readonly format: string;
  readonly host: string | null;
  readonly name: string | null;
  readonly result?: string;
  readonly raises?: unknown;
}

interface Fixture {
  readonly default_nodename: { hostname: string | null; result: string }[];
  readonly nodesplit: { name: string; result: [string | null, string] }[];
  readonly host_format: Case[];
  readonly node_format: { format: string; name: string; result: string }[];
  readonly index: { index: number; node_format: Record<string, string> }[];
}

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/wire/nodenames.json', import.meta.url), 'utf8'),
) as Fixture;
const HOST = 'host.example.com';

describe('nodename', () => {
  it.each(fixture.default_nodename)('-n $hostname', ({ hostname, result }) => {
    expect(nodename(hostname ?? undefined, HOST)).toBe(result);
  });

  it.each(fixture.host_format.filter(({ name }) => name === null))('expands $format on $host', (each) => {
    const name = (): string => nodename(`w@${each.format}`, each.host ?? HOST);
    if (each.raises === undefined) expect(name()).toBe(`w@${each.result ?? ''}`);
    else expect(name).toThrow(`Unknown format ${each.format} in string 'w@${each.format}'`);
  });

  it.each([
    ['w1@%h', 'w1@host.example.com'],
    ['%n@%h', 'host@host.example.com'],
    ['w-%i%I@%d', 'w-0@example.com'],
    ['%h', 'celery@host.example.com'],
  ])('-n %s', (option, full) => {
    expect(nodename(option, HOST)).toBe(full);
  });
});

it.each(fixture.nodesplit)('splits $name', ({ name, result }) => {
  expect(splitNodename(name)).toEqual({ name: result[0] ?? undefined, host: result[1] });
});

describe('expand', () => {
  it.each(fixture.node_format)('$format for $name', ({ format, name, result }) => {
    expect(expand(format, { nodename: name })).toBe(result);
  });

  it.each(fixture.index)('in pool process $index', ({ index, node_format: formats }) => {
    for (const [format, result] of Object.entries(formats)) {
      expect(expand(format, { nodename: `w1@${HOST}`, index: index + 1 })).toBe(result);
    }
  });
});
