import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TaskOptions } from '../../../src/app/options.ts';
import { Celery } from '../../../src/app/celery.ts';
import { currentContext } from '../../../src/app/context.ts';
import { runningTask } from '../../../src/app/current.ts';
import type { RetryOptions, TaskContext } from '../../../src/app/request.ts';
import type { TraceJob } from '../../../src/app/run.ts';
import type { TraceHooks } from '../../../src/app/trace.ts';
import { createTracer } from '../../../src/app/trace.ts';
import { Ignore, Reject, SoftTimeLimitExceeded } from '../../../src/core/errors.ts';
import { nullLogger } from '../../../src/core/logger.ts';
import type { Embed, TaskHeaders } from '../../../src/message/message.ts';
import type { Outcome } from '../../../src/message/outcome.ts';
import { decodeValue } from '../../../src/message/registry.ts';

const NOTHING: Embed = { callbacks: null, errbacks: null, chain: null, chord: null };
const SIGNATURE = {
  task: 'tasks.log',
  args: [],
  kwargs: {},
  options: {},
  subtask_type: null,
  immutable: false,
};

interface Call {
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly embed?: Embed;
  readonly headers?: Partial<TaskHeaders>;
  readonly job?: Partial<TraceJob>;
  readonly hooks?: Partial<TraceHooks>;
}

function makeJob({ args = [], kwargs = {}, embed = NOTHING, headers, job }: Call): TraceJob {
  return {
    id: 'id-1',
    task: 'tasks.x',
    headers: {
      lang: 'py',
      task: 'tasks.x',
      id: 'id-1',
      shadow: null,
      eta: null,
      expires: null,
      group: null,
      group_index: null,
      retries: 0,
      timelimit: [9, null],
      root_id: 'root',
      parent_id: 'parent',
      argsrepr: '',
      kwargsrepr: '',
      origin: 'gen1@host',
      ignore_result: false,
      replaced_task_nesting: 0,
      stamped_headers: null,
      stamps: {},
      ...headers,
    },
    userHeaders: null,
    body: Buffer.from(JSON.stringify([args, kwargs, embed])),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    ignoreResult: headers?.ignore_result === true,
    deliveryInfo: { exchange: '', routing_key: 'celery', priority: 3 },
    replyTo: 'reply-queue',
    correlationId: 'id-1',
    hostname: 'w@host',
    ...job,
  };
}

type Function_ = (...args: never[]) => unknown;
type Options = Omit<TaskOptions, 'bind'> & { readonly bind?: boolean };

/** Runs one task `tasks.x` of an app of its own. */
async function trace(
  run: Function_,
  call: Call = {},
  options: Options = {},
  settings: ConstructorParameters<typeof Celery>[1] = {},
): Promise<Outcome> {
  const app = new Celery('test', settings);
  app.task('tasks.x', options as Options & { bind: true }, run as (self: TaskContext) => unknown);
  const tracer = createTracer(app, { logger: nullLogger });
  const hooks = { signal: new AbortController().signal, onState: () => Promise.resolve(), ...call.hooks };
  return tracer(makeJob(call), hooks);
}

function resultOf(outcome: Outcome): unknown {
  return outcome.kind === 'success' ? decodeValue(outcome.result) : outcome;
}

class Transient extends Error {}
class Permanent extends Transient {}

function thrower(error: unknown): () => never {
  return () => {
    throw error;
  };
}

