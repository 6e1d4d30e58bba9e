import { describe, expect, test, vi } from 'vitest';
import { outcomes, scene, type LateOptions } from '../../support/settlement.ts';

const early: LateOptions = {};
const late: LateOptions = { acksLate: true };
const lateStrict: LateOptions = { acksLate: true, acksOnFailureOrTimeout: false };
const lateLost: LateOptions = { acksLate: true, rejectOnWorkerLost: true };

describe('what is stored and what becomes of the message', () => {
  test.each<{ outcome: keyof typeof outcomes; mode: string; task: LateOptions; steps: string[] }>([
    { outcome: 'success', mode: 'early ack', task: early, steps: ['store SUCCESS'] },
    { outcome: 'success', mode: 'late ack', task: late, steps: ['store SUCCESS', 'ack'] },
    { outcome: 'failure', mode: 'early ack', task: early, steps: ['store FAILURE'] },
    { outcome: 'failure', mode: 'late ack', task: late, steps: ['store FAILURE', 'ack'] },
    {
      outcome: 'failure',
      mode: 'late ack, not on failure',
      task: lateStrict,
      steps: ['store FAILURE', 'drop'],
    },
    {
      outcome: 'failure',
      mode: 'late ack, reject when lost',
      task: lateLost,
      steps: ['store FAILURE', 'ack'],
    },
    { outcome: 'retry', mode: 'early ack', task: early, steps: ['store RETRY'] },
    { outcome: 'retry', mode: 'late ack', task: late, steps: ['store RETRY', 'ack'] },
    { outcome: 'ignore', mode: 'early ack', task: early, steps: [] },
    { outcome: 'ignore', mode: 'late ack', task: late, steps: ['ack'] },
    { outcome: 'reject', mode: 'early ack', task: early, steps: [] },
    { outcome: 'reject', mode: 'late ack', task: late, steps: ['drop'] },
    { outcome: 'rejectRequeue', mode: 'late ack', task: late, steps: ['requeue'] },
    { outcome: 'timeout', mode: 'early ack', task: early, steps: ['store FAILURE'] },
    { outcome: 'timeout', mode: 'late ack', task: late, steps: ['store FAILURE', 'ack'] },
    {
      outcome: 'timeout',
      mode: 'late ack, not on failure',
      task: lateStrict,
      steps: ['store FAILURE', 'requeue'],
    },
    {
      outcome: 'timeout',
      mode: 'late ack, reject when lost',
      task: lateLost,
      steps: ['store FAILURE', 'ack'],
    },
    { outcome: 'terminated', mode: 'early ack', task: early, steps: ['store REVOKED'] },
    { outcome: 'terminated', mode: 'late ack', task: late, steps: ['store REVOKED', 'ack'] },
    { outcome: 'lost', mode: 'early ack', task: early, steps: ['store FAILURE'] },
    { outcome: 'lost', mode: 'late ack', task: late, steps: ['store FAILURE', 'ack'] },
    { outcome: 'lost', mode: 'late ack, not on failure', task: lateStrict, steps: ['store FAILURE', 'drop'] },
    { outcome: 'lost', mode: 'late ack, reject when lost', task: lateLost, steps: ['requeue'] },
    { outcome: 'success', mode: 'ignored', task: { ...late, ignoreResult: true }, steps: ['ack'] },
    { outcome: 'failure', mode: 'ignored', task: { ...late, ignoreResult: true }, steps: ['ack'] },
    { outcome: 'retry', mode: 'ignored', task: { ...late, ignoreResult: true }, steps: ['ack'] },
    { outcome: 'lost', mode: 'ignored', task: { ...late, ignoreResult: true }, steps: ['ack'] },
    {
      outcome: 'failure',
      mode: 'ignored but for errors',
      task: { ...late, ignoreResult: true, storeErrorsEvenIfIgnored: true },
      steps: ['store FAILURE', 'ack'],
    },
  ])('$outcome, $mode: $steps', async ({ outcome, task, steps }) => {
    const { request, settlement, verdicts } = scene({ task });
    await settlement.settle(request, outcomes[outcome], 1);
    expect(verdicts).toEqual(steps);
  });

  test('a call that wants no result stores none', async () => {
    const { request, settlement, verdicts } = scene({ task: late, message: { ignoreResult: true } });
    await settlement.settle(request, outcomes.success, 1);
    expect(verdicts).toEqual(['ack']);
  });

  test('a verdict is given once', async () => {
    const { request, settlement, verdicts } = scene({ task: late });
    await settlement.settle(request, outcomes.success, 1);
    await settlement.settle(request, outcomes.success, 1);
    await request.settle('requeue');
    expect(verdicts.filter((step) => step !== 'store SUCCESS')).toEqual(['ack']);
  });

  test.each([
    { mode: 'early ack', task: early, steps: [] },
    { mode: 'late ack', task: late, steps: ['requeue'] },
  ])('when the backend has finally failed, $mode: $steps', async ({ task, steps }) => {
    const { request, settlement, verdicts, log, state } = scene({ task, broken: true });
    const settled = settlement.settle(request, outcomes.success, 1);
    await new Promise(setImmediate);
    // Back in its queue it would come again at once, and so on for ever.
    expect(verdicts).toEqual([]);
    state.beginStop();
    await settled;
    expect(verdicts).toEqual(steps);
    expect(log.lines.join('\n')).toContain('the backend is down');
    expect(log.matching(/succeeded/)).toEqual([]);
  });

  test('a backend that stays away is asked more and more seldom', async () => {
    vi.useFakeTimers();
    try {
      const { settlement, again, log } = scene({ task: late, broken: true });
      const pauses: number[] = [];
      for (let round = 0; round < 4; round += 1) {
        const startMs = Date.now();
        const together = [again(), again()].map((request) => settlement.settle(request, outcomes.success, 1));
        while (log.lines.length < (round + 1) * 2) await vi.advanceTimersByTimeAsync(0);
        await vi.advanceTimersToNextTimerAsync();
        await Promise.all(together);
        pauses.push(Date.now() - startMs);
      }
      expect(pauses).toEqual([1000, 3000, 5000, 7000]);
    } finally {
      vi.useRealTimers();
    }
  });

  test('the end waits for a state that is still being stored', async () => {
    const { request, settlement, verdicts } = scene();
    let finish: () => void = () => undefined;
    request.stored = new Promise((resolve) => (finish = resolve));
    const settled = settlement.settle(request, outcomes.success, 1);
    await new Promise(setImmediate);
    expect(verdicts).toEqual([]);
    finish();
    await settled;
    expect(verdicts).toEqual(['store SUCCESS']);
  });
});

