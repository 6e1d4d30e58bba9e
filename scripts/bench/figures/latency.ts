import { clientCommand, workerCommand } from '../contenders.ts';
import type { Bench, Case, Figure, Values } from '../model.ts';
import { cpuBetween, cpuOf } from '../proc.ts';
import { Running } from '../running.ts';
import { percentile } from '../stats.ts';
import { labelOf, pairs } from './drain.ts';
import { lastLine } from './publish.ts';

interface Told {
  readonly times: readonly number[];
  readonly cpu: number;
}

/** The client's own first trips, which are not timed. */
const MOST_WARM = 100;

async function measure(bench: Bench, of: Case, contender: string): Promise<Values> {
  // It asks for its result twice a second.
  const count = contender === 'celery-node' ? Math.min(of.tasks, 30) : of.tasks;
  const warm = Math.min(MOST_WARM, count);
  await bench.servers.reset();
  await using worker = new Running(bench, workerCommand(bench, of, contender));
  const command = clientCommand(bench, of, contender, 'latency', String(count), String(warm));
  await using client = new Running(bench, command);
  await worker.until(1);
  const tree = worker.tree;
  const before = cpuOf(tree);
  const serversBefore = bench.servers.cpu(of);
  const { times, cpu } = lastLine<Told>(await client.output());
  const share = (seconds: number): number => (seconds * 1e6) / (count + warm);
  const values = {
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    client: (cpu * 1e6) / count,
    cpu: share(cpuBetween(before, cpuOf(tree))),
    broker: share(cpuBetween(serversBefore, bench.servers.cpu(of))),
  };
  await worker.stop();
  return values;
}

export const latency: Figure = {
  name: 'latency',
  title: 'From delay() to the result, one task at a time',
  metrics: [
    { key: 'p50', title: 'p50, ms', unit: 'ms', better: 'less', margin: 25 },
    { key: 'p95', title: 'p95, ms', unit: 'ms', better: 'less' },
    { key: 'p99', title: 'p99, ms', unit: 'ms', better: 'less' },
    { key: 'cpu', title: 'CPU of the worker, µs', unit: 'µs', better: 'less', margin: 20 },
    { key: 'client', title: 'of the client, µs', unit: 'µs', better: 'less' },
    { key: 'broker', title: 'of the servers, µs', unit: 'µs', better: 'less' },
  ],
  cases: (choices) =>
    pairs(choices)
      .filter(({ results }) => results !== 'off')
      .map((pair): Case => ({
        ...pair,
        label: labelOf(pair),
        concurrency: choices.concurrency?.[0] ?? 2,
        tasks: choices.tasks ?? (choices.quick ? 100 : 2_000),
        contenders: [
          ...['celery-ts', 'celery', 'celery-node', 'raw'],
          ...(pair.broker === 'redis' ? ['bullmq', 'bullmq sandbox'] : []),
        ],
      })),
  measure,
};
