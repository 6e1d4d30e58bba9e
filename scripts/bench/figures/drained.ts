import { workerCommand } from '../contenders.ts';
import { fill } from '../fill.ts';
import type { Bench, Case, Metric, Values } from '../model.ts';
import { cpuBetween, cpuOf, memoryOf } from '../proc.ts';
import { Running, type Count } from '../running.ts';

export const RATE: Metric = { key: 'rate', title: 'tasks/s', unit: '/s', better: 'more', margin: 25 };

/** CPU per task: on a noisy machine steadier than the rate. */
export const CPU: readonly Metric[] = [
  { key: 'cpu', title: 'CPU µs/task', unit: 'µs', better: 'less', margin: 15 },
  { key: 'supervisor', title: 'of the supervisor', unit: 'µs', better: 'less' },
  { key: 'children', title: 'of the children', unit: 'µs', better: 'less' },
  { key: 'broker', title: 'of the servers', unit: 'µs', better: 'less' },
];

export const MEMORY: readonly Metric[] = [
  { key: 'rss', title: 'RSS after, MB', unit: 'MB', better: 'less' },
  { key: 'pss', title: 'PSS after, MB', unit: 'MB', better: 'less' },
];

export const LEFT: Metric = { key: 'left', title: 'left in the queue', unit: '', better: 'less' };

/** Fills the queue, then starts the worker, and measures between the first task and the last. */
export async function drain(bench: Bench, of: Case, contender: string): Promise<Values> {
  const command = workerCommand(bench, of, contender);
  await bench.servers.reset();
  await fill(bench, of, contender, { tasks: of.tasks });
  await using worker = new Running(bench, command);
  const values = await watch(bench, of, worker, of.tasks);
  await worker.stop();
  const left = contender.startsWith('bullmq') ? {} : { left: await bench.servers.depth(of.broker) };
  return { ...values, ...left };
}

/** Watches a worker that has just been started run so many tasks. */
export async function watch(bench: Bench, of: Case, worker: Running, tasks: number): Promise<Values> {
  const before = await worker.until(1, 1);
  const treeBefore = worker.tree;
  const cpuBefore = cpuOf(treeBefore);
  const serversBefore = bench.servers.cpu(of);
  const after = await worker.until(tasks);
  const tree = worker.tree;
  const cpuAfter = cpuOf(tree);
  const serversAfter = bench.servers.cpu(of);
  const values = { rate: rateOf(after), ...memoryOf(tree) };
  const measured = after.tasks - before.tasks;
  // Too short: all was done before the first look.
  if (measured < tasks / 10) return values;
  const share = (seconds: number): number => (seconds * 1e6) / measured;
  const [root = 0, ...others] = tree;
  const supervisor = share(cpuBetween(cpuBefore, cpuAfter, [root]));
  const children = share(cpuBetween(cpuBefore, cpuAfter, others));
  const broker = share(cpuBetween(serversBefore, serversAfter));
  return { ...values, cpu: supervisor + children, supervisor, children, broker };
}

export function rateOf({ tasks, first, last }: Count): number {
  return ((tasks - 1) * 1000) / Math.max(1, last - first);
}
