import { setImmediate } from 'node:timers/promises';
import { RuntimeError, ValueError } from '../../core/errors.ts';
import { pythonRepr } from '../../core/python-repr.ts';
import type { Pool } from '../../pool/pool.ts';
import type { ControlCommand, WorkerView } from './panel.ts';

export const poolGrow: ControlCommand = {
  name: 'pool_grow',
  kind: 'control',
  help: 'Add processes to the pool.',
  signature: '[N=1]',
  args: { n: 'int' },
  async run(worker, { n }) {
    if (worker.autoscaler !== undefined) return refused('pool_grow');
    const { pool, logger } = worker;
    const growing = pool.grow(countOf(n));
    // One that cannot grow says so at once; the new processes take their time.
    await Promise.race([growing, setImmediate()]);
    fit(worker);
    growing.catch((error: unknown) => logger.error('The pool could not grow', error));
    return { ok: 'pool will grow' };
  },
};

export const poolShrink: ControlCommand = {
  name: 'pool_shrink',
  kind: 'control',
  help: 'Take processes without a task from the pool.',
  signature: '[N=1]',
  args: { n: 'int' },
  async run(worker, { n }) {
    if (worker.autoscaler !== undefined) return refused('pool_shrink');
    const count = countOf(n);
    checkShrink(worker.pool, count);
    await worker.pool.shrink(count);
    fit(worker);
    return { ok: 'pool will shrink' };
  },
};

function refused(name: string): unknown {
  return { error: `${name} is not supported with autoscale. Adjust autoscale range instead.` };
}

/** Nothing is changed when it cannot be done in full: a pool without processes would never run a task again. */
function checkShrink(pool: Pool, count: number): void {
  if (count > pool.free) throw new ValueError("Can't shrink pool. All processes busy!");
  if (count >= pool.size) {
    throw new ValueError(`Can't shrink pool by ${count}: of its ${pool.size} processes one has to stay.`);
  }
}

/** The prefetch window follows the pool, and waiting tasks get the new processes. */
function fit({ pool, prefetch, runner }: WorkerView): void {
  prefetch.resize(pool.size);
  runner.pump();
}

function countOf(n: unknown = 1): number {
  const count = Number(n);
  if (!Number.isInteger(count) || count < 1)
    throw new ValueError(`n takes a count from 1, not ${pythonRepr(n)}`);
  return count;
}

export const poolRestart: ControlCommand = {
  name: 'pool_restart',
  kind: 'control',
  help: "Replace the pool's processes, which then load the app anew; running tasks finish first.",
  run({ app, pool }, { modules }) {
    if (!app.settings.worker_pool_restarts) throw new ValueError('Pool restarts not enabled');
    if (pool.restart === undefined) throw new RuntimeError(`The ${pool.name} pool cannot be restarted.`);
    if (Array.isArray(modules) && modules.length > 0) {
      throw new ValueError('modules cannot be given: new processes import all modules of the app anew.');
    }
    pool.restart();
    return { ok: 'reload started' };
  },
};

export const autoscale: ControlCommand = {
  name: 'autoscale',
  kind: 'control',
  strict: true,
  help: 'Change the limits between which --autoscale sizes the pool.',
  signature: '[max [min]]',
  args: { max: 'int', min: 'int' },
  run({ autoscaler }, { max, min }) {
    if (autoscaler === undefined) throw new ValueError('Autoscale not enabled');
    const now = autoscaler.update({ max: limitOf('max', max), min: limitOf('min', min) });
    return { ok: `autoscale now max=${now.max} min=${now.min}` };
  },
};

function limitOf(name: string, value: unknown): number | undefined {
  if (value === null || value === undefined) return undefined;
  const limit = Number(value);
  if (!Number.isInteger(limit) || limit < 0)
    throw new ValueError(`${name} takes a count, not ${pythonRepr(value)}`);
  return limit;
}
