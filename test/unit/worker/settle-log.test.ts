import { describe, expect, test } from 'vitest';
import { outcomes, scene } from '../../support/settlement.ts';

describe('the log', () => {
  test.each<{ outcome: keyof typeof outcomes; lines: string[] }>([
    { outcome: 'success', lines: ['INFO/ForkPoolWorker-1 Task tasks.add[ID] succeeded in 0.0214s: 5'] },
    {
      outcome: 'failure',
      lines: [
        "ERROR/ForkPoolWorker-1 Task tasks.add[ID] raised unexpected: ValueError('boom')\nValueError: boom\n    at x",
      ],
    },
    {
      outcome: 'expected',
      lines: ["INFO/ForkPoolWorker-1 Task tasks.add[ID] raised expected: ValueError('boom')"],
    },
    {
      outcome: 'retry',
      lines: ["INFO/ForkPoolWorker-1 Task tasks.add[ID] retry: Retry in 1s: ValueError('boom')"],
    },
    { outcome: 'ignore', lines: ['INFO/ForkPoolWorker-1 Task tasks.add[ID] ignored'] },
    {
      outcome: 'reject',
      lines: ['WARNING/ForkPoolWorker-1 Task tasks.add[ID] reject requeue=False: no way\nReject: no way'],
    },
    {
      outcome: 'rejectRequeue',
      lines: ['WARNING/ForkPoolWorker-1 Task tasks.add[ID] reject requeue=True: later'],
    },
    {
      outcome: 'timeout',
      lines: [
        'ERROR/MainProcess Task handler raised error: TimeLimitExceeded(5)',
        'ERROR/MainProcess Hard time limit (5s) exceeded for tasks.add[ID]',
      ],
    },
    {
      outcome: 'lost',
      lines: [
        "ERROR/MainProcess Task handler raised error: WorkerLostError('Worker exited prematurely: exitcode 3 Job: 14.')",
      ],
    },
    {
      outcome: 'killed',
      lines: [
        "ERROR/MainProcess Task handler raised error: WorkerLostError('Worker exited prematurely: signal 9 (SIGKILL) Job: 14.')",
      ],
    },
  ])('$outcome', async ({ outcome, lines }) => {
    const { id, request, settlement, log } = scene();
    await settlement.settle(request, outcomes[outcome], 14);
    expect(log.lines.map((line) => line.replace(id, 'ID'))).toEqual(lines);
  });

  test.each([
    [2, '2.0'],
    [0.00005, '5e-05'],
    [0.0001, '0.0001'],
    [12.5, '12.5'],
  ])('%d seconds are printed as Python prints them: %s', async (seconds, text) => {
    const { request, settlement, log } = scene();
    await settlement.settle(request, { ...outcomes.success, seconds }, 1);
    expect(log.lines[0]).toContain(`succeeded in ${text}s: 5`);
  });
});
