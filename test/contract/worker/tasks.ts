import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Place } from './place.ts';

/** Which tasks run, when, and how often. */
export function tasksContract(at: Place): void {
  describe('tasks', () => {
    test('run again, here too, when they reject their message to its queue', async () => {
      const { makeApp, start, send } = at;
      const { app } = await start(makeApp());
      const results = await Promise.all([1, 2, 3].map(() => send(app, 'tasks.again')));
      const values = await Promise.all(results.map((result) => result.get({ timeout: 20 })));
      expect(values).toEqual(['second', 'second', 'second']);
    });

    test('run, and their results come back', async () => {
      const { makeApp, start, send } = at;
      const { app, log, worker } = await start(makeApp());
      const results = await Promise.all([...Array(20).keys()].map((n) => send(app, 'tasks.add', [n, 1])));
      const values = await Promise.all(results.map((result) => result.get({ timeout: 20 })));
      expect(values).toEqual([...Array(20).keys()].map((n) => n + 1));
      await log.until(/succeeded in [\d.e-]+s: 20$/);
      expect(log.matching(/^INFO\/MainProcess Task tasks.add\[[-\w]+\] received$/)).toHaveLength(20);
      await worker.stop('warm');
      expect(worker.state).toMatchObject({
        reserved: new Set(),
        active: new Map(),
        totals: new Map([['tasks.add', 20]]),
      });
    });

    test('that fail say why', async () => {
      const { makeApp, start, send } = at;
      const { app, log } = await start(makeApp());
      const result = await send(app, 'tasks.fail');
      await expect(result.get({ timeout: 20 })).rejects.toThrow('boom');
      expect(await log.until(/raised unexpected/)).toMatch(
        /^ERROR\/SlotsWorker-1 .*RangeError\('boom'\)\nRangeError: boom/,
      );
    });

    test('retry until they succeed, under one id', async () => {
      const { makeApp, start, send } = at;
      const { app, log } = await start(makeApp());
      const result = await send(app, 'tasks.flaky', [2]);
      expect(await result.get({ timeout: 20 })).toBe(2);
      await log.until(/succeeded/);
      expect(log.matching(/retry: Retry in 0.1s: Error\('again'\)/)).toHaveLength(2);
      expect(new Set(log.lines.join('\n').match(/(?<=tasks\.flaky\[)[-\w]+/g))).toEqual(new Set([result.id]));
    });

    test('call what is linked, and the steps of a chain', async () => {
      const { makeApp, start, send } = at;
      const { app, log } = await start(makeApp());
      const signature = (options: object) => ({
        ...{ task: 'tasks.add', args: [10], kwargs: {}, subtask_type: null, immutable: false },
        options: { ...options },
      });
      const step = randomUUID();
      const result = await send(app, 'tasks.add', [1, 1], {
        link: [signature({})],
        chain: [signature({ task_id: step })],
      });
      expect(await result.get({ timeout: 20 })).toBe(2);
      await log.until(/succeeded in .*: 12$/, 2);
      expect(log.matching(new RegExp(`tasks.add\\[${step}\\] succeeded`))).toHaveLength(1);
    });

    test('tell how they get on, STARTED first', async () => {
      const { gates, makeApp, start, send } = at;
      const { app } = await start(makeApp({}, { trackStarted: true }));
      const result = await send(app, 'tasks.progress', ['p']);
      const states: string[] = [];
      for await (const update of result.updates()) {
        states.push(update.state);
        if (update.state === 'PROGRESS') {
          expect(update.info).toEqual({ done: 1 });
          await gates.open('p');
        }
      }
      expect(states.slice(-2)).toEqual(['PROGRESS', 'SUCCESS']);
    });
  });

  describe('without prefetching', () => {
    test.each([
      ['early', false],
      ['late', true],
    ])('no message is held for which no slot is free: acknowledged %s', async (_, acksLate) => {
      const { gates, makeApp, start, send } = at;
      const settings = { worker_disable_prefetch: true };
      const { app, log } = await start(makeApp(settings, { acksLate }));
      for (const gate of ['a', 'b', 'c', 'd', 'e']) await send(app, 'tasks.gated', [gate]);
      await gates.arrival('b');
      await gates.open('a');
      await gates.arrival('c');
      // Another worker gets all the others, and the first goes on when it can.
      const other = await start(makeApp({}, { acksLate }), {}, 4);
      for (const gate of ['b', 'd', 'e']) await gates.arrival(gate);
      expect(other.pool.started).toHaveLength(2);
      expect(log.matching(/received/)).toHaveLength(3);
      gates.openAll();
      await other.worker.stop('warm');
      const more = await Promise.all([1, 2, 3].map((n) => send(app, 'tasks.add', [n, 0])));
      expect(await Promise.all(more.map((result) => result.get({ timeout: 20 })))).toEqual([1, 2, 3]);
    });
  });

  describe('time', () => {
    test('a task with a countdown waits; others pass it however many there are', async () => {
      const { makeApp, start, send } = at;
      const { app, log } = await start(makeApp({ worker_prefetch_multiplier: 1 }), {}, 1);
      const sentMs = Date.now();
      const held = await Promise.all(
        [...Array(10).keys()].map((n) => send(app, 'tasks.add', [n, 0], { countdown: 1.5 })),
      );
      const quick = await send(app, 'tasks.other');
      expect(await quick.get({ timeout: 20 })).toBe('other');
      expect(Date.now() - sentMs).toBeLessThan(1400);
      expect(await Promise.all(held.map((result) => result.get({ timeout: 20 })))).toEqual([
        ...Array(10).keys(),
      ]);
      expect(Date.now() - sentMs).toBeGreaterThanOrEqual(1400);
      expect(log.matching(/received/)).toHaveLength(11);
    });

    test('a task that expires while it waits for a slot, or for its time, is revoked', async () => {
      const { gates, makeApp, start, send } = at;
      const { app, log } = await start(makeApp(), {}, 1);
      await send(app, 'tasks.gated', ['busy']);
      await gates.arrival('busy');
      const late = await send(app, 'tasks.add', [1, 1], { expires: 0.2 });
      const eta = await send(app, 'tasks.add', [1, 1], { countdown: 0.4, expires: 0.2 });
      await log.until(/received/, 3);
      await pause(600);
      await gates.open('busy');
      await expect(late.get({ timeout: 20 })).rejects.toThrow('expired');
      await expect(eta.get({ timeout: 20 })).rejects.toThrow('expired');
      await log.until(/Discarding revoked task: tasks.add\[[-\w]+\]$/, 2);
    });

    test('a rate limit spaces tasks, in order, and other types are not kept waiting', async () => {
      const { makeApp, start, send } = at;
      const app = makeApp({ worker_prefetch_multiplier: 1 }, { rateLimit: '10/s' });
      const { log } = await start(app, {}, 1);
      const startMs = Date.now();
      const limited = await Promise.all([...Array(8).keys()].map((n) => send(app, 'tasks.add', [n, 0])));
      const quick = await send(app, 'tasks.other');
      await quick.get({ timeout: 20 });
      const quickMs = Date.now() - startMs;
      await Promise.all(limited.map((result) => result.get({ timeout: 20 })));
      expect(Date.now() - startMs).toBeGreaterThanOrEqual(680);
      expect(quickMs).toBeLessThan(600);
      await log.until(/succeeded/, 9);
      const order = log.matching(/tasks.add.*succeeded/).map((line) => Number(line.split(': ').at(-1)));
      expect(order).toEqual([...order].sort((a, b) => a - b));
    });
  });
}
