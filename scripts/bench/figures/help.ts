import { join } from 'node:path';
import { isPython, type Command } from '../contenders.ts';
import type { Bench, Case, Figure, Values } from '../model.ts';
import { ROOT } from '../peers.ts';
import { Running } from '../running.ts';

function commandOf({ label }: Case, contender: string): Command {
  const args = label.split(' ');
  const bench = {};
  if (isPython(contender)) return { command: '/usr/bin/python3', args: ['-m', 'celery', ...args], bench };
  const program = contender === 'raw' ? ['-e', '0'] : [join(ROOT, 'bin/celery-ts.js'), ...args];
  return { command: process.execPath, args: program, bench };
}

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  const times: number[] = [];
  // The first fills the caches of the system.
  for (let run = 0; run <= of.tasks; run += 1) {
    const begin = performance.now();
    await using program = new Running(bench, commandOf(of, contender));
    await program.output();
    if (run > 0) times.push(performance.now() - begin);
  }
  return { wall: Math.min(...times), mean: times.reduce((sum, time) => sum + time, 0) / times.length };
}

export const help: Figure = {
  name: 'help',
  title: 'Commands that only print (raw: an empty Node program)',
  metrics: [
    { key: 'wall', title: 'best, ms', unit: 'ms', better: 'less', margin: 25 },
    { key: 'mean', title: 'mean, ms', unit: 'ms', better: 'less' },
  ],
  cases: (choices) =>
    ['--help', '--version', 'worker --help'].map((label): Case => ({
      label,
      broker: 'redis',
      results: 'off',
      concurrency: 1,
      tasks: choices.tasks ?? (choices.quick ? 3 : 10),
      contenders: ['celery-ts', 'celery', 'raw'],
    })),
  measure,
};
