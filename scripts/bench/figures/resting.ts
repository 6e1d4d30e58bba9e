import { setTimeout as sleep } from 'node:timers/promises';
import { workerCommand } from '../contenders.ts';
import { fill } from '../fill.ts';
import type { Bench, Case, Choices, Figure, Values } from '../model.ts';
import { cpuBetween, cpuOf, memoryOf } from '../proc.ts';
import { Running } from '../running.ts';

/** For timers of the start to have passed. */
export const SETTLE_MS = 3_000;

/** Starts a worker and resolves when it has run a task and come to rest. */
export async function resting(bench: Bench, of: Case, contender: string): Promise<Running> {
  const command = workerCommand(bench, of, contender);
  await bench.servers.reset();
  await fill(bench, of, contender, { tasks: 1, task: 'add' });
  const worker = new Running(bench, command);
  try {
    await worker.until(1);
    await sleep(SETTLE_MS);
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw error;
  }
  return worker;
}

/** CPU of worker and servers in percent of one core, over so many seconds. */
export async function cpuAtRest(bench: Bench, of: Case, worker: Running, seconds: number): Promise<Values> {
  const tree = worker.tree;
  const before = cpuOf(tree);
  const serversBefore = bench.servers.cpu(of);
  const begin = performance.now();
  await sleep(seconds * 1000);
  const share = (used: number): number => (used * 100_000) / (performance.now() - begin);
  return {
    cpu: share(cpuBetween(before, cpuOf(tree))),
    broker: share(cpuBetween(serversBefore, bench.servers.cpu(of))),
  };
}

function casesOf(choices: Choices, tasks: number): readonly Case[] {
  return choices.brokers.map((broker) => ({
    label: broker,
    broker,
    results: 'off',
    // As users start it: heartbeats and gossip are what a worker at rest does.
    full: true,
    concurrency: choices.concurrency?.[0] ?? 2,
    tasks,
    contenders: [
      'celery-ts',
      'celery',
      'celery-node',
      ...(broker === 'redis' ? ['bullmq', 'bullmq sandbox'] : []),
    ],
  }));
}

export const idle: Figure = {
  name: 'idle',
  title: 'CPU of an idle worker',
  metrics: [
    { key: 'cpu', title: 'CPU %', unit: '%', better: 'less', margin: 50 },
    { key: 'broker', title: 'of the servers, whole', unit: '%', better: 'less' },
  ],
  cases: (choices) => casesOf(choices, 1),
  async measure(bench, of, contender) {
    await using worker = await resting(bench, of, contender);
    // What the start left is collected as garbage only some seconds later.
    await sleep(bench.idleSeconds * 500);
    return await cpuAtRest(bench, of, worker, bench.idleSeconds);
  },
};

export const memory: Figure = {
  name: 'memory',
  title: 'Memory of all processes of a worker, MB',
  metrics: [
    { key: 'pssAfter', title: 'PSS after the tasks', unit: 'MB', better: 'less', margin: 15 },
    { key: 'rssAfter', title: 'RSS after the tasks', unit: 'MB', better: 'less', margin: 15 },
    { key: 'pss', title: 'PSS idle', unit: 'MB', better: 'less', margin: 15 },
    { key: 'rss', title: 'RSS idle', unit: 'MB', better: 'less' },
    { key: 'processes', title: 'processes', unit: '', better: 'less' },
  ],
  cases: (choices) =>
    casesOf({ ...choices }, choices.tasks ?? (choices.quick ? 1_000 : 100_000)).map((of) => ({
      ...of,
      full: false,
    })),
  async measure(bench, of, contender) {
    await using worker = await resting(bench, of, contender);
    const before = memoryOf(worker.tree);
    await fill(bench, of, contender, { tasks: of.tasks });
    await worker.until(of.tasks + 1, 50);
    await sleep(SETTLE_MS);
    const after = memoryOf(worker.tree);
    return { ...before, rssAfter: after.rss, pssAfter: after.pss, processes: worker.tree.length };
  },
};
