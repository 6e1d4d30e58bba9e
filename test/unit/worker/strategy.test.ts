import { describe, expect, test } from 'vitest';
import { EventDispatcher } from '../../../src/app/event-dispatcher.ts';
import { Celery } from '../../../src/app/celery.ts';
import { nullLogger } from '../../../src/core/logger.ts';
import type { Envelope } from '../../../src/message/message.ts';
import { buildTaskMessage } from '../../../src/message/protocol2.ts';
import { acceptedTypes } from '../../../src/message/registry.ts';
import type { Delivery } from '../../../src/transport/transport.ts';
import { createTracer } from '../../../src/app/trace.ts';
import { createSoloPool } from '../../../src/pool/solo.ts';
import { Errbacks } from '../../../src/worker/errbacks.ts';
import { BadMessages } from '../../../src/worker/bad-messages.ts';
import type { Request } from '../../../src/worker/request.ts';
import { Following } from '../../../src/worker/following.ts';
import { Results } from '../../../src/worker/results.ts';
import { WorkerState } from '../../../src/worker/state.ts';
import { Workflow } from '../../../src/worker/workflow.ts';
import { TaskEvents } from '../../../src/worker/task-events.ts';
import { Strategies } from '../../../src/worker/strategy.ts';

function scene() {
  const app = new Celery('tests', { backend: 'disabled://' });
  app.markConfigured();
  app.task('tasks.add', (x: number, y: number) => x + y);
  const accept = acceptedTypes(['json']);
  const state = new WorkerState();
  const logger = nullLogger;
  const results = new Results({
    backendFor: () => app.backend,
    hostname: 'celery@x',
    extended: false,
    logger,
  });
  const events = new TaskEvents(
    new EventDispatcher(app, { hostname: 'celery@x', taskEvents: false, logger }),
    logger,
  );
  const following = new Following({ app, hostname: 'celery@x', signal: new AbortController().signal });
  const pool = createSoloPool({ tracer: createTracer(app, { logger }), logger });
  const errbacks = new Errbacks({ app, pool, hostname: 'celery@x', logger });
  const workflow = new Workflow({ app, following, errbacks, results, accept, logger });
  const received: Request[] = [];
  const strategies = new Strategies(app.tasks.values(), {
    accept,
    state,
    bad: new BadMessages({ accept, logger, results, workflow, state, events }),
    logger,
    receive: (request) => {
      received.push(request);
    },
  });
  const verdicts: string[] = [];
  const deliver = (envelope: Envelope, redelivered = false): void => {
    strategies.onDelivery(
      {
        envelope,
        queue: 'celery',
        exchange: '',
        routingKey: 'celery',
        redelivered,
        ack: async () => void verdicts.push('ack'),
        reject: async ({ requeue }) => void verdicts.push(requeue ? 'requeue' : 'drop'),
      } satisfies Delivery,
      { open: true },
    );
  };
  return { state, received, verdicts, deliver };
}

function message(call: Partial<Parameters<typeof buildTaskMessage>[0]> = {}): Envelope {
  return buildTaskMessage({
    ...{ task: 'tasks.add', id: 'id-1', args: [1, 2], kwargs: {}, serializer: 'json', origin: 'test' },
    ...call,
  });
}

test('a message is read once, its body not at all', () => {
  const { received, deliver } = scene();
  const envelope = message({
    etaIso: '2030-01-01T00:00:00Z',
    expiresIso: '2031-01-01T00:00:00',
    headers: { a: 1 },
  });
  deliver(envelope);
  expect(received).toHaveLength(1);
  expect(received[0]).toMatchObject({
    id: 'id-1',
    label: 'tasks.add[id-1]',
    userHeaders: { a: 1 },
    etaMs: Date.UTC(2030, 0, 1),
    expiresMs: Date.UTC(2031, 0, 1),
  });
  expect(received[0]?.job('celery@x').body).toBe(envelope.body);
});

test('what arrives while the worker stops goes back', () => {
  const { state, received, verdicts, deliver } = scene();
  state.beginStop();
  deliver(message());
  expect(received).toEqual([]);
  expect(verdicts).toEqual(['requeue']);
});

describe('a message that is delivered again', () => {
  function running() {
    const all = scene();
    all.deliver(message());
    const [request] = all.received.splice(0);
    if (request === undefined) throw new Error('it was not received');
    all.state.accepted(request);
    return { ...all, request };
  }

  test('joins its run, which settles it', async () => {
    const { received, verdicts, deliver, request } = running();
    await request.settle('ack');
    deliver(message(), true);
    expect(received).toEqual([]);
    await request.settle('ack');
    expect(verdicts).toEqual(['ack', 'ack']);
  });

  test('is acknowledged at once when its run was, not at the end', () => {
    const { verdicts, deliver } = running();
    deliver(message(), true);
    expect(verdicts).toEqual(['ack']);
  });

  test.each([
    { verdict: 'ack', lost: true, runs: 0, verdicts: ['ack', 'ack'] },
    { verdict: 'drop', lost: true, runs: 0, verdicts: ['drop', 'drop'] },
    { verdict: 'requeue', lost: true, runs: 1, verdicts: ['requeue'] },
    { verdict: 'ack', lost: false, runs: 1, verdicts: ['ack'] },
  ] as const)(
    'after its $verdict was written, the channel then lost: $lost, runs $runs times more',
    async ({ verdict, lost, runs, verdicts: expected }) => {
      const { state, received, verdicts, deliver, request } = running();
      await request.settle(verdict);
      state.forget(request);
      if (lost) state.sessionLost();
      deliver(message(), true);
      expect(received).toHaveLength(runs);
      expect(verdicts).toEqual(expected);
    },
  );

  test('runs once more when its run, acknowledged too late, then gave it back', () => {
    const { state, received, deliver, request } = running();
    state.remember(request, 'ack');
    deliver(message(), true);
    state.forget(request);
    deliver(message(), true);
    expect(received).toHaveLength(1);
  });

  test.each([
    { what: 'is its next retry', call: { retries: 1 }, redelivered: true },
    { what: 'is not marked: somebody else sent that id', call: {}, redelivered: false },
    { what: 'is another task', call: { id: 'id-2' }, redelivered: true },
  ])('runs when it $what', ({ call, redelivered }) => {
    const { received, deliver } = running();
    deliver(message(call), redelivered);
    expect(received).toHaveLength(1);
  });

  test('runs when the one before has ended', () => {
    const { state, received, deliver, request } = running();
    state.forget(request);
    deliver(message(), true);
    expect(received).toHaveLength(1);
  });

  test.each(['ack', 'drop'] as const)('gets the %s that came too late for it', (verdict) => {
    const { state, received, verdicts, deliver, request } = running();
    state.remember(request, verdict);
    state.forget(request);
    deliver(message(), true);
    expect(received).toEqual([]);
    expect(verdicts).toEqual([verdict]);
    deliver(message(), true);
    expect(received).toHaveLength(1);
  });
});

test.each([
  { given: {}, limits: [undefined, undefined] },
  { given: { timeLimit: 60, softTimeLimit: 50 }, limits: [60, 50] },
])('time limits of the message: $given', ({ given, limits }) => {
  const { received, deliver } = scene();
  deliver(message(given));
  const job = received[0]?.job('celery@x');
  expect([job?.timeLimit, job?.softTimeLimit]).toEqual(limits);
});
