import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { poolSuite } from '../contract/pool-suite.ts';
import type { PoolSettings } from '../support/pool.ts';
import { Events, isAlive, TestPool, until } from '../support/pool.ts';

poolSuite('async', { processes: 8 });

async function started(settings: PoolSettings): Promise<TestPool> {
  const test = new TestPool({ processes: 1, ...settings });
  await test.start();
  await until(() => test.pool.pids.length === Math.min(settings.processes ?? 1, test.pool.size));
  return test;
}

const success = { kind: 'success' };

describe('many jobs at the same time', () => {
  it('share the processes evenly', async () => {
    await using test = await started({ size: 1, processes: 2 });
    await test.pool.grow(39);
    // Each process holds its 20 until it has them all.
    const begun = await Promise.all(Array.from({ length: 40 }, () => test.begin('tasks.gather', [20])));
    expect(test.pool.free).toBe(0);
    const outcomes = await Promise.all(begun.map(({ outcome }) => outcome));
    expect(outcomes.every(({ kind }) => kind === 'success')).toBe(true);
    const counts = test.pool.pids.map((pid) => begun.filter(({ process }) => process.pid === pid).length);
    expect(counts).toEqual([20, 20]);
    expect(test.pool.stats()).toMatchObject({
      'max-concurrency': 40,
      'free-threads': 40,
      'running-threads': 0,
      writes: { total: 40, raw: '20, 20' },
    });
  });

  it('wait for a slot when all are taken', async () => {
    await using test = await started({ size: 2 });
    const stuck = [await test.begin('tasks.heed'), await test.begin('tasks.heed')];
    const third = test.run('tasks.add', [1, 1]);
    expect(test.pool.free).toBe(0);
    test.pool.terminate(stuck[0]?.id ?? '', 'SIGTERM');
    expect((await third).value).toBe(2);
  });

  it('have each their own context and states', async () => {
    await using test = await started({ size: 20 });
    const reports = await Promise.all(Array.from({ length: 20 }, (_, at) => test.run('tasks.tell', [at])));
    expect(reports.map(({ events }) => events.states)).toEqual(reports.map((_, at) => [['TOLD', at]]));
    expect(new Set(reports.map(({ value }) => value)).size).toBe(20);
  });

  it('never more in one process than it may run in its life', async () => {
    await using test = await started({ size: 10, maxTasksPerChild: 4 });
    const reports = await Promise.all(Array.from({ length: 30 }, () => test.run('tasks.pid')));
    const counts = new Map<unknown, number>();
    for (const { value } of reports) counts.set(value, (counts.get(value) ?? 0) + 1);
    expect(Math.max(...counts.values())).toBe(4);
    await until(() => test.pool.pids.length === 1);
    expect(test.log).not.toContain('ERROR');
  });

  it('grow and shrink by slots; there are no more processes than slots', async () => {
    await using test = await started({ size: 1, processes: 2 });
    await test.pool.grow(5);
    expect([test.pool.size, test.pool.free, test.pool.pids.length]).toEqual([6, 6, 2]);
    const busy = await Promise.all(Array.from({ length: 4 }, () => test.begin('tasks.heed')));
    await expect(test.pool.shrink(3)).rejects.toThrow("Can't shrink pool. All processes busy!");
    expect([test.pool.size, test.pool.free]).toEqual([4, 0]);
    for (const { id } of busy) test.pool.terminate(id, 'SIGTERM');
    await Promise.all(busy.map(({ outcome }) => outcome));
    await test.pool.shrink(3);
    await until(() => test.pool.pids.length === 1);
    expect((await test.run('tasks.add', [1, 2])).value).toBe(3);
  });
});

