import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/message/outcome.ts';
import type { Job } from '../../src/pool/pool.ts';
import type { PoolSettings } from '../support/pool.ts';
import { Events, isAlive, TestPool, until } from '../support/pool.ts';

/** What every pool of child processes does, as long as it has a process for each slot. */
export function poolSuite(name: string, defaults: PoolSettings): void {
  const create = (settings: PoolSettings = {}): TestPool => new TestPool({ ...defaults, ...settings });

  async function withPool(settings: PoolSettings, body: (test: TestPool) => Promise<void>): Promise<void> {
    await using test = create(settings);
    await test.start();
    await body(test);
  }

  describe(`the ${name} pool`, () => {
    describe('a pool of one child', () => {
      let test: TestPool;
      beforeAll(async () => {
        test = create();
        await test.start();
      });
      afterAll(() => test[Symbol.asyncDispose]());

      it.each<[string, unknown[], unknown, string]>([
        ['tasks.add', [2, 3], 5, '5'],
        ['tasks.add', ['ä', '😀'], 'ä😀', "'ä😀'"],
        ['tasks.nothing', [], null, 'None'],
        ['tasks.title', [], expect.stringMatching(/^celery-ts: worker@example.com ForkPoolWorker-\d+$/), ''],
        ['tasks.read_stdin', [], 0, '0'],
      ])('runs %s(%j)', async (task, args, value, repr) => {
        const report = await test.run(task, args);
        expect(report.outcome.kind).toBe('success');
        expect(report.value).toEqual(value);
        if (repr !== '') expect(report.outcome).toMatchObject({ repr });
        expect((await report.events.accepted).pid).toBe(test.pool.pids[0]);
      });

      it.each<[string, unknown[], object]>([
        [
          'tasks.fail',
          ['boom'],
          { kind: 'failure', expected: false, repr: "RangeError('boom')", error: { args: ['boom'] } },
        ],
        ['tasks.ignore', [], { kind: 'ignore' }],
        ['tasks.reject', [], { kind: 'reject', requeue: true, reason: 'no way' }],
        [
          'tasks.unencodable',
          [],
          { kind: 'failure', error: { type: 'EncodeError', module: 'kombu.exceptions' } },
        ],
        ['tasks.unknown', [], { kind: 'failure', error: { type: 'NotRegistered' } }],
        ['tasks.add', [1], { kind: 'failure', error: { type: 'TypeError' } }],
      ])('reports the end of %s(%j), and goes on', async (task, args, expected) => {
        const [pid] = test.pool.pids;
        expect((await test.run(task, args)).outcome).toMatchObject(expected);
        expect((await test.run('tasks.pid')).value).toBe(pid);
      });

      it.each<[string, unknown[], object, RegExp]>([
        ['tasks.exit', [3], { kind: 'lost', exitCode: 3, signal: null }, /pid:\d+ exited with 'exitcode 3'/],
        ['tasks.exit', [0], { kind: 'lost', exitCode: 0, signal: null }, /exited with 'exitcode 0'/],
        [
          'tasks.signal',
          ['SIGKILL'],
          { kind: 'lost', signal: 'SIGKILL' },
          /exited with 'signal 9 \(SIGKILL\)'/,
        ],
        [
          'tasks.signal',
          ['SIGSEGV'],
          { kind: 'lost', signal: 'SIGSEGV' },
          /exited with 'signal 11 \(SIGSEGV\)'/,
        ],
        [
          'tasks.signal',
          ['SIGTERM'],
          { kind: 'lost', signal: 'SIGTERM' },
          /exited with 'signal 15 \(SIGTERM\)'/,
        ],
        ['tasks.garbage', [], { kind: 'lost', signal: 'SIGKILL' }, /is replaced: it sent what is no frame/],
        ['tasks.close_channel', [], { kind: 'lost' }, /exited with/],
        [
          'tasks.forget_rejection',
          [],
          {
            kind: 'failure',
            repr: "RangeError('forgotten')",
            error: { traceback: expect.stringContaining('tasks.js') as unknown },
          },
          /^/,
        ],
        ['tasks.forget_rejection_and_return', [], { kind: 'failure', repr: "RangeError('forgotten')" }, /^/],
        ['tasks.throw_later', [], { kind: 'failure', repr: "TypeError('thrown later')" }, /^/],
      ])('replaces the child after %s(%j)', async (task, args, expected, log) => {
        const begun = await test.begin(task, args);
        expect(await begun.outcome).toMatchObject(expected);
        expect(test.log).toMatch(log);
        const next = await test.begin('tasks.pid');
        expect((await next.outcome).kind).toBe('success');
        expect(next.process.pid).not.toBe(begun.process.pid);
        const [before, after] = [begun, next].map(({ process }) => Number(process.name.split('-')[1]));
        expect(after).toBe((before ?? 0) + 1);
        await until(() => !isAlive(begun.process.pid));
      });

      it('fails a job that cannot be passed on, and goes on', async () => {
        const { outcome } = await test.run('tasks.add', [1, 1], { userHeaders: { at: new Date(NaN) } });
        expect(outcome).toMatchObject({ kind: 'failure', error: { type: 'EncodeError' } });
        expect((await test.run('tasks.add', [1, 1])).value).toBe(2);
      });

      it('recycles a child in which an error escaped between two tasks', async () => {
        const begun = await test.begin('tasks.throw_after_end');
        expect((await begun.outcome).kind).toBe('success');
        await until(() => !isAlive(begun.process.pid));
        expect(test.log).toContain('thrown too late');
        expect((await test.run('tasks.add', [1, 1])).value).toBe(2);
      });

      it('stores states in order before the task goes on', async () => {
        const { events, value } = await test.run('tasks.progress');
        expect(value).toBe('done');
        expect(events.states).toEqual([
          ['PROGRESS', { current: 1 }],
          ['PROGRESS', { current: 2 }],
        ]);
      });

      it('tells the task that its state could not be stored', async () => {
        const events = new Events();
        events.onState = () => Promise.reject(new Error('backend is away'));
        const outcome = await test.pool.submit(test.job('tasks.progress'), events);
        expect(outcome).toMatchObject({
          kind: 'failure',
          error: { type: 'OperationalError', args: [expect.stringContaining('backend is away')] },
        });
      });

      it('logs what tasks print, line by line, before their outcome', async () => {
        const { process: child, outcome, id } = await test.begin('tasks.print', ['here']);
        await outcome;
        const lines = test.log.split('\n').filter((line) => line.includes(child.name));
        expect(lines.filter((line) => /here|parts/.test(line)).sort()).toEqual(
          [
            `[WARNING/${child.name}] first here`,
            `[WARNING/${child.name}] second here`,
            `[WARNING/${child.name}] in parts`,
            `[WARNING/${child.name}] to stderr here`,
            `[INFO/${child.name}] tasks.print[${id}]: from the logger here`,
          ].sort(),
        );
      });

      it.each([1, 65_536, 5_000_000, 100_000_000])('passes %i bytes both ways', async (size) => {
        expect((await test.run('tasks.size', ['x'.repeat(size)])).value).toBe(size);
        const { outcome } = await test.run('tasks.repeat', [size]);
        expect(outcome.kind === 'success' && outcome.result.bytes.length).toBe(size + 2);
      });

      it('runs jobs in the order they came, and takes back those that wait', async () => {
        const ends: string[] = [];
        const running = await test.begin('tasks.sleep', [0.05]);
        const outcomes = ['tasks.add', 'tasks.nothing', 'tasks.pid'].map((task) =>
          test.pool
            .submit(test.job(task, task === 'tasks.add' ? [1, 1] : []), new Events())
            .then(() => ends.push(task)),
        );
        expect(test.pool.free).toBe(0);
        await Promise.all([running.outcome, ...outcomes]);
        expect(ends).toEqual(['tasks.add', 'tasks.nothing', 'tasks.pid']);

        const last = await test.begin('tasks.sleep', [0.05]);
        const waiting = [test.job('tasks.pid'), test.job('tasks.pid')];
        const settled: unknown[] = [];
        for (const job of waiting)
          void test.pool.submit(job, new Events()).then((outcome) => settled.push(outcome));
        expect(test.pool.takeWaiting()).toEqual(waiting.map(({ id }) => id));
        await last.outcome;
        await test.pool.drained();
        expect(settled).toEqual([]);
        expect(test.pool.free).toBe(1);
      });
    });

    describe('a result sent just before the process ends', () => {
      it.each([
        ['small', 10, 40],
        ['1 MB', 1_000_000, 20],
      ])('is delivered, or the task is lost: %s', async (_, size, rounds) => {
        await withPool({ size: 2 }, async (test) => {
          const reports = await Promise.all(
            Array.from({ length: rounds }, () => test.run('tasks.exit_after', [size])),
          );
          for (const { outcome } of reports) {
            if (outcome.kind === 'success') expect(outcome.result.bytes.length).toBe(size + 2);
            else expect(outcome).toEqual({ kind: 'lost', exitCode: 0, signal: null });
          }
          // Each of these processes is about to end, and would take another job with it.
          const processes = await Promise.all(reports.map(({ events }) => events.accepted));
          await until(() => !processes.some(({ pid }) => isAlive(pid)));
          expect((await test.run('tasks.add', [1, 1])).value).toBe(2);
        });
      });
    });

    describe('soft time limits', () => {
      let test: TestPool;
      beforeAll(async () => {
        test = create({ size: 2 });
        await test.start();
      });
      afterAll(() => test[Symbol.asyncDispose]());

      it('soft: the task that heeds its signal fails with SoftTimeLimitExceeded, in the same process', async () => {
        const { outcome, events } = await test.run('tasks.heed', [], { softTimeLimit: 0.1 });
        expect(outcome).toMatchObject({
          kind: 'failure',
          repr: 'SoftTimeLimitExceeded()',
          error: { type: 'SoftTimeLimitExceeded', module: 'billiard.exceptions' },
        });
        expect(events.softTimeouts).toEqual([0.1]);
      });

      it('soft: the task may clean up and return', async () => {
        const { value } = await test.run('tasks.clean_up', [], { softTimeLimit: 0.05 });
        expect(value).toBe('cleaned up after SoftTimeLimitExceeded');
      });

      it('soft: a task that never asks for its signal goes on', async () => {
        const { value, events } = await test.run('tasks.ignore_limit', [], {
          softTimeLimit: 0.05,
          timeLimit: 10,
        });
        expect(value).toBe('went on');
        expect(events.softTimeouts).toEqual([0.05]);
      });
    });

    describe('the signal of a task', () => {
      it.each<[string, Partial<Job>, (pool: TestPool['pool'], id: string) => unknown, Outcome]>([
        [
          'terminate',
          {},
          (pool, id) => pool.terminate(id, 'SIGTERM'),
          { kind: 'terminated', signal: 'SIGTERM' },
        ],
        ['the hard time limit', { timeLimit: 0.5 }, () => undefined, { kind: 'timeout', seconds: 0.5 }],
        ['a cold shutdown', {}, (pool) => pool.kill(), { kind: 'lost', exitCode: null, signal: 'SIGTERM' }],
      ])(
        'is aborted by %s; what the task then returns counts for nothing',
        async (_, change, end, expected) => {
          await using test = create();
          await test.start();
          const begun = await test.begin('tasks.farewell', [], change);
          await until(() => test.log.includes('listening'));
          end(test.pool, begun.id);
          expect(await begun.outcome).toEqual(expected);
          expect(test.log).toContain('goodbye: Terminated');
        },
      );
    });

    describe('kill', () => {
      it('ends the process of a task that ends by itself meanwhile', async () => {
        await withPool({}, async (test) => {
          const events = new Events();
          const deaf = new Promise<void>((resolve) => {
            events.onState = async () => resolve();
          });
          void test.pool.submit(test.job('tasks.ignore_signal'), events);
          await deaf;
          await test.pool.kill();
          expect(isAlive((await events.accepted).pid)).toBe(false);
        });
      });
    });

    describe('recycling', () => {
      it('replaces a child after its last job; no job is lost', async () => {
        await withPool({ size: 2, maxTasksPerChild: 3 }, async (test) => {
          const reports = await Promise.all(Array.from({ length: 20 }, () => test.run('tasks.pid')));
          const counts = new Map<unknown, number>();
          for (const { value } of reports) counts.set(value, (counts.get(value) ?? 0) + 1);
          expect(Math.max(...counts.values())).toBe(3);
          expect([...counts.values()].reduce((sum, count) => sum + count)).toBe(20);
          await until(() => test.pool.pids.length === 2);
          expect(test.log).not.toContain('ERROR');
        });
      });

      it('replaces a child that has grown too large', async () => {
        await withPool({ maxMemoryPerChildKb: 250_000 }, async (test) => {
          const first = await test.run('tasks.pid');
          expect((await test.run('tasks.pid')).value).toBe(first.value);
          expect((await test.run('tasks.grow', [250])).outcome.kind).toBe('success');
          expect((await test.run('tasks.pid')).value).not.toBe(first.value);
        });
      });

      it('names log files by slot', async () => {
        await withPool({ maxTasksPerChild: 1, logName: '%n%I.log' }, async (test) => {
          await test.run('tasks.print', ['one']);
          await test.run('tasks.print', ['two']);
          const log = readFileSync(join(test.folder, 'worker-1.log'), 'utf8');
          expect(log).toMatch(/ForkPoolWorker-1\] first one[^]*ForkPoolWorker-2\] first two/);
        });
      });
    });

    describe('children that do not start', () => {
      it.each<[string, RegExp, object]>([
        ['throws.js', /no licence file/, {}],
        ['missing.js', /missing/, {}],
        ['exits.js', /ended with exitcode 7 before it had loaded the app/, {}],
        ['hangs.js', /did not load the app within 15 s/, { aliveTimeoutMs: 1000 }],
      ])(
        'fail the pool with %s',
        async (app, message, settings) => {
          const test = create({ app, size: 2, ...settings });
          try {
            await expect(test.start()).rejects.toThrow(message);
            expect((await test.pool.failed).message).toMatch(message);
            expect(test.log.split('\n').length).toBeLessThan(15);
          } finally {
            await test[Symbol.asyncDispose]();
          }
          expect(test.pool.pids).toEqual([]);
        },
        60_000,
      );
    });

    describe('size', () => {
      it('grows, and shrinks by idle children only', async () => {
        await withPool({ size: 1 }, async (test) => {
          await test.pool.grow(2);
          expect([test.pool.size, test.pool.free, test.pool.pids.length]).toEqual([3, 3, 3]);
          const busy = await Promise.all([
            test.begin('tasks.sleep', [0.3]),
            test.begin('tasks.sleep', [0.3]),
          ]);
          await expect(test.pool.shrink(2)).rejects.toThrow("Can't shrink pool. All processes busy!");
          expect(test.pool.size).toBe(2);
          expect(await Promise.all(busy.map(({ outcome }) => outcome))).toMatchObject([
            { kind: 'success' },
            { kind: 'success' },
          ]);
          await test.pool.shrink(1);
          expect([test.pool.size, test.pool.pids.length]).toEqual([1, 1]);
          expect((await test.run('tasks.add', [1, 2])).value).toBe(3);
        });
      });

      it('shrinks by a child that is still starting', async () => {
        await withPool({ size: 1 }, async (test) => {
          const before = test.pool.pids;
          const { outcome } = await test.begin('tasks.sleep', [0.3]);
          const grown = test.pool.grow(1);
          await test.pool.shrink(1);
          await grown;
          expect(test.pool.size).toBe(1);
          expect((await outcome).kind).toBe('success');
          await until(() => test.pool.pids.length === before.length);
          expect(test.pool.pids).toEqual(before);
        });
      });

      it('shows in the stats', async () => {
        await withPool({ size: 2, maxTasksPerChild: 100 }, async (test) => {
          await test.run('tasks.pid');
          expect(test.pool.stats()).toMatchObject({
            'max-concurrency': 2,
            'max-tasks-per-child': 100,
            processes: test.pool.pids,
            writes: { total: 1, avg: '0.50', strategy: 'fair', inqueues: { total: 2, active: 0 } },
          });
        });
      });
    });

    describe('the end', () => {
      it('waits for what runs, and not for what waits', async () => {
        const test = create();
        await test.start();
        const { outcome } = await test.begin('tasks.sleep', [0.3]);
        const settled: Outcome[] = [];
        void test.pool.submit(test.job('tasks.pid'), new Events()).then((value) => settled.push(value));
        const { pids } = test.pool;
        await Promise.all([test.pool.stop(), test.pool.stop()]);
        expect(await Promise.race([outcome, Promise.resolve('not settled')])).toMatchObject({
          kind: 'success',
        });
        expect(settled).toEqual([]);
        expect(pids.filter(isAlive)).toEqual([]);
        expect(test.log).not.toContain('exited with');
        await test[Symbol.asyncDispose]();
      });

      it('kills what runs, at once', async () => {
        const test = create({ size: 2 });
        await test.start();
        const busy = await Promise.all([test.begin('tasks.spin'), test.begin('tasks.sleep', [60])]);
        const { pids } = test.pool;
        const start = performance.now();
        await test.pool.kill();
        expect(performance.now() - start).toBeLessThan(1000);
        expect(await Promise.all(busy.map(({ outcome }) => outcome))).toEqual([
          { kind: 'lost', exitCode: null, signal: 'SIGKILL' },
          { kind: 'lost', exitCode: null, signal: 'SIGTERM' },
        ]);
        expect(pids.filter(isAlive)).toEqual([]);
        await test[Symbol.asyncDispose]();
      });

      it('may come before the start, during it, and many times', async () => {
        const early = create();
        await early.pool.stop();
        await early[Symbol.asyncDispose]();

        const test = create({ size: 2 });
        const abort = new AbortController();
        const started = test.pool.start(abort.signal);
        abort.abort(new Error('changed my mind'));
        await expect(started).rejects.toThrow('changed my mind');
        await Promise.all([test.pool.stop(), test.pool.kill(), test.pool.stop()]);
        expect(test.pool.pids).toEqual([]);
        await test[Symbol.asyncDispose]();
      });
    });
  });
}
