import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TraceHooks } from '../../../src/app/trace.ts';
import { deferred } from '../../../src/core/async.ts';
import { nullLogger } from '../../../src/core/logger.ts';
import type { Outcome } from '../../../src/message/outcome.ts';
import type { Job, JobEvents } from '../../../src/pool/pool.ts';
import { createSoloPool } from '../../../src/pool/solo.ts';

const IGNORED: Outcome = { kind: 'ignore', seconds: 0, children: [], embed: null };

function job(id: string, softTimeLimit?: number): Job {
  return { id, softTimeLimit } as Job;
}

/** A pool whose tasks end when the test says so; what happens is logged. */
function setUp() {
  const log: string[] = [];
  const hooks = new Map<string, TraceHooks>();
  const ends = new Map<string, (outcome: Outcome) => void>();
  const pool = createSoloPool({
    logger: nullLogger,
    tracer: ({ id }, given) => {
      log.push(`run ${id}`);
      hooks.set(id, given);
      const end = deferred<Outcome>();
      ends.set(id, (outcome) => end.resolve(outcome));
      return end.promise;
    },
  });
  const eventsOf = (id: string): JobEvents => ({
    onAccepted: ({ pid, name }) => log.push(`accept ${id} ${name} ${pid === process.pid}`),
    onState: ({ state }) => {
      log.push(`state ${state}`);
      return Promise.resolve();
    },
    onSoftTimeout: (seconds) => log.push(`soft ${seconds}`),
  });
  const submit = (id: string, softTimeLimit?: number) =>
    pool.submit(job(id, softTimeLimit), eventsOf(id)).then((outcome) => {
      log.push(`end ${id} ${outcome.kind}`);
    });
  const turns = async () => {
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  };
  return { pool, log, submit, turns, hooks, end: (id: string, outcome = IGNORED) => ends.get(id)?.(outcome) };
}

describe('the solo pool', () => {
  it('runs one job at a time, in order', async () => {
    const { pool, log, submit, turns, end } = setUp();
    await pool.start(new AbortController().signal);
    expect([pool.size, pool.free, pool.pids]).toEqual([1, 1, [process.pid]]);
    void submit('a');
    void submit('b');
    expect(pool.free).toBe(0);
    await turns();
    end('a');
    await turns();
    end('b');
    await pool.drained();
    await turns();
    expect(log).toEqual([
      'accept a MainProcess true',
      'run a',
      'accept b MainProcess true',
      'end a ignore',
      'run b',
      'end b ignore',
    ]);
    expect(pool.free).toBe(1);
  });

  it('lets the acknowledgement leave before a task that blocks', async () => {
    const { log, submit } = setUp();
    void submit('a');
    expect(log).toEqual(['accept a MainProcess true']);
    await setImmediate();
    expect(log).toHaveLength(1);
  });

  it('aborts the signal at the soft time limit', async () => {
    const { log, submit, turns, hooks, end } = setUp();
    const done = submit('a', 0.02);
    await turns();
    const { signal } = hooks.get('a') as TraceHooks;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    expect(signal.reason).toMatchObject({
      name: 'SoftTimeLimitExceeded',
      message: 'The soft time limit of 0.02 s of the task has passed.',
    });
    end('a');
    await done;
    expect(log).toEqual(['accept a MainProcess true', 'run a', 'soft 0.02', 'end a ignore']);
  });

  it('stops after what runs, and gives back what waits', async () => {
    const { pool, log, submit, turns, end } = setUp();
    void submit('a');
    void submit('b');
    await turns();
    const stopped = pool.stop().then(() => log.push('stopped'));
    await turns();
    expect(log).not.toContain('stopped');
    end('a');
    await stopped;
    await turns();
    expect(log).toEqual(['accept a MainProcess true', 'run a', 'end a ignore', 'stopped']);
    expect(pool.takeWaiting()).toEqual([]);
  });

  it.each([
    ['failure', 'terminated'],
    ['success', 'success'],
  ])('terminate aborts the signal: a task that then ends with %s is told as %s', async (kind, told) => {
    const { pool, log, submit, turns, hooks, end } = setUp();
    void submit('a');
    await turns();
    expect(pool.terminate('b', 'SIGTERM')).toBe(false);
    expect(pool.terminate('a', 'SIGTERM')).toBe(true);
    expect(hooks.get('a')?.signal.reason).toMatchObject({ name: 'Terminated' });
    end('a', { kind } as Outcome);
    await turns();
    expect(log.at(-1)).toBe(`end a ${told}`);
  });

  it('gives up what runs when killed', async () => {
    const { pool, log, submit, turns, end } = setUp();
    const done = submit('a');
    await turns();
    await pool.kill();
    await done;
    end('a');
    await turns();
    expect(log).toEqual(['accept a MainProcess true', 'run a', 'end a lost']);
  });

  it('has neither another size nor a way to end a task', async () => {
    const { pool } = setUp();
    await expect(pool.grow(1)).rejects.toThrow('cannot grow');
    await expect(pool.shrink(1)).rejects.toThrow('cannot shrink');
    expect(pool.terminate('a', 'SIGTERM')).toBe(false);
    expect(pool.stats()).toMatchObject({ 'max-concurrency': 1, processes: [process.pid] });
  });
});
