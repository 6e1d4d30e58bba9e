import { familyOf, workerCommand } from '../contenders.ts';
import { fill } from '../fill.ts';
import type { Bench, Case, Figure, Values } from '../model.ts';
import { Running } from '../running.ts';
import { CPU, MEMORY, RATE, watch } from './drained.ts';
import { labelOf } from './drain.ts';

const SIZES = [
  [1_000, '1k'],
  [100_000, '100k'],
  [1_000_000, '1M'],
] as const;

/** What the last measurement has left in the queue: with it a million messages need not be written anew each time. */
let leftBy: string | undefined;

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  const command = workerCommand(bench, of, contender);
  const family = `${of.broker} ${familyOf(contender)}`;
  if (family !== leftBy || family.endsWith('bullmq')) await bench.servers.reset();
  leftBy = undefined;
  const wanted = of.backlog ?? 0;
  await fill(bench, of, contender, { tasks: wanted - (await bench.servers.depth(of.broker)) });
  {
    await using worker = new Running(bench, command);
    const values = await watch(bench, of, worker, of.tasks);
    await worker[Symbol.asyncDispose]();
    await bench.servers.forgetHeld();
    leftBy = family;
    return values;
  }
}

export const backlog: Figure = {
  name: 'backlog',
  title: 'Cost against the number of waiting tasks',
  metrics: [RATE, ...CPU, ...MEMORY],
  cases: (choices) =>
    choices.brokers.flatMap((broker) =>
      (choices.quick ? SIZES.slice(0, 1) : SIZES).map(([size, text]): Case => {
        const of = { broker, results: 'off' as const };
        return {
          ...of,
          label: labelOf(of, `${text} waiting`),
          concurrency: choices.concurrency?.[0] ?? 2,
          tasks: Math.min(size, choices.tasks ?? 10_000),
          backlog: size,
          contenders: ['celery-ts', 'celery', 'raw', ...(broker === 'redis' ? ['bullmq'] : [])],
        };
      }),
    ),
  measure,
};