describe('a task that returns', () => {
  it.each<[string, Function_, unknown, string]>([
    ['a number', () => 8, 8, '8'],
    ['a promise', () => sleep(1, 'late'), 'late', "'late'"],
    ['nothing', () => undefined, null, 'None'],
    ['null', () => null, null, 'None'],
    ['a boolean', () => true, true, 'True'],
    ['an object', () => ({ a: [1, 'x'] }), { a: [1, 'x'] }, "{'a': [1, 'x']}"],
    ['a date', () => new Date(0), new Date(0), ''],
    ['a long text', () => 'x'.repeat(5000), 'x'.repeat(5000), ''],
    ['a thenable', () => ({ then: (resolve: (value: number) => void) => resolve(4) }), 4, '4'],
  ])('%s', async (_, run, value, repr) => {
    const outcome = await trace(run);
    expect(resultOf(outcome)).toEqual(value);
    if (outcome.kind !== 'success') return;
    if (repr !== '') expect(outcome.repr).toBe(repr);
    expect(outcome.repr.length).toBeLessThan(1040);
    expect(outcome).toMatchObject({ children: [], embed: null });
    expect(outcome.seconds).toBeGreaterThanOrEqual(0);
    expect('call' in outcome).toBe(false);
  });

  it('binds arguments by place and by name', async () => {
    const add = (x: number, y: number) => x - y;
    expect(resultOf(await trace(add, { args: [5, 3] }))).toBe(2);
    expect(resultOf(await trace(add, { kwargs: { y: 3, x: 5 } }))).toBe(2);
    expect(resultOf(await trace((_: unknown, y: number) => y, { args: [7] }, { bind: true }))).toBe(7);
  });

  it('passes on what follows it as it came, and its arguments when the result shall tell them', async () => {
    const embed = {
      ...NOTHING,
      callbacks: [{ ...SIGNATURE, args: [{ __type__: 'date', __value__: '2026-01-01' }] }],
    };
    const outcome = await trace((x: number) => x, { args: [1], embed }, {}, { result_extended: true });
    if (outcome.kind !== 'success') throw new Error(outcome.kind);
    expect(JSON.parse(outcome.embed?.bytes.toString() ?? '')).toEqual(embed);
    expect(outcome.call?.args.bytes.toString()).toBe('[1]');
    expect(outcome.call?.kwargs.bytes.toString()).toBe('{}');
  });

  it.each<[string, Call, Options, string]>([
    ['wanted', {}, {}, 'failure'],
    ['ignored by the task', {}, { ignoreResult: true }, 'success'],
    ['ignored by the call', { headers: { ignore_result: true } }, {}, 'success'],
    [
      'ignored, but followed',
      { embed: { ...NOTHING, chain: [SIGNATURE] } },
      { ignoreResult: true },
      'failure',
    ],
  ])('a value that cannot be encoded: %s', async (_, call, options, kind) => {
    const outcome = await trace(() => () => 1, call, options);
    expect(outcome.kind).toBe(kind);
    if (outcome.kind === 'failure') {
      expect(outcome).toMatchObject({
        error: { type: 'EncodeError', module: 'kombu.exceptions' },
        expected: false,
      });
    }
  });

  it('remembers the tasks it sent', async () => {
    const outcome = await trace(() => {
      runningTask.getStore()?.addChild([['child', null], null]);
    });
    expect(outcome).toMatchObject({ children: [[['child', null], null]] });
  });
});

describe('a task that throws', () => {
  it.each<[string, unknown, Options, object]>([
    ['an error', new RangeError('boom'), {}, { repr: "RangeError('boom')", expected: false }],
    [
      'an expected one',
      new Permanent('x'),
      { throws: [Transient] },
      { repr: "Permanent('x')", expected: true },
    ],
    ['an unexpected one', new Transient('x'), { throws: [Permanent] }, { expected: false }],
    ['text', 'no error', {}, { repr: "Error('no error')", error: { type: 'Error', args: ['no error'] } }],
    ['nothing', undefined, {}, { error: { type: 'Error', args: [] } }],
  ])('%s', async (_, error, options, expected) => {
    expect(await trace(thrower(error), {}, options)).toMatchObject({ kind: 'failure', ...expected });
    const rejecting = async () => {
      await sleep(1);
      throw error;
    };
    expect(await trace(rejecting, {}, options)).toMatchObject({ kind: 'failure', ...expected });
  });

  it('Ignore and Reject, with any autoretryFor', async () => {
    const options = { autoretryFor: [Error] };
    expect(await trace(thrower(new Ignore()), {}, options)).toMatchObject({ kind: 'ignore', children: [] });
    expect(await trace(thrower(new Reject('no', true)), {}, options)).toMatchObject({
      kind: 'reject',
      reason: 'no',
      requeue: true,
      traceback: expect.stringContaining('trace.test.ts') as unknown,
    });
  });

  it.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    [
      'the reason',
      (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    ],
    ["Node's AbortError", (signal) => sleep(60_000, undefined, { signal })],
    ['throwIfAborted', async (signal) => sleep(20).then(() => signal.throwIfAborted())],
  ])('after its soft time limit: %s', async (_, wait) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new SoftTimeLimitExceeded()), 5);
    const run = (self: TaskContext) => wait(self.signal);
    const outcome = await trace(run, { hooks: { signal: abort.signal } }, { bind: true });
    expect(outcome).toMatchObject({ kind: 'failure', repr: 'SoftTimeLimitExceeded()' });
  });
});

