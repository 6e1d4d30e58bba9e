import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EventDispatcher } from '../../../src/app/event-dispatcher.ts';
import { Celery } from '../../../src/app/celery.ts';
import type { TaskOptions } from '../../../src/app/options.ts';
import { BackendStoreError } from '../../../src/core/errors.ts';
import type { Envelope } from '../../../src/message/message.ts';
import type { Outcome, RemoteError } from '../../../src/message/outcome.ts';
import type { ResultMeta } from '../../../src/message/result-meta.ts';
import { buildTaskMessage, parseTaskHeaders } from '../../../src/message/protocol2.ts';
import { acceptedTypes, decodeBody, encodeValue } from '../../../src/message/registry.ts';
import type { Delivery } from '../../../src/transport/transport.ts';
import { createTracer } from '../../../src/app/trace.ts';
import { createSoloPool } from '../../../src/pool/solo.ts';
import { Errbacks } from '../../../src/worker/errbacks.ts';
import { BadMessages } from '../../../src/worker/bad-messages.ts';
import { Following } from '../../../src/worker/following.ts';
import { Request } from '../../../src/worker/request.ts';
import { Results } from '../../../src/worker/results.ts';
import { Settlement } from '../../../src/worker/settle.ts';
import { WorkerState } from '../../../src/worker/state.ts';
import { TaskEvents } from '../../../src/worker/task-events.ts';
import { TaskLog } from '../../../src/worker/task-log.ts';
import { Workflow } from '../../../src/worker/workflow.ts';
import { resultMeta } from '../../contract/backend-suite.ts';
import { LogLines } from '../../support/log-lines.ts';

const accept = acceptedTypes(['json']);
type LateOptions = Omit<TaskOptions, 'bind'>;
const own = new Set<AsyncDisposable>();

afterEach(async () => {
  for (const resource of own) await resource[Symbol.asyncDispose]();
  own.clear();
});

interface SceneOptions {
  readonly task?: LateOptions;
  readonly message?: Partial<Parameters<typeof buildTaskMessage>[0]>;
  /** The backend fails. */
  readonly broken?: boolean;
}

/** One request of an app on brokers of its own, with everything that its settlement touches. */
function scene({ task: options = {}, message = {}, broken = false }: SceneOptions = {}) {
  const app = new Celery('tests', {
    broker: `memory://${randomUUID()}`,
    backend: `cache+memory://${randomUUID()}`,
  });
  app.markConfigured();
  own.add(app);
  const task = app.task('tasks.add', options, (x: number, y: number) => x + y);
  const id = randomUUID();
  const envelope = buildTaskMessage({
    task: 'tasks.add',
    id,
    args: [2, 3],
    kwargs: {},
    serializer: 'json',
    origin: 'gen1@client',
    ...message,
  });
  const verdicts: string[] = [];
  const stored: ResultMeta[] = [];
  const log = new LogLines();
  const state = new WorkerState();
  const { logger } = log;
  const backendFor = (): typeof app.backend => {
    const { backend } = app;
    return Object.assign(Object.create(backend) as typeof backend, {
      store: async (meta: ResultMeta) => {
        if (broken) throw new BackendStoreError('the backend is down');
        verdicts.push(`store ${meta.status}`);
        stored.push(meta);
        await backend.store(meta);
      },
    });
  };
  const results = new Results({ backendFor, hostname: 'celery@here', extended: false, logger });
  const events = new TaskEvents(
    new EventDispatcher(app, { hostname: 'celery@here', taskEvents: false, logger }),
    logger,
  );
  const { signal } = new AbortController();
  const following = new Following({ app, hostname: 'celery@here', signal });
  const pool = createSoloPool({ tracer: createTracer(app, { logger }), logger });
  const errbacks = new Errbacks({ app, pool, hostname: 'celery@here', logger });
  const workflow = new Workflow({ app, following, errbacks, results, accept, logger });
  const bad = new BadMessages({ accept, logger, results, workflow, state, events });
  const settlement = new Settlement({
    ...{ results, following, workflow, bad, log: new TaskLog(logger), events, logger },
    stopping: state.stopSignal,
  });
  const again = (redelivered = false): Request =>
    new Request({
      options: task.options,
      ...parseTaskHeaders(envelope.headers),
      envelope,
      delivery: { ...recorded(envelope, verdicts), redelivered },
      session: { open: true },
      etaMs: undefined,
      compression: undefined,
      expiresMs: undefined,
      missed: state,
      logger,
    });
  const request = again();
  request.process = { pid: 7, name: 'ForkPoolWorker-1' };
  if (!request.acksLate) void request.settle('ack');
  verdicts.length = 0;
  return { app, id, request, again, settlement, verdicts, stored, log, state };
}