describe('one of many that has to end', () => {
  let test: TestPool;
  beforeAll(async () => {
    test = await started({ size: 20 });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  /** A task that runs until it is let go. */
  async function waiting() {
    const events = new Events();
    const begun = new Promise<void>((resolve) => {
      events.onState = async () => resolve();
    });
    const other = test.pool.submit(test.job('tasks.wait'), events);
    await begun;
    const child = await events.accepted;
    return { child, other, letGo: () => process.kill(child.pid, 'SIGUSR2') };
  }

  const hard = { timeLimit: 0.2 };
  const timeout = { kind: 'timeout', seconds: 0.2 };
  const terminated = { kind: 'terminated', signal: 'SIGTERM' };

  it.each([
    ['heeds its signal at the hard limit', 'tasks.heed', hard, timeout, true],
    ['heeds its signal when it is terminated', 'tasks.heed', {}, terminated, true],
    ['cleans up when it is terminated', 'tasks.farewell', {}, terminated, true],
    ['never took its signal, at the hard limit', 'tasks.sleep', hard, timeout, false],
    ['never took its signal, when it is terminated', 'tasks.sleep', {}, terminated, false],
    ['does not heed it, at the hard limit', 'tasks.stubborn', hard, timeout, false],
    ['does not heed it, when it is terminated', 'tasks.stubborn', {}, terminated, false],
  ])('%s: the others finish', async (_, task, change, expected, stays) => {
    const { child, other, letGo } = await waiting();
    const begun = await test.begin(task, task === 'tasks.sleep' ? [60] : [], change);
    expect(begun.process.pid).toBe(child.pid);
    if (expected === terminated) {
      // By then its code runs.
      await test.run('tasks.nothing');
      expect(test.pool.terminate(begun.id, 'SIGTERM')).toBe(true);
    }
    expect(await begun.outcome).toEqual(expected);
    if (stays) {
      expect((await test.run('tasks.pid')).value).toBe(child.pid);
      letGo();
      expect(await other).toMatchObject(success);
      return;
    }
    // Its code goes on, in a process that gets no more jobs, and ends when the others have.
    await until(() => test.pool.pids.length === 2);
    expect((await test.run('tasks.pid')).value).not.toBe(child.pid);
    letGo();
    expect(await other).toMatchObject(success);
    await until(() => !isAlive(child.pid));
    expect(test.log).not.toContain('exited with');
  });

  it('fails with an error that escaped from it', async () => {
    const others = await Promise.all([1, 2, 3].map(() => test.begin('tasks.sleep', [0.5])));
    const pid = others[0]?.process.pid ?? 0;
    const broken = await Promise.all(
      ['tasks.throw_later', 'tasks.forget_rejection', 'tasks.forget_rejection_and_return'].map((task) =>
        test.begin(task),
      ),
    );
    expect(await Promise.all(broken.map(({ outcome }) => outcome))).toMatchObject([
      { kind: 'failure', repr: "TypeError('thrown later')" },
      { kind: 'failure', repr: "RangeError('forgotten')" },
      { kind: 'failure', repr: "RangeError('forgotten')" },
    ]);
    expect(await Promise.all(others.map(({ outcome }) => outcome))).toMatchObject([
      success,
      success,
      success,
    ]);
    expect((await test.run('tasks.pid')).value).not.toBe(pid);
    await until(() => !isAlive(pid));
  });

  it('is not named by an error of code that belongs to none of them', async () => {
    const others = await Promise.all([1, 2].map(() => test.begin('tasks.sleep', [0.5])));
    const pid = others[0]?.process.pid ?? 0;
    expect((await test.run('tasks.break_app')).outcome).toMatchObject(success);
    await until(() => test.log.includes('code of the app'));
    expect(await Promise.all(others.map(({ outcome }) => outcome))).toMatchObject([success, success]);
    await until(() => !isAlive(pid));
    expect((await test.run('tasks.add', [1, 1])).value).toBe(2);
  });

  it('takes the others with it when its process is killed', async () => {
    const begun = await Promise.all(Array.from({ length: 10 }, () => test.begin('tasks.heed')));
    process.kill(begun[0]?.process.pid ?? 0, 'SIGKILL');
    const outcomes = await Promise.all(begun.map(({ outcome }) => outcome));
    expect(outcomes).toEqual(outcomes.map(() => ({ kind: 'lost', exitCode: null, signal: 'SIGKILL' })));
    expect((await test.run('tasks.add', [1, 1])).value).toBe(2);
  });

  it('takes the others with it when it blocks the event loop beyond its limit', async () => {
    const { outcome: other, process: child } = await test.begin('tasks.heed');
    const spinning = await test.begin('tasks.spin', [], hard);
    expect(await spinning.outcome).toEqual(timeout);
    expect(isAlive(child.pid)).toBe(true);
    expect((await test.run('tasks.add', [1, 1])).value).toBe(2);
    expect(await other).toEqual({ kind: 'lost', exitCode: null, signal: 'SIGKILL' });
    expect(test.log).toContain('keeps its event loop from running anything else');
  });

  it('is killed at once when it blocks the event loop alone', async () => {
    const spinning = await test.begin('tasks.spin', [], hard);
    expect(await spinning.outcome).toEqual(timeout);
    await until(() => !isAlive(spinning.process.pid));
  });
});

describe('the end of many', () => {
  it('is waited for', async () => {
    await using test = await started({ size: 100, processes: 2 });
    const begun = await Promise.all(Array.from({ length: 100 }, () => test.begin('tasks.sleep', [0.5])));
    const late = test.job('tasks.pid');
    void test.pool.submit(late, new Events());
    expect(test.pool.takeWaiting()).toEqual([late.id]);
    await test.pool.stop();
    const outcomes = await Promise.all(begun.map(({ outcome }) => outcome));
    expect(outcomes.every(({ kind }) => kind === 'success')).toBe(true);
  });

  it('comes at once for those that do not heed their signal', async () => {
    await using test = await started({ size: 30, processes: 2 });
    const tasks = ['tasks.heed', 'tasks.sleep', 'tasks.stubborn'];
    const begun = await Promise.all(
      Array.from({ length: 30 }, (_, at) => test.begin(tasks[at % 3] ?? '', at % 3 === 1 ? [60] : [])),
    );
    await test.pool.kill();
    const outcomes = await Promise.all(begun.map(({ outcome }) => outcome));
    expect(outcomes.every(({ kind }) => kind === 'lost')).toBe(true);
    expect(begun.some(({ process: child }) => isAlive(child.pid))).toBe(false);
  });
});