describe('a message that cannot be run', () => {
  it.each<[string, Call, string]>([
    ['another task', { job: { task: 'tasks.y' } }, "NotRegistered('tasks.y')"],
    ['no JSON', { job: { body: Buffer.from('{') } }, 'DecodeError('],
    ['no task body', { job: { body: Buffer.from('5') } }, 'InvalidTaskError('],
    [
      'another content type',
      { job: { contentType: 'application/x-python-serialize' } },
      'ContentDisallowed(',
    ],
    ['a compression that is none', { job: { compression: 'application/x-gzip' } }, 'DecodeError('],
    ['too few arguments', { args: [1] }, 'TypeError('],
    ['too many arguments', { args: [1, 2, 3] }, 'TypeError('],
    ['an unknown name', { args: [1, 2], kwargs: { z: 1 } }, 'TypeError('],
  ])('%s', async (_, call, repr) => {
    const outcome = await trace((x: number, y: number) => x + y, call);
    expect(outcome.kind).toBe('failure');
    if (outcome.kind === 'failure') expect(outcome.repr.startsWith(repr)).toBe(true);
  });
});

describe('retry', () => {
  afterEach(() => vi.useRealTimers());

  async function retry(options?: RetryOptions, call: Call = {}, task: Options = {}): Promise<Outcome> {
    vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] });
    const run = (self: TaskContext): never => {
      throw self.retry(options);
    };
    return trace(run, call, { bind: true, ...task });
  }

  it.each<[string, RetryOptions | undefined, Options, string, number]>([
    ['by default', undefined, {}, 'Retry in 180s', 1_180_000],
    ["the task's delay", {}, { defaultRetryDelay: 7 }, 'Retry in 7s', 1_007_000],
    ['a countdown', { countdown: 5 }, {}, 'Retry in 5s', 1_005_000],
    ['at once', { countdown: 0 }, {}, 'Retry in 0s', 1_000_000],
    ['half a second', { countdown: 0.5 }, {}, 'Retry in 0.5s', 1_000_500],
    ['at a time', { eta: new Date(5_000_000) }, {}, 'Retry at 1970-01-01 01:23:20+00:00', 5_000_000],
    [
      'at a time in text',
      { eta: '1970-01-01T01:23:20' },
      {},
      'Retry at 1970-01-01 01:23:20+00:00',
      5_000_000,
    ],
    [
      'for an error',
      { exc: new RangeError('x'), countdown: 1 },
      {},
      "Retry in 1s: RangeError('x')",
      1_001_000,
    ],
    ['endlessly', { maxRetries: null, countdown: 1 }, { maxRetries: 0 }, 'Retry in 1s', 1_001_000],
  ])('%s', async (_, options, task, message, etaMs) => {
    const outcome = await retry(options, {}, task);
    expect(outcome).toMatchObject({ kind: 'retry', message, request: { etaMs, body: null } });
    if (outcome.kind === 'retry') expect(outcome.error === null).toBe(options?.exc === undefined);
  });

  it('runs with other arguments, followed by the same', async () => {
    const embed = { ...NOTHING, errbacks: [SIGNATURE] };
    const outcome = await retry(
      { args: [2], queue: 'slow', routingKey: 'k', link: SIGNATURE },
      { args: [], kwargs: {}, embed },
    );
    if (outcome.kind !== 'retry') throw new Error(JSON.stringify(outcome));
    const { body, options } = outcome.request;
    expect(options).toEqual({ queue: 'slow', routing_key: 'k' });
    expect(JSON.parse(body?.value.bytes.toString() ?? '')).toEqual([
      [2],
      {},
      { ...embed, callbacks: [SIGNATURE] },
    ]);
    expect(body).toMatchObject({ argsrepr: '(2,)', kwargsrepr: '{}' });
  });

  it.each<[string, RetryOptions, Options, number, string]>([
    ['3 by default', {}, {}, 3, 'MaxRetriesExceededError("Can\'t retry tasks.x[id-1] args:() kwargs:{}")'],
    ["the task's", {}, { maxRetries: 1 }, 1, 'MaxRetriesExceededError('],
    ["the call's", { maxRetries: 0 }, {}, 0, 'MaxRetriesExceededError('],
    ['with the error', { exc: new RangeError('x') }, {}, 3, "RangeError('x')"],
  ])('ends when retries are used up: %s', async (_, options, task, retries, repr) => {
    expect((await retry(options, { headers: { retries: retries - 1 } }, task)).kind).toBe('retry');
    const outcome = await retry(options, { headers: { retries } }, task);
    expect(outcome.kind).toBe('failure');
    if (outcome.kind === 'failure') expect(outcome.repr.startsWith(repr)).toBe(true);
  });
});

