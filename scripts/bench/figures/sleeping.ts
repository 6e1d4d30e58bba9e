import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Skipped, type Bench, type Case, type Figure, type Values } from '../model.ts';
import { ROOT } from '../peers.ts';
import { CPU, drain, MEMORY, RATE } from './drained.ts';
import { labelOf } from './drain.ts';

const SLEEP_SECONDS = 0.05;

/** Whether `worker --help` names this pool. */
async function hasPool(pool: string): Promise<boolean> {
  const program = join(ROOT, 'bin/celery-ts.js');
  const { stdout } = await promisify(execFile)(process.execPath, [program, 'worker', '--help']);
  return new RegExp(`\\b${pool}:`).test(stdout);
}

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  if (contender === 'celery-ts async' && !(await hasPool('async'))) {
    throw new Skipped('this celery-ts has no pool named async');
  }
  const values = await drain(bench, of, contender);
  // From the start of the first task, not from its end: as many end together as run together.
  const rate = of.tasks / ((of.tasks - 1) / (values['rate'] ?? NaN) + SLEEP_SECONDS);
  return { ...values, rate, share: (rate * SLEEP_SECONDS * 100) / of.concurrency };
}

export const sleeping: Figure = {
  name: 'sleeping',
  title: 'Tasks that sleep 50 ms, many at a time',
  metrics: [
    { key: 'share', title: '% of ideal', unit: '%', better: 'more', margin: 15 },
    { ...RATE },
    ...CPU,
    ...MEMORY,
  ],
  cases: (choices) =>
    choices.brokers.flatMap((broker) =>
      (choices.concurrency ?? [100, 1_000]).map((concurrency): Case => {
        const of = { broker, results: 'off' as const };
        return {
          ...of,
          label: labelOf(of, `${concurrency} at a time`),
          concurrency,
          tasks: choices.tasks ?? concurrency * (choices.quick ? 10 : 100),
          task: 'sleep',
          contenders: ['celery-ts async', 'celery threads', ...(broker === 'redis' ? ['bullmq'] : [])],
        };
      }),
    ),
  measure,
};