function recorded(envelope: Envelope, verdicts: string[]): Delivery {
  return {
    envelope,
    queue: 'celery',
    exchange: '',
    routingKey: 'celery',
    redelivered: false,
    ack: async () => void verdicts.push('ack'),
    reject: async ({ requeue }) => void verdicts.push(requeue ? 'requeue' : 'drop'),
  };
}

/** What waits in the queue now. */
async function sent(app: Celery): Promise<Envelope[]> {
  const connection = await app.transport().connect(new AbortController().signal);
  const channel = await connection.openChannel();
  const messages: Envelope[] = [];
  for (;;) {
    const delivery = await channel.get('celery', { noAck: true });
    if (delivery === undefined) break;
    messages.push(delivery.envelope);
  }
  await connection[Symbol.asyncDispose]();
  return messages;
}

const error: RemoteError = {
  type: 'ValueError',
  module: 'builtins',
  args: ['boom'],
  traceback: 'ValueError: boom\n    at x',
};
const ran = { seconds: 0.0214, children: [], embed: null };
const outcomes = {
  success: { kind: 'success', ...ran, result: encodeValue(5, 'json'), repr: '5' },
  failure: { kind: 'failure', ...ran, error, expected: false, repr: "ValueError('boom')" },
  expected: { kind: 'failure', ...ran, error, expected: true, repr: "ValueError('boom')" },
  retry: {
    kind: 'retry',
    ...ran,
    error,
    message: "Retry in 1s: ValueError('boom')",
    request: { etaMs: Date.UTC(2030, 0, 1), body: null, options: {} },
  },
  ignore: { kind: 'ignore', ...ran },
  reject: { kind: 'reject', ...ran, requeue: false, reason: 'no way', traceback: 'Reject: no way' },
  rejectRequeue: { kind: 'reject', ...ran, requeue: true, reason: 'later', traceback: null },
  timeout: { kind: 'timeout', seconds: 5 },
  terminated: { kind: 'terminated', signal: 'SIGTERM' },
  lost: { kind: 'lost', exitCode: 3, signal: null },
  killed: { kind: 'lost', exitCode: null, signal: 'SIGKILL' },
} satisfies Record<string, Outcome>;

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

