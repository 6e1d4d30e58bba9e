import { setTimeout as sleep } from 'node:timers/promises';
import { fill } from '../fill.ts';
import type { Bench, Case, Figure, Values } from '../model.ts';
import { cpuBetween, cpuOf, memoryOf } from '../proc.ts';
import { labelOf } from './drain.ts';
import { RATE } from './drained.ts';
import { cpuAtRest, resting, SETTLE_MS } from './resting.ts';

/** Tasks that are due now, sent while the others are held. */
const OTHERS = 1_000;
const OTHERS_LIMIT_MS = 60_000;
/** A worker that has taken fewer than this share of them for so long holds all that it will hold in a reasonable time. */
const LEAST = 0.001;
const STALLED_MS = 10_000;

/** Resolves with how many the worker has taken. */
async function held(bench: Bench, of: Case): Promise<number> {
  let left = of.tasks;
  let before = left;
  let since = Date.now();
  while (left > 0 && Date.now() - since < STALLED_MS) {
    await sleep(20);
    left = Math.min(left, await bench.servers.depth(of.broker));
    if (before - left < of.tasks * LEAST) continue;
    before = left;
    since = Date.now();
  }
  return of.tasks - left;
}

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  await using worker = await resting(bench, of, contender);
  const tree = worker.tree;
  const memoryBefore = memoryOf(tree);
  const before = cpuOf(tree);
  await fill(bench, of, contender, { tasks: of.tasks, eta: new Date(Date.now() + 3_600_000) });
  const taken = await held(bench, of);
  await sleep(SETTLE_MS);
  const cpu = cpuBetween(before, cpuOf(tree));
  const memory = memoryOf(tree);
  const values = {
    held: taken,
    kilobytes: ((memory.rss - memoryBefore.rss) * 1024) / Math.max(1, taken),
    cpu: (cpu * 1e6) / Math.max(1, taken),
    idle: (await cpuAtRest(bench, of, worker, bench.idleSeconds))['cpu'] ?? NaN,
  };
  if (taken < of.tasks) return values;
  const done = worker.count.tasks;
  const begin = Date.now();
  await fill(bench, of, contender, { tasks: OTHERS });
  const { tasks, last } = await worker.until(done + OTHERS, undefined, OTHERS_LIMIT_MS);
  return { ...values, rate: ((tasks - done) * 1000) / Math.max(1, last - begin) };
}

export const eta: Figure = {
  name: 'eta',
  title: 'Tasks held until their time, an hour ahead',
  metrics: [
    { key: 'cpu', title: 'CPU µs to accept one', unit: 'µs', better: 'less', margin: 20 },
    { key: 'kilobytes', title: 'KB of RSS each', unit: 'KB', better: 'less', margin: 25 },
    { key: 'held', title: 'held', unit: '', better: 'more' },
    { key: 'idle', title: 'idle CPU % meanwhile', unit: '%', better: 'less' },
    { ...RATE, title: 'others sent and run meanwhile, tasks/s' },
  ],
  cases: (choices) =>
    choices.brokers.map((broker): Case => {
      const of = { broker, results: 'off' as const };
      return {
        ...of,
        label: labelOf(of),
        concurrency: choices.concurrency?.[0] ?? 2,
        tasks: choices.tasks ?? (choices.quick ? 1_000 : 100_000),
        contenders: ['celery-ts', 'celery'],
      };
    }),
  measure,
};
