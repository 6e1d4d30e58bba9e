import { afterEach, describe, expect, it, vi } from 'vitest';
import { prepareCall } from '../../../src/app/call.ts';
import type { PreparedCall } from '../../../src/app/call.ts';
import { resolveTaskOptions } from '../../../src/app/annotations.ts';
import { runningTask } from '../../../src/app/current.ts';
import type { RunningTask } from '../../../src/app/current.ts';
import { Queues } from '../../../src/app/queues.ts';
import { Router } from '../../../src/app/routes.ts';
import { connectBackend } from '../../../src/backend/connect.ts';
import { Celery } from '../../../src/index.ts';
import type { ApplyOptions, Settings, TaskOptions } from '../../../src/index.ts';
import { resolveSettings } from '../../../src/settings/resolve.ts';

const NOW = Date.parse('2026-11-22T15:15:00.250Z');

interface Case {
  readonly settings?: Settings;
  readonly task?: TaskOptions | null;
  readonly options?: ApplyOptions;
}

function prepared({ settings: values = {}, task: options = {}, options: given = {} }: Case): PreparedCall {
  const settings = resolveSettings([{ origin: 'test', values }]);
  const definition = { name: 'proj.add', run: () => null, options: options ?? {} };
  const task = options === null ? undefined : new Celery('a').register(definition);
  return prepareCall(
    {
      name: 'proj.add',
      task,
      attributes: options === null ? undefined : resolveTaskOptions(definition, settings),
      args: [4, 4],
      options: given,
    },
    {
      settings,
      router: new Router(settings, new Queues(settings)),
      backend: connectBackend(undefined, {} as never),
      origin: 'gen7@host',
      oid: 'own-id',
    },
  );
}

vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
afterEach(() => vi.setSystemTime(NOW));

it('says by default what Celery says', () => {
  const { id, message, ignoreResult, parent, target } = prepared({});
  expect(message.headers).toMatchObject({
    task: 'proj.add',
    id,
    root_id: id,
    parent_id: null,
    eta: null,
    expires: null,
    retries: 0,
    timelimit: [null, null],
    argsrepr: '(4, 4)',
    kwargsrepr: '{}',
    origin: 'gen7@host',
    ignore_result: false,
    group: null,
    shadow: null,
  });
  expect(message.properties).toEqual({ correlationId: id, replyTo: 'own-id', deliveryMode: 2, priority: 0 });
  expect(JSON.parse(message.body.toString())).toEqual([
    [4, 4],
    {},
    { callbacks: null, errbacks: null, chain: null, chord: null },
  ]);
  expect({ ignoreResult, parent, exchange: target.exchange }).toEqual({
    ignoreResult: false,
    parent: undefined,
    exchange: '',
  });
});

describe('headers', () => {
  it.each<[string, Case, Record<string, unknown>]>([
    ['countdown', { options: { countdown: 10 } }, { eta: '2026-11-22T15:15:10.250000+00:00' }],
    ['countdown 0', { options: { countdown: 0 } }, { eta: null }],
    [
      'countdown in Oslo',
      { settings: { timezone: 'Europe/Oslo' }, options: { countdown: 2.5 } },
      { eta: '2026-11-22T16:15:02.750000+01:00' },
    ],
    [
      'eta',
      { options: { eta: new Date('2031-05-17T10:30:00Z') } },
      { eta: '2031-05-17T10:30:00.000000+00:00' },
    ],
    ['eta as text', { options: { eta: '2031-05-17T10:30:00-03:30' } }, { eta: '2031-05-17T10:30:00-03:30' }],
    ['expires', { options: { expires: 60 } }, { expires: '2026-11-22T15:16:00.250000+00:00' }],
    ['expires of the task', { task: { expires: 60 } }, { expires: '2026-11-22T15:16:00.250000+00:00' }],
    ['limits', { options: { timeLimit: 30, softTimeLimit: 20 } }, { timelimit: [30, 20] }],
    [
      'limits of the task',
      { task: { timeLimit: 30 }, settings: { task_soft_time_limit: 5 } },
      { timelimit: [30, null] },
    ],
    [
      'ids',
      { options: { taskId: 't', rootId: 'r', parentId: 'p', groupId: 'g', groupIndex: 2, retries: 3 } },
      { id: 't', root_id: 'r', parent_id: 'p', group: 'g', group_index: 2, retries: 3 },
    ],
    ['shadow', { options: { shadow: 'other' } }, { shadow: 'other' }],
    ['shadow of the task', { task: { shadow: 'other' } }, { shadow: 'other' }],
    ['own headers', { options: { headers: { tenant: 7 } } }, { tenant: 7 }],
    [
      'given reprs',
      { options: { argsrepr: '(***)', kwargsrepr: '{***}' } },
      { argsrepr: '(***)', kwargsrepr: '{***}' },
    ],
    ['ignoreResult', { options: { ignoreResult: true } }, { ignore_result: true }],
    ['task_ignore_result', { settings: { task_ignore_result: true } }, { ignore_result: true }],
    [
      'task_ignore_result of an unknown task',
      { settings: { task_ignore_result: true }, task: null },
      { ignore_result: false },
    ],
  ])('%s', (_, call, headers) => {
    expect(prepared(call).message.headers).toMatchObject(headers);
  });
});