describe('the next run', () => {
  test('is the message of this one with one retry more, its time, and itself as parent', async () => {
    const { app, id, request, settlement, stored } = scene({
      message: {
        headers: { 'x-tenant': 'acme' },
        priority: 4,
        timeLimit: 60,
        softTimeLimit: 50,
        shadow: 'fl',
        replyTo: 'r',
      },
    });
    await settlement.settle(request, outcomes.retry, 1);
    const [next, ...others] = await sent(app);
    expect(others).toEqual([]);
    expect(next?.body.equals(request.envelope.body)).toBe(true);
    expect(next?.headers).toEqual({
      ...request.envelope.headers,
      retries: 1,
      eta: '2030-01-01T00:00:00.000000+00:00',
      parent_id: id,
      root_id: id,
      origin: `gen${process.pid}@here`,
    });
    expect(next?.properties).toMatchObject({ correlationId: id, replyTo: 'r', priority: 4, deliveryMode: 2 });
    expect(stored[0]?.children).toEqual([[[id, null], null]]);
  });

  test('keeps its parent, and takes over what retry() changed', async () => {
    const { app, request, settlement } = scene({
      message: { parentId: 'p', rootId: 'r', expiresIso: '2030-01-02T00:00:00Z', expirationMs: 1000 },
    });
    const value = encodeValue([[9], { k: 1 }, {}], 'json');
    await settlement.settle(
      request,
      {
        ...outcomes.retry,
        request: {
          etaMs: Date.UTC(2030, 0, 1),
          body: { value, argsrepr: '(9,)', kwargsrepr: "{'k': 1}" },
          options: { priority: 7, headers: { a: 1 }, time_limit: 9, shadow: 's' },
        },
      },
      1,
    );
    const [next] = await sent(app);
    expect(decodeBody(next ?? request.envelope, accept)).toEqual([[9], { k: 1 }, {}]);
    expect(next?.headers).toMatchObject({
      parent_id: 'p',
      root_id: 'r',
      retries: 1,
      argsrepr: '(9,)',
      kwargsrepr: "{'k': 1}",
      timelimit: [9, null],
      shadow: 's',
      a: 1,
      expires: '2030-01-02T00:00:00Z',
    });
    expect(next?.properties.priority).toBe(7);
    expect(Number(next?.properties.expiration)).toBeGreaterThan(0);
  });

  test.each([
    ['had none: a chord waits for it', { expiresIso: '2030-01-02T00:00:00Z' }, {}, undefined],
    ['is a member of a group', { group: 'g' }, { expires: 60 }, undefined],
    ['has neither', {}, { expires: 60 }, expect.stringMatching(/^[56]\d{4}$/)],
  ])(
    'may be dropped by the broker when it expires, or not: it %s',
    async (_, message, options, expiration) => {
      const { app, request, settlement } = scene({ message });
      const again = { ...outcomes.retry, request: { etaMs: 0, body: null, options } };
      await settlement.settle(request, again, 1);
      const [next] = await sent(app);
      expect(next?.properties.expiration).toEqual(expiration);
    },
  );

  test('goes to another queue when retry() names one', async () => {
    const { app, request, settlement } = scene();
    await settlement.settle(
      request,
      { ...outcomes.retry, request: { etaMs: 0, body: null, options: { queue: 'celery' } } },
      1,
    );
    expect(await sent(app)).toHaveLength(1);
  });
});

