import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Place } from './place.ts';

/** Commands to a worker, and what it answers. */
export function remoteControlContract(at: Place): void {
  describe('remote control', () => {
    test('answers while all slots are busy', async () => {
      const { gates, makeApp, start, send } = at;
      const { app, hostname } = await start(makeApp(), {}, 1);
      await send(app, 'tasks.gated', ['busy']);
      await gates.arrival('busy');
      expect(await app.control.ping({ destination: [hostname], timeout: 5 })).toEqual([
        { [hostname]: { ok: 'pong' } },
      ]);
      expect(await app.control.ping({ destination: ['celery@nobody'], timeout: 0.2 })).toEqual([]);
    });

    test.each([
      { task: 'tasks.add', rate: '10/m', reply: { ok: 'new rate limit set successfully' } },
      { task: 'tasks.add', rate: null, reply: { ok: 'rate limit disabled successfully' } },
      { task: 'tasks.add', rate: 0, reply: { ok: 'rate limit disabled successfully' } },
      { task: 'tasks.add', rate: '0', reply: { ok: 'new rate limit set successfully' } },
      { task: 'tasks.nonesuch', rate: '10/m', reply: { error: 'unknown task' } },
      {
        task: 'tasks.add',
        rate: 'bogus',
        reply: {
          error: `Invalid rate limit string: ValueError("could not convert string to float: 'bogus'")`,
        },
      },
    ])('rate_limit $task $rate', async ({ task, rate, reply }) => {
      const { makeApp, start } = at;
      const { app, hostname } = await start(makeApp());
      const replies = await app.control.broadcast(
        'rate_limit',
        { task_name: task, rate_limit: rate },
        { reply: true, destination: [hostname], timeout: 5 },
      );
      expect(replies).toEqual([{ [hostname]: reply }]);
    });

    test('revoke discards a task before it runs', async () => {
      const { makeApp, start } = at;
      const { app, hostname } = await start(makeApp());
      const result = await app.sendTask('tasks.add', [1, 1], { countdown: 0.5 });
      const replies = await app.control.broadcast(
        'revoke',
        { task_id: result.id, terminate: false, signal: 'SIGTERM' },
        { reply: true, destination: [hostname], timeout: 5 },
      );
      expect(replies).toEqual([{ [hostname]: { ok: `tasks {'${result.id}'} flagged as revoked` } }]);
      expect(await result.get({ timeout: 10, propagate: false })).toMatchObject({ message: 'revoked' });
      expect(await result.state()).toBe('REVOKED');
    });

    test('tells what it has in hand, and ends what it is told to', async () => {
      const { gates, makeApp, start, send } = at;
      const { app, hostname, pool } = await start(makeApp(), {}, 1);
      const to = { destination: [hostname], reply: true, timeout: 5 };
      const ask = app.control.inspect(to);
      const running = await send(app, 'tasks.gated', ['held']);
      await gates.arrival('held');
      const waiting = await send(app, 'tasks.add', [1, 2]);
      const later = await app.sendTask('tasks.add', [3, 4], { countdown: 600 });
      await expect.poll(async () => (await ask.scheduled())?.[hostname]?.length).toBe(1);
      const ids = (infos: readonly { id: string }[] | undefined): unknown => infos?.map(({ id }) => id);
      expect(ids((await ask.active())?.[hostname])).toEqual([running.id]);
      expect(ids((await ask.reserved())?.[hostname])).toEqual([waiting.id]);
      expect((await ask.scheduled())?.[hostname]?.[0]?.request).toMatchObject({
        id: later.id,
        args: [3, 4],
      });
      expect((await ask.queryTask(running.id, waiting.id, later.id))?.[hostname]).toMatchObject({
        [running.id]: ['active', { name: 'tasks.gated', worker_pid: process.pid, acknowledged: true }],
        [waiting.id]: ['reserved', { time_start: null, acknowledged: false }],
      });
      await app.control.timeLimit('tasks.other', { soft: 5, hard: 6 }, to);
      const other = await send(app, 'tasks.other', []);
      expect(await app.control.terminate([running.id, waiting.id, later.id], to)).toEqual([
        { [hostname]: { ok: `terminate: ${running.id}, ${waiting.id}` } },
      ]);
      for (const [result, message] of [
        [running, 'terminated'],
        [waiting, 'revoked'],
      ] as const) {
        expect(await result.get({ timeout: 10, propagate: false })).toMatchObject({ message });
      }
      await other.get({ timeout: 10 });
      expect(pool.started.at(-1)).toMatchObject({ task: 'tasks.other', softTimeLimit: 5, timeLimit: 6 });
      expect((await ask.revoked())?.[hostname]).toEqual([running.id, waiting.id, later.id]);
    });

    test('consumes queues as it is told, and discards by stamps', async () => {
      const { makeApp, start, publish } = at;
      const { app, hostname, log } = await start(makeApp());
      const to = { destination: [hostname], reply: true, timeout: 5 };
      await app.control.addConsumer('extra', to);
      const result = await app.sendTask('tasks.add', [1, 2], { queue: 'extra' });
      expect(await result.get({ timeout: 10 })).toBe(3);
      await app.control.cancelConsumer('extra', to);
      await expect
        .poll(async () => (await app.control.inspect(to).activeQueues())?.[hostname]?.map(({ name }) => name))
        .toEqual(['celery']);
      await app.control.revokeByStampedHeaders({ customer: ['7', '8'] }, to);
      const stamped = (id: string, customer: unknown): Promise<void> =>
        publish(app, {
          headers: {
            lang: 'js',
            task: 'tasks.add',
            id,
            stamped_headers: ['customer'],
            stamps: { customer },
          },
        });
      await stamped('one', '7');
      await stamped('two', ['6', '8']);
      await stamped('three', ['6']);
      await log.until(/Discarding revoked task: tasks.add\[(one|two)\]$/, 2);
      await log.until(/tasks.add\[three\] succeeded/);
    });

    test('runs commands of its app, and shuts down when told', async () => {
      const { makeApp, start } = at;
      const app = makeApp();
      app.inspectCommand('double', { args: { n: 'int' } }, async (worker, { n = 0 }) => {
        await Promise.resolve();
        return { of: worker.hostname, is: n * 2 };
      });
      app.controlCommand('break', {}, () => {
        throw new RangeError('broken');
      });
      const { hostname, worker } = await start(app);
      const to = { destination: [hostname], reply: true, timeout: 5 };
      expect(await app.control.inspect(to).ask('double', { n: 4 })).toEqual({
        [hostname]: { of: hostname, is: 8 },
      });
      expect(await app.control.broadcast('break', {}, to)).toEqual([
        { [hostname]: { error: "RangeError('broken')" } },
      ]);
      await app.control.shutdown({ destination: ['other@h'] });
      expect(await app.control.ping(to)).toHaveLength(1);
      await app.control.shutdown({ pattern: hostname });
      expect(await worker.finished).toEqual({ how: 'warm', error: undefined });
    });

    test('rate_limit holds at once, and lets go again', async () => {
      const { makeApp, start, send } = at;
      const { app, hostname, log } = await start(makeApp());
      const limit = (rate: string | null) =>
        app.control.broadcast(
          'rate_limit',
          { task_name: 'tasks.add', rate_limit: rate },
          { reply: true, destination: [hostname], timeout: 5 },
        );
      await limit('1/h');
      const results = await Promise.all([1, 2, 3].map((n) => send(app, 'tasks.add', [n, 0])));
      await log.until(/received/, 3);
      await log.until(/succeeded/, 1);
      await pause(100);
      expect(log.matching(/succeeded/)).toHaveLength(1);
      await limit(null);
      await Promise.all(results.map((result) => result.get({ timeout: 20 })));
    });

    test('an unknown command is answered with an error', async () => {
      const { makeApp, start } = at;
      const { app, hostname, log } = await start(makeApp());
      const replies = await app.control.broadcast(
        'nosuchcommand',
        {},
        { reply: true, destination: [hostname], timeout: 5 },
      );
      expect(replies).toEqual([{ [hostname]: { error: "KeyError('nosuchcommand')" } }]);
      await log.until(/^ERROR\/MainProcess pidbox command error: KeyError\('nosuchcommand'\)/);
    });
  });
}
