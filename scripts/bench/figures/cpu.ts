import { idealCommand, isPython } from '../contenders.ts';
import type { Bench, Case, Figure, Values } from '../model.ts';
import { Running } from '../running.ts';
import { CPU, drain, RATE, rateOf } from './drained.ts';
import { labelOf } from './drain.ts';

/** The task without a queue, in as many processes as there are children. */
async function ideal(bench: Bench, { tasks, concurrency }: Case, contender: string): Promise<number> {
  const command = idealCommand(contender, Math.ceil(tasks / concurrency));
  const runs = Array.from({ length: concurrency }, () => new Running(bench, command));
  const rates = await Promise.all(
    runs.map(async (run) => {
      await run.output();
      return rateOf(run.count);
    }),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  if (contender.startsWith('ideal')) return { rate: await ideal(bench, of, contender), share: 100 };
  const values = await drain(bench, of, contender);
  // Right after it: the machine may be another one a minute later.
  const best = await ideal(bench, of, isPython(contender) ? 'ideal python' : 'ideal js');
  return { ...values, share: (100 * (values['rate'] ?? NaN)) / best };
}

export const cpu: Figure = {
  name: 'cpu',
  title: 'CPU-bound tasks of about 5 ms, as a share of plain processes of the same language',
  metrics: [
    { key: 'share', title: '% of ideal', unit: '%', better: 'more', margin: 15 },
    { ...RATE },
    ...CPU,
  ],
  cases: (choices) =>
    choices.brokers.map((broker): Case => {
      const of = { broker, results: 'off' as const };
      const peers = broker === 'redis' ? ['bullmq sandbox'] : [];
      return {
        ...of,
        label: labelOf(of),
        concurrency: choices.concurrency?.[0] ?? 2,
        tasks: choices.tasks ?? (choices.quick ? 200 : 5_000),
        task: 'cpu',
        contenders: ['celery-ts', 'celery-ts x4', 'celery', ...peers, 'ideal js', 'ideal python'],
      };
    }),
  measure,
};
