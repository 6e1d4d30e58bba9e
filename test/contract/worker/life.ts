import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Worker } from '../../../src/worker/worker.ts';
import { LogLines } from '../../support/log-lines.ts';
import { SlotsPool } from '../../support/slots-pool.ts';
import { never, type Place } from './place.ts';

/** What a worker takes, and how it starts and stops. */
export function lifeContract(at: Place): void {
  describe('queues', () => {
    test('only the selected ones are consumed, also those that exist only by -Q', async () => {
      const { makeApp, start, waiting, send } = at;
      const app = makeApp();
      const { worker } = await start(app, { queues: ['video'] });
      expect(worker.queues.map((queue) => queue.name)).toEqual(['video']);
      await send(app, 'tasks.add', [1, 1], { queue: 'celery' });
      const result = await send(app, 'tasks.add', [1, 2], { queue: 'video' });
      expect(await result.get({ timeout: 20 })).toBe(3);
      expect(await waiting(app)).toBe(1);
    });

    test('purge empties them before anything runs', async () => {
      const { runs, makeApp, start, send } = at;
      const app = makeApp();
      for (let n = 0; n < 3; n += 1) await send(app, 'tasks.gated', [`old-${n}`]);
      const purged: number[] = [];
      const { worker } = await start(app, {
        purge: true,
        listener: { onPurged: (count) => purged.push(count) },
      });
      const result = await send(app, 'tasks.add', [1, 1]);
      expect(await result.get({ timeout: 20 })).toBe(2);
      await worker.stop('warm');
      expect(purged).toEqual([3]);
      expect(runs).toEqual([]);
    });
  });

  describe('shutdown', () => {
    test('warm: running tasks finish, everything else is back in the queue, nothing more starts', async () => {
      const { gates, makeApp, start, waiting, send } = at;
      const { app, worker, pool, hostname, log } = await start(makeApp(), {}, 1);
      const running = await send(app, 'tasks.gated', ['run']);
      await gates.arrival('run');
      for (let n = 0; n < 2; n += 1) await send(app, 'tasks.gated', [`waiting-${n}`]);
      await send(app, 'tasks.add', [1, 1], { countdown: 600 });
      await app.control.rateLimit('tasks.other', '1/h', {
        reply: true,
        destination: [hostname],
        timeout: 5,
      });
      for (let n = 0; n < 2; n += 1) await send(app, 'tasks.other');
      await log.until(/received/, 6);
      const stopped = worker.stop('warm');
      while ((await waiting(app)) < 5) await pause(10);
      expect(await app.control.ping({ destination: [hostname], timeout: 5 })).toHaveLength(1);
      await gates.open('run');
      await stopped;
      expect(await running.get({ timeout: 20 })).toBe('run');
      expect(await worker.finished).toEqual({ how: 'warm', error: undefined });
      expect(pool.started).toHaveLength(1);
      expect(await waiting(app)).toBe(5);
    });

    test.each([
      { mode: 'late', task: { acksLate: true }, left: 1 },
      { mode: 'early', task: {}, left: 0 },
    ])('cold: the running task is ended; acknowledged $mode, $left go back', async ({ task, left }) => {
      const { gates, makeApp, start, waiting, send } = at;
      const { app, worker, pool } = await start(makeApp({}, task), {}, 1);
      await send(app, 'tasks.gated', ['run']);
      await gates.arrival('run');
      await worker.stop('cold');
      expect(await waiting(app)).toBe(left);
      expect(pool.started).toHaveLength(1);
      expect((await worker.finished).how).toBe('cold');
    });

    test('cold during warm ends the wait', async () => {
      const { gates, makeApp, start, waiting, send } = at;
      const modes: string[] = [];
      const { app, worker } = await start(makeApp({}, { acksLate: true }), {
        listener: { onStopping: (how) => modes.push(how) },
      });
      await send(app, 'tasks.gated', ['run']);
      await gates.arrival('run');
      const warm = worker.stop('warm');
      const again = worker.stop('warm');
      await Promise.all([worker.stop('cold'), warm, again]);
      expect(modes).toEqual(['warm', 'cold']);
      expect(await waiting(app)).toBe(1);
    });

    test('what went back is run by the next worker', async () => {
      const { gates, makeApp, start, send } = at;
      const app = makeApp({}, { acksLate: true });
      const first = await start(app, {}, 1);
      const result = await send(app, 'tasks.gated', ['run']);
      await gates.arrival('run');
      await first.worker.stop('cold');
      gates.clear();
      await start(app, {}, 1);
      await gates.open('run');
      expect(await result.get({ timeout: 20 })).toBe('run');
    });
  });

  test('starts and stops many times at once', async () => {
    const { makeApp } = at;
    const app = makeApp();
    await Promise.all(
      [...Array(10).keys()].map(async () => {
        const log = new LogLines();
        const pool = new SlotsPool(app, log.logger);
        const worker = new Worker(app, { hostname: `celery@${randomUUID()}`, pool, logger: log.logger });
        const started = worker.start(never());
        const early = Math.random() < 0.5;
        if (!early) await started;
        await Promise.all([worker.stop('warm'), worker.stop('warm')]);
        await started;
        expect(await worker.finished).toEqual({ how: 'warm', error: undefined });
      }),
    );
  });

  test('a worker that was stopped before it started does nothing', async () => {
    const { makeApp } = at;
    const app = makeApp();
    const log = new LogLines();
    const worker = new Worker(app, {
      hostname: 'celery@x',
      pool: new SlotsPool(app, log.logger),
      logger: log.logger,
    });
    await worker.stop('warm');
    await worker.start(never());
    expect(log.lines).toEqual([]);
  });
}