describe('autoretryFor', () => {
  const message = (outcome: Outcome) => (outcome.kind === 'retry' ? outcome.message : outcome.kind);

  it.each<[string, Options, number, string]>([
    ['the class', { autoretryFor: [Permanent] }, 0, "Retry in 180s: Permanent('x')"],
    ['a parent', { autoretryFor: [Transient] }, 0, "Retry in 180s: Permanent('x')"],
    ['another', { autoretryFor: [TypeError] }, 0, 'failure'],
    ['the class, but not it', { autoretryFor: [Error], dontAutoretryFor: [Permanent] }, 0, 'failure'],
    [
      'a countdown',
      { autoretryFor: [Error], retryKwargs: { countdown: 9 } },
      0,
      "Retry in 9s: Permanent('x')",
    ],
    ['its own maximum', { autoretryFor: [Error], retryKwargs: { maxRetries: 1 } }, 1, 'failure'],
    [
      'back-off 0',
      { autoretryFor: [Error], retryBackoff: true, retryJitter: false },
      0,
      "Retry in 1s: Permanent('x')",
    ],
    [
      'back-off 2',
      { autoretryFor: [Error], retryBackoff: 3, retryJitter: false },
      2,
      "Retry in 12s: Permanent('x')",
    ],
    [
      'back-off cut',
      { autoretryFor: [Error], retryBackoff: true, retryJitter: false, retryBackoffMax: 3, maxRetries: 9 },
      5,
      "Retry in 3s: Permanent('x')",
    ],
  ])('%s', async (_, options, retries, expected) => {
    const outcome = await trace(thrower(new Permanent('x')), { headers: { retries } }, options);
    expect(message(outcome)).toBe(expected);
    if (outcome.kind === 'failure') expect(outcome.repr).toBe("Permanent('x')");
  });

  it('spreads the back-off between 0 and its length', async () => {
    const options = { autoretryFor: [Error], retryBackoff: 4, maxRetries: null };
    const waits = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const outcome = await trace(thrower(new Error('x')), { headers: { retries: 1 } }, options);
        return Number(/in (\d+)s/.exec(message(outcome))?.[1]);
      }),
    );
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...waits)).toBeLessThanOrEqual(8);
    expect(new Set(waits).size).toBeGreaterThan(2);
  });
});

describe('self', () => {
  it('knows the request', async () => {
    const outcome = await trace(
      (self: TaskContext) => {
        const { children, ...request } = self.request;
        return { ...request, name: self.name, main: self.app.main, children: children.length };
      },
      { headers: { retries: 2, group: 'g', group_index: 1 }, job: { userHeaders: { tenant: 7 } } },
      { bind: true },
    );
    expect(resultOf(outcome)).toMatchObject({
      id: 'id-1',
      task: 'tasks.x',
      name: 'tasks.x',
      main: 'test',
      args: [],
      kwargs: {},
      retries: 2,
      rootId: 'root',
      parentId: 'parent',
      group: 'g',
      groupIndex: 1,
      timeLimit: [9, null],
      deliveryInfo: { routing_key: 'celery', priority: 3 },
      replyTo: 'reply-queue',
      correlationId: 'id-1',
      headers: { tenant: 7 },
      hostname: 'w@host',
      isEager: false,
      calledDirectly: false,
      callbacks: null,
    });
  });

  it('is the current context, across awaits, and nobody is outside', async () => {
    const run = async (self: TaskContext) => {
      const before = currentContext() === self;
      await sleep(1);
      return [before, currentContext() === self];
    };
    expect(resultOf(await trace(run, {}, { bind: true }))).toEqual([true, true]);
    expect(currentContext()).toBeUndefined();
  });

  it('stores states, and waits for them', async () => {
    const log: unknown[] = [];
    const onState: TraceHooks['onState'] = async ({ meta, ...update }) => {
      await sleep(5);
      log.push({ ...update, meta: decodeValue(meta) });
    };
    const run = async (self: TaskContext) => {
      await self.updateState('PROGRESS', { current: 1 });
      log.push('after');
      await self.updateState('BUSY');
    };
    await trace(run, { hooks: { onState } }, { bind: true });
    expect(log).toEqual([
      { taskId: 'id-1', state: 'PROGRESS', meta: { current: 1 } },
      'after',
      { taskId: 'id-1', state: 'BUSY', meta: null },
    ]);
  });

  it('does not ask for a signal before the task does', async () => {
    const hooks = {
      get signal(): AbortSignal {
        throw new Error('asked');
      },
      onState: () => Promise.resolve(),
    };
    const app = new Celery('test');
    app.task('tasks.x', { bind: true }, () => 1);
    const tracer = createTracer(app, { logger: nullLogger });
    expect((await tracer(makeJob({}), hooks)).kind).toBe('success');
  });
});

it('a guard decides how the run ended', async () => {
  const guard = () => Promise.reject(new TypeError('escaped'));
  expect(await trace(() => 1, { hooks: { guard } })).toMatchObject({
    kind: 'failure',
    repr: "TypeError('escaped')",
  });
});