describe('what follows', () => {
  const signature = (task: string, args: unknown[], more: object = {}) => ({
    ...{ task, args, kwargs: {}, options: {}, subtask_type: null, immutable: false },
    ...more,
  });
  const embed = (parts: object) =>
    encodeValue({ callbacks: null, errbacks: null, chain: null, chord: null, ...parts }, 'json');

  test('callbacks and the next step of the chain are sent with the result before it is stored', async () => {
    const { app, id, request, settlement, stored, verdicts } = scene({
      task: late,
      message: { replyTo: 'client' },
    });
    const last = signature('tasks.last', [], { options: { task_id: 'step-3' } });
    await settlement.settle(
      request,
      {
        ...outcomes.success,
        children: [[['child', null], null]],
        embed: embed({
          callbacks: [signature('tasks.log', [10]), signature('tasks.quiet', [1], { immutable: true })],
          chain: [last, signature('tasks.next', [8], { options: { task_id: 'step-2', priority: 3 } })],
        }),
      },
      1,
    );
    const messages = await sent(app);
    const bodies = messages.map((message) => [
      message.headers.task,
      ...(decodeBody(message, accept) as [unknown, unknown, { chain: unknown }]),
    ]);
    const none = { callbacks: null, errbacks: null, chain: null, chord: null };
    expect(bodies).toEqual(
      expect.arrayContaining([
        ['tasks.log', [5, 10], {}, none],
        ['tasks.quiet', [1], {}, none],
        [
          'tasks.next',
          [5, 8],
          {},
          { ...none, chain: [{ ...last, options: { task_id: 'step-3', reply_to: 'client' } }] },
        ],
      ]),
    );
    for (const message of messages) {
      expect(message.headers).toMatchObject({ root_id: id, parent_id: id });
      expect(message.properties.replyTo).toBe('client');
    }
    const step = messages.find((message) => message.headers.task === 'tasks.next');
    expect(step?.headers.id).toBe('step-2');
    expect(step?.properties.priority).toBe(3);
    // A call, a group of two callbacks, the next step.
    expect(stored[0]?.children?.map(([, members]) => members?.length)).toEqual([undefined, 2, undefined]);
    expect(stored[0]?.children).toContainEqual([['step-2', null], null]);
    expect(verdicts).toEqual(['store SUCCESS', 'ack']);
  });

  test.each([
    ['has no state yet', false, true, 2],
    ['has run', true, true, 1],
    ['has run, but nobody has died', true, false, 2],
  ])('the body of a chord whose last member comes again: it %s', async (_, hasRun, redelivered, bodies) => {
    const member = { group: 'group', groupIndex: 0 };
    const { app, again, settlement } = scene({ task: late, message: member });
    const chord = signature('tasks.body', [], { options: { task_id: 'body' } });
    const outcome = { ...outcomes.success, embed: embed({ chord }) };
    for (const delivered of [false, redelivered]) {
      // The second time the worker died before it could note that it had sent the body.
      await app.backend.startChord('group', 1);
      await settlement.settle(again(delivered), outcome, 1);
      if (hasRun) await app.backend.store(resultMeta('body', 'SUCCESS', 5));
    }
    const messages = await sent(app);
    expect(messages.map(({ headers }) => headers.id)).toEqual(Array.from({ length: bodies }, () => 'body'));
  });

  test('error callbacks get the id of the failed task; the chain ends', async () => {
    const { app, id, request, settlement } = scene();
    await settlement.settle(
      request,
      {
        ...outcomes.failure,
        embed: embed({ errbacks: [signature('tasks.alarm', ['x'])], chain: [signature('tasks.next', [])] }),
      },
      1,
    );
    const messages = await sent(app);
    expect(messages.map((message) => message.headers.task)).toEqual(['tasks.alarm']);
    expect((decodeBody(messages[0] as Envelope, accept) as unknown[])[0]).toEqual([id, 'x']);
  });

  test.each<[keyof typeof outcomes, object, string]>([
    ['failure', {}, 'ValueError'],
    ['timeout', {}, 'TimeLimitExceeded'],
    ['lost', {}, 'WorkerLostError'],
    ['failure', { ignoreResult: true }, 'nothing'],
  ])('the rest of the chain fails too: %s, %o', async (outcome, message, type) => {
    const step = (id: string, more: object) => signature(id, [], { options: { task_id: id, ...more } });
    const chain = [step('step-3', { group_id: 'g' }), step('step-2', {}), signature('celery.group', [])];
    const parts = { callbacks: null, errbacks: null, chain, chord: null };
    const { request, settlement, stored } = scene({ message: { embed: parts, ...message } });
    await settlement.settle(request, { ...outcomes[outcome], embed: embed(parts) } as Outcome, 1);
    const rest = stored
      .slice(1)
      .map(({ taskId, status, groupId, error }) => [taskId, status, groupId, error?.type]);
    expect(rest).toEqual(
      type === 'nothing'
        ? []
        : [
            ['step-2', 'FAILURE', null, type],
            ['step-3', 'FAILURE', 'g', type],
          ],
    );
  });

  test.each(['timeout', 'lost'] as const)(
    'also after %s, when nobody has read the message',
    async (outcome) => {
      const { app, request, settlement } = scene({
        message: {
          embed: { callbacks: null, errbacks: [signature('tasks.alarm', [])], chain: null, chord: null },
        },
      });
      await settlement.settle(request, outcomes[outcome], 1);
      expect((await sent(app)).map((message) => message.headers.task)).toEqual(['tasks.alarm']);
    },
  );

  test('a callback whose arguments do not fit is sent all the same: it is the one to fail', async () => {
    const { app, request, settlement, verdicts } = scene();
    const callbacks = [signature('tasks.add', [1, 2, 3])];
    await settlement.settle(request, { ...outcomes.success, embed: embed({ callbacks }) }, 1);
    expect(await sent(app)).toHaveLength(1);
    expect(verdicts).toEqual(['store SUCCESS']);
  });

  test('a follow-up that can never be sent fails the task instead of repeating it', async () => {
    const { request, settlement, verdicts, stored, log } = scene({ task: late });
    const callbacks = [signature('tasks.log', [], { options: { serializer: 'nonesuch' } })];
    await settlement.settle(request, { ...outcomes.success, embed: embed({ callbacks }) }, 1);
    expect(verdicts).toEqual(['store FAILURE', 'ack']);
    expect(stored[0]?.error?.type).toBe('ImproperlyConfigured');
    expect(log.matching(/could not be recorded/)).toHaveLength(1);
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
