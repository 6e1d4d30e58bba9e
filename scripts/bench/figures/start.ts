import { workerCommand } from '../contenders.ts';
import { fill } from '../fill.ts';
import type { Bench, Case, Figure, Values } from '../model.ts';
import { cpuBetween, cpuOf } from '../proc.ts';
import { Running } from '../running.ts';
import { labelOf, pairs } from './drain.ts';

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  const command = workerCommand(bench, of, contender);
  await bench.servers.reset();
  await fill(bench, of, contender, { tasks: 1 });
  await using worker = new Running(bench, command);
  await worker.untilLogged('ready.');
  const ready = Date.now() - worker.started;
  const { first } = await worker.until(1);
  const cpu = cpuBetween(new Map(), cpuOf(worker.tree));
  await worker.stop();
  return { ready, first: first - worker.started, cpu: cpu * 1000 };
}

export const start: Figure = {
  name: 'start',
  title: 'Start of a worker, with its default flags',
  metrics: [
    { key: 'ready', title: 'ready after, ms', unit: 'ms', better: 'less', margin: 25 },
    { key: 'first', title: 'first task done after, ms', unit: 'ms', better: 'less' },
    { key: 'cpu', title: 'CPU until then, ms', unit: 'ms', better: 'less', margin: 15 },
  ],
  cases: (choices) =>
    pairs({ ...choices, results: ['rpc', 'redis'] })
      .filter(({ broker, results }) => (broker === 'redis') === (results === 'redis'))
      .map((pair): Case => ({
        ...pair,
        label: labelOf(pair),
        full: true,
        concurrency: choices.concurrency?.[0] ?? 2,
        tasks: 1,
        contenders: [
          ...['celery-ts', 'celery-ts .ts', 'celery', 'celery-node'],
          ...(pair.broker === 'redis' ? ['bullmq', 'bullmq sandbox'] : []),
        ],
      })),
  measure,
};