describe('properties', () => {
  it.each<[string, Case, Record<string, unknown>]>([
    ['expires', { options: { expires: 60 } }, { expiration: '60000' }],
    ['expired', { options: { expires: -1 } }, { expiration: '0' }],
    ['priority', { options: { priority: 9 } }, { priority: 9 }],
    [
      'priority of the task',
      { task: { priority: 3 }, settings: { task_default_priority: 6 } },
      { priority: 3 },
    ],
    ['task_default_priority', { settings: { task_default_priority: 6 } }, { priority: 6 }],
    [
      'priority of a route before the default',
      { settings: { task_default_priority: 6, task_routes: { '*': { queue: 'q', priority: 1 } } } },
      { priority: 1 },
    ],
    ['a named queue of a known task', { options: { queue: 'video' } }, { priority: undefined }],
    ['a named queue of an unknown task', { options: { queue: 'video' }, task: null }, { priority: 0 }],
    ['deliveryMode', { options: { deliveryMode: 1 } }, { deliveryMode: 1 }],
    [
      'task_default_delivery_mode',
      { settings: { task_default_delivery_mode: 'transient' } },
      { deliveryMode: 1 },
    ],
    [
      'an exchange that is transient',
      { settings: { task_queues: { q: { exchange: 'x', delivery_mode: 1 } } }, options: { queue: 'q' } },
      { deliveryMode: 1 },
    ],
    ['replyTo', { options: { replyTo: 'mine' } }, { replyTo: 'mine' }],
  ])('%s', (_, call, properties) => {
    const found = prepared(call).message.properties as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(properties))
      expect([name, found[name]]).toEqual([name, value]);
  });
});

it('carries what follows the task', () => {
  const signature = { task: 'log', args: [], kwargs: {}, options: {}, subtask_type: null, immutable: false };
  const { message } = prepared({
    options: { link: signature, linkError: [signature, signature], kwargs: { k: 1 } },
  });
  expect(JSON.parse(message.body.toString())).toMatchObject([
    [4, 4],
    { k: 1 },
    { callbacks: [signature], errbacks: [signature, signature] },
  ]);
});

it('compresses as the task or the settings say', () => {
  expect(prepared({ settings: { task_compression: 'gzip' } }).message.headers.compression).toBe(
    'application/x-gzip',
  );
  expect(prepared({ task: { compression: 'zlib' } }).message.headers.compression).toBe('application/x-gzip');
});

describe('retries of publishing', () => {
  const usual = { maxRetries: 3, intervalStartMs: 0, intervalStepMs: 200, intervalMaxMs: 1000 };
  it.each<[string, Case, unknown]>([
    ['by default', {}, usual],
    ['off', { settings: { task_publish_retry: false } }, false],
    ['off for a call', { options: { retry: false } }, false],
    ['on for a call', { settings: { task_publish_retry: false }, options: { retry: true } }, usual],
    [
      'a policy',
      { settings: { task_publish_retry_policy: { max_retries: null, interval_step: 1 } } },
      { ...usual, maxRetries: null, intervalStepMs: 1000 },
    ],
    [
      'a policy of the call',
      { options: { retryPolicy: { maxRetries: 0, intervalMax: 5 } } },
      { ...usual, maxRetries: 0, intervalMaxMs: 5000 },
    ],
  ])('%s', (_, call, policy) => {
    expect(prepared(call).publish.retry).toEqual(policy);
  });
});

describe('inside a task', () => {
  const running = {
    id: 'outer',
    rootId: 'root',
    priority: 7,
    isEager: false,
    context: {},
    addChild: () => undefined,
  } as unknown as RunningTask;
  const inside = (call: Case): PreparedCall => runningTask.run(running, () => prepared(call));

  it('belongs to its workflow', () => {
    const { message, parent } = inside({});
    expect(message.headers).toMatchObject({ root_id: 'root', parent_id: 'outer' });
    expect([message.properties.priority, parent]).toEqual([0, running]);
  });

  it.each<[string, Case, number]>([
    ['takes its priority', {}, 7],
    ['but not over its own', { options: { priority: 2 } }, 2],
  ])('%s', (_, call, priority) => {
    const { message } = inside({ ...call, settings: { task_inherit_parent_priority: true } });
    expect(message.properties.priority).toBe(priority);
  });

  it('is no child of it without addToParent', () => {
    expect(inside({ options: { addToParent: false } }).parent).toBeUndefined();
  });
});

describe('an option that no call has is refused', () => {
  const app = new Celery('a', { broker: 'memory://' });
  app.markConfigured();
  const task = app.register({ name: 'proj.sub', run: () => null, options: {} });
  it.each([
    ['countdwn', ' Did you mean countdown?'],
    ['task_id', ' Did you mean taskId?'],
    ['routing_key', ' Did you mean routingKey?'],
    ['xyzzy', ''],
  ])('%s', async (name, hint) => {
    const options = { [name]: 1 } as ApplyOptions;
    const refusal = (method: string): TypeError =>
      new TypeError(`${method}() has no option '${name}'.${hint}`);
    await expect(task.applyAsync([], options)).rejects.toEqual(refusal('applyAsync'));
    await expect(app.sendTask('proj.other', [], options)).rejects.toEqual(refusal('sendTask'));
  });
});
