import { expect, it } from 'vitest';
import { RespawnPolicy } from '../../../src/pool/respawn.ts';

it('waits longer each time, to a limit, as long as another child works', () => {
  const policy = new RespawnPolicy();
  policy.ready();
  const waits = Array.from({ length: 8 }, () => policy.failed(true, false));
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

it('starts at once again after a child that worked', () => {
  const policy = new RespawnPolicy();
  policy.failed(false, false);
  policy.failed(false, false);
  policy.worked();
  expect(policy.failed(false, false)).toBe(250);
});

it.each<[string, boolean, boolean, (number | undefined)[]]>([
  ['an app that does not load', true, false, [undefined]],
  ['an app that loaded once', true, true, [250, 500, 1000, 2000, undefined]],
  ['a process that dies', false, false, [250, 500, 1000, 2000, undefined]],
])('gives up on %s', (_, isExplained, wasReady, expected) => {
  const policy = new RespawnPolicy();
  if (wasReady) policy.ready();
  expect(expected.map(() => policy.failed(isExplained, true))).toEqual(expected);
});
