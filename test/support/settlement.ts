import { randomUUID } from 'node:crypto';
import { afterEach } from 'vitest';
import { EventDispatcher } from '../../src/app/event-dispatcher.ts';
import { Celery } from '../../src/app/celery.ts';
import type { TaskOptions } from '../../src/app/options.ts';
import { BackendStoreError } from '../../src/core/errors.ts';
import type { Envelope } from '../../src/message/message.ts';
import type { Outcome, RemoteError } from '../../src/message/outcome.ts';
import type { ResultMeta } from '../../src/message/result-meta.ts';
import { buildTaskMessage, parseTaskHeaders } from '../../src/message/protocol2.ts';
import { acceptedTypes, encodeValue } from '../../src/message/registry.ts';
import type { Delivery } from '../../src/transport/transport.ts';
import { createTracer } from '../../src/app/trace.ts';
import { createSoloPool } from '../../src/pool/solo.ts';
import { Errbacks } from '../../src/worker/errbacks.ts';
import { BadMessages } from '../../src/worker/bad-messages.ts';
import { Following } from '../../src/worker/following.ts';
import { Request } from '../../src/worker/request.ts';
import { Results } from '../../src/worker/results.ts';
import { Settlement } from '../../src/worker/settle.ts';
import { WorkerState } from '../../src/worker/state.ts';
import { TaskEvents } from '../../src/worker/task-events.ts';
import { TaskLog } from '../../src/worker/task-log.ts';
import { Workflow } from '../../src/worker/workflow.ts';
import { LogLines } from './log-lines.ts';

export const accept = acceptedTypes(['json']);
export type LateOptions = Omit<TaskOptions, 'bind'>;
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
export function scene({ task: options = {}, message = {}, broken = false }: SceneOptions = {}) {
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
export async function sent(app: Celery): Promise<Envelope[]> {
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

export const error: RemoteError = {
  type: 'ValueError',
  module: 'builtins',
  args: ['boom'],
  traceback: 'ValueError: boom\n    at x',
};
export const ran = { seconds: 0.0214, children: [], embed: null };
export const outcomes = {
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
