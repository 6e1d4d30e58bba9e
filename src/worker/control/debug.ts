import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeHeapSnapshot } from 'node:v8';
import { bugReport } from '../../app/bug-report.ts';
import { newTaskId } from '../../core/task-id.ts';
import type { ControlCommand } from './panel.ts';

export const report: ControlCommand = {
  name: 'report',
  kind: 'inspect',
  strict: true,
  help: 'Print versions and settings, as a bug report needs them.',
  run: ({ app }) => ({ ok: bugReport(app) }),
};

/** Samples kept for `memdump`. */
const MOST_SAMPLES = 10_000;

export const memsample: ControlCommand = {
  name: 'memsample',
  kind: 'inspect',
  help: 'Sample the memory that the main process uses (resident).',
  run({ state }) {
    const sample = residentMemory();
    state.memorySamples.push(sample);
    if (state.memorySamples.length > MOST_SAMPLES) state.memorySamples.shift();
    return sample;
  },
};

export const memdump: ControlCommand = {
  name: 'memdump',
  kind: 'inspect',
  help: 'Print the samples that memsample took since the last time, and the memory used now.',
  signature: '[n_samples=10]',
  args: { samples: 'int' },
  run({ state }, { samples = 10 }) {
    const taken = spread(state.memorySamples.splice(0), Math.max(1, Number(samples) || 10));
    const lines =
      taken.length === 0 ? [] : ['- rss (sample):', ...taken.map((sample) => `-    > ${sample},`)];
    return `${[...lines, `- rss (end): ${residentMemory()}.`].join('\n')}\n`;
  },
};

/** Of a long list, so many items from all over it. */
function spread<Item>(items: readonly Item[], count: number): readonly Item[] {
  if (items.length <= count) return items;
  const step = items.length / count;
  return items.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

const UNITS = [
  [2 ** 30, 'GB'],
  [2 ** 20, 'MB'],
  [2 ** 10, 'KB'],
] as const;

/** `53.008MB`: five digits. */
function residentMemory(): string {
  const bytes = process.memoryUsage.rss();
  const [size, unit] = UNITS.find(([least]) => bytes >= least) ?? [1, 'b'];
  return `${String(Number((bytes / size).toPrecision(5)))}${unit}`;
}

export const objgraph: ControlCommand = {
  name: 'objgraph',
  kind: 'inspect',
  strict: true,
  help: 'Write a heap snapshot of the main process, for the memory view of a browser; tasks wait meanwhile.',
  signature: '[object_type=Request] [num=200 [max_depth=10]]',
  args: { type: 'str', num: 'int', max_depth: 'int' },
  run({ logger }) {
    logger.info('Writing a heap snapshot');
    return { filename: writeHeapSnapshot(join(tmpdir(), `celery-ts-${newTaskId()}.heapsnapshot`)) };
  },
};