describe('stored errors', () => {
  test.each<{ outcome: keyof typeof outcomes; type: string; module: string; args: unknown[] }>([
    { outcome: 'failure', type: 'ValueError', module: 'builtins', args: ['boom'] },
    { outcome: 'timeout', type: 'TimeLimitExceeded', module: 'billiard.exceptions', args: [5] },
    { outcome: 'terminated', type: 'TaskRevokedError', module: 'celery.exceptions', args: ['terminated'] },
    {
      outcome: 'lost',
      type: 'WorkerLostError',
      module: 'billiard.exceptions',
      args: ['Worker exited prematurely: exitcode 3 Job: 14.'],
    },
  ])('$outcome: $type', async ({ outcome, type, module, args }) => {
    const { request, settlement, stored } = scene();
    await settlement.settle(request, outcomes[outcome], 14);
    expect(stored.at(-1)?.error).toMatchObject({ type, module, args });
    expect(stored.at(-1)?.dateDone).toBeInstanceOf(Date);
  });

  test('an expired task is REVOKED and acknowledged', async () => {
    const { request, settlement, verdicts, stored, log, id } = scene({ task: late });
    await settlement.revoke(request, 'expired');
    expect(verdicts).toEqual(['store REVOKED', 'ack']);
    expect(stored[0]?.error).toMatchObject({ type: 'TaskRevokedError', args: ['expired'] });
    expect(log.lines).toEqual([`INFO/MainProcess Discarding revoked task: tasks.add[${id}]`]);
  });
});

describe('a lost connection', () => {
  test('the verdict waits for the message to come again', async () => {
    const { request, settlement, verdicts, state, id } = scene({ task: late });
    const session = { open: true };
    request.rejoin(request.delivery, session);
    session.open = false;
    await settlement.settle(request, outcomes.success, 1);
    expect(verdicts).toEqual(['store SUCCESS']);
    expect(state.missed(id, 1)).toBeUndefined();
    expect(state.missed(id, 0)).toBe('ack');
    expect(state.missed(id, 0)).toBeUndefined();
  });

  test('a task that runs on gives its verdict to the new delivery', async () => {
    const { request, settlement, verdicts, state } = scene();
    state.accepted(request);
    expect(state.running(request.id, 1)).toBeUndefined();
    expect(state.running(request.id, 0)).toBe(request);
    request.rejoin(request.delivery, { open: true });
    await settlement.settle(request, outcomes.success, 1);
    expect(verdicts).toEqual(['store SUCCESS', 'ack']);
  });

  test('a message that is to run again is not remembered', () => {
    const { request, state, id } = scene({ task: late });
    state.remember(request, 'requeue');
    expect(state.missed(id, 0)).toBeUndefined();
  });
});
