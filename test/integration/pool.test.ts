import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/message/outcome.ts';
import { poolSuite } from '../contract/pool-suite.ts';
import type { PoolSettings } from '../support/pool.ts';
import { Events, isAlive, TestPool } from '../support/pool.ts';

async function withPool(settings: PoolSettings, body: (test: TestPool) => Promise<void>): Promise<void> {
  await using test = new TestPool(settings);
  await test.start();
  await body(test);
}

poolSuite('prefork', {});

describe('the hard time limit', () => {
  let test: TestPool;
  beforeAll(async () => {
    test = new TestPool({ size: 2 });
    await test.start();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(['tasks.heed', 'tasks.spin', 'tasks.deaf'])(
    'hard: kills %s within a second of its limit',
    async (task) => {
      const other = await test.begin('tasks.sleep', [0.5]);
      const start = performance.now();
      const begun = await test.begin(task, [], {
        timeLimit: 0.2,
        softTimeLimit: task === 'tasks.heed' ? undefined : 0.1,
      });
      expect(await begun.outcome).toEqual({ kind: 'timeout', seconds: 0.2 });
      expect(performance.now() - start).toBeLessThan(1200);
      expect(isAlive(begun.process.pid)).toBe(false);
      expect((await other.outcome).kind).toBe('success');
      // Its slot is filled again, and nobody calls this an accident.
      const next = await Promise.all([test.begin('tasks.heed'), test.begin('tasks.heed')]);
      expect(next[0].process.pid).not.toBe(next[1].process.pid);
      for (const { id } of next) test.pool.terminate(id, 'SIGTERM');
      await Promise.all(next.map(({ outcome }) => outcome));
      expect(test.log).not.toContain('exited with');
    },
  );
});

describe('terminate', () => {
  it('ends the process of a running task only', async () => {
    await withPool({ size: 2 }, async (test) => {
      const [spinning, other] = await Promise.all([
        test.begin('tasks.spin'),
        test.begin('tasks.sleep', [0.5]),
      ]);
      const waiting = test.job('tasks.pid');
      const waited = test.pool.submit(waiting, new Events());
      expect(test.pool.terminate(waiting.id, 'SIGTERM')).toBe(false);
      expect(test.pool.terminate('unknown', 'SIGTERM')).toBe(false);
      expect(test.pool.terminate(spinning.id, 'SIGTERM')).toBe(true);
      expect(await spinning.outcome).toEqual({ kind: 'terminated', signal: 'SIGTERM' });
      expect((await other.outcome).kind).toBe('success');
      expect((await waited).kind).toBe('success');
      expect(test.log).not.toContain('exited with');
    });
  });

  it('gives no other job to a process that ends of the signal only after its task', async () => {
    await withPool({ size: 1 }, async (test) => {
      const events = new Events();
      const ending = test.job('tasks.end_gracefully');
      events.onState = async () => void test.pool.terminate(ending.id, 'SIGUSR2');
      const ended = test.pool.submit(ending, events);
      const next = test.run('tasks.sleep', [0.4]);
      expect((await ended).kind).toBe('success');
      expect((await next).outcome.kind).toBe('success');
    });
  });
});

describe('short tasks', () => {
  const short = (test: TestPool, count: number): Promise<Outcome[]> =>
    Promise.all(Array.from({ length: count }, async () => (await test.run('tasks.short')).outcome));

  /** A child that runs something long, of a task that was always short, and what was given to it behind that. */
  async function surprised(test: TestPool, ms: number, spin: boolean) {
    await test.start();
    expect(test.pool.hasRoom?.('tasks.short')).toBe(true);
    await short(test, 30);
    const long = await test.begin('tasks.short', [ms, spin]);
    expect(test.pool.hasRoom?.('tasks.pid')).toBe(false);
    const behind = short(test, 5);
    return { long, behind };
  }

  it.each([
    ['waits', false],
    ['blocks', true],
  ])(
    'wait in a child behind another one; when that %s and its process is killed, they run elsewhere',
    async (_, spin) => {
      await using test = new TestPool();
      const { long, behind } = await surprised(test, 60_000, spin);
      process.kill(long.process.pid, 'SIGKILL');
      expect(await long.outcome).toMatchObject({ kind: 'lost', signal: 'SIGKILL' });
      const outcomes = await behind;
      expect(outcomes.map(({ kind }) => kind)).toEqual(Array(5).fill('success'));
    },
  );

  it('are called back from behind one that takes its time, for whoever is free', async () => {
    await using test = new TestPool();
    const { long, behind } = await surprised(test, 20_000, false);
    await test.pool.grow(1);
    const first = await Promise.race([long.outcome.then(() => 'long'), behind.then(() => 'behind')]);
    expect(first).toBe('behind');
  });

  it('are told of in order, each accepted before its end', async () => {
    await using test = new TestPool({ size: 2 });
    await test.start();
    await short(test, 40);
    const reports = await Promise.all(Array.from({ length: 200 }, () => test.run('tasks.short')));
    expect(
      reports.every(({ outcome, events }) => outcome.kind === 'success' && events.acceptances === 1),
    ).toBe(true);
  });
});
