import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/message/outcome.ts';
import { Pace } from '../../../src/pool/pace.ts';

function success(seconds: number): Outcome {
  const result = { serializer: 'json', bytes: Buffer.from('1') };
  return { kind: 'success', seconds, children: [], embed: null, result, repr: '1' };
}

const killed: Outcome = { kind: 'timeout', seconds: 0.00001 };

function repeat(count: number, outcome: Outcome): Outcome[] {
  return Array.from({ length: count }, () => outcome);
}

describe('how many jobs may wait in a child', () => {
  test.each<[string, Outcome[], number]>([
    ['before anything ran', [], 0],
    ['after nine tiny runs', repeat(9, success(0.00005)), 0],
    ['after ten tiny runs', repeat(10, success(0.00005)), 32],
    ['after ten short runs', repeat(10, success(0.001)), 12],
    ['after ten moderate runs', repeat(10, success(0.002)), 1],
    ['after ten runs of the limit', repeat(10, success(0.02)), 0],
    ['when one of the short runs was moderate', [...repeat(10, success(0.001)), success(0.01)], 1],
    ['when one of the tiny runs was only short', [...repeat(10, success(0.00005)), success(0.001)], 12],
    ['after a long run', [...repeat(100, success(0.00005)), success(1)], 0],
    ['after a run that was ended', [...repeat(100, success(0.00005)), killed], 0],
    ['ten tiny runs after a long one', [success(1), ...repeat(10, success(0.00005))], 32],
  ])('%s', (_, outcomes, ahead) => {
    const pace = new Pace();
    for (const outcome of outcomes) pace.note('tasks.add', outcome);
    pace.note('tasks.other', success(1));
    expect(pace.ahead('tasks.add')).toBe(ahead);
  });
});
