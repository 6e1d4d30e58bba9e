import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ApplyOptions } from '../../src/app/options.ts';
import type { AsyncResult } from '../../src/app/result.ts';
import type { Cluster } from '../support/interop-cluster.ts';

/** What the TypeScript client does, and what comes of it. */
export type Case = readonly [name: string, run: (cluster: Cluster) => Promise<unknown>, expected: unknown];

const text = (pattern: RegExp): unknown => expect.stringMatching(pattern);

const send = (cluster: Cluster, name: string, args: unknown[] = [], options: ApplyOptions = {}) =>
  cluster.client.sendTask(name, args, options);

const call =
  (name: string, args: unknown[] = [], options: ApplyOptions = {}) =>
  async (cluster: Cluster) =>
    (await send(cluster, name, args, options)).get({ timeout: 20 });

/** The error of a failed task as a caller sees it. */
async function outcome(result: AsyncResult): Promise<unknown> {
  try {
    return await result.get({ timeout: 20 });
  } catch (error) {
    const { name, message, args, module } = error as Error & { args?: unknown[]; module?: string };
    return { class: (error as Error).constructor.name, name, message, args, module };
  }
}

const failure =
  (name: string, args: unknown[] = [], options: ApplyOptions = {}) =>
  async (cluster: Cluster) =>
    outcome(await send(cluster, name, args, options));

const error = (
  type: string,
  message: unknown,
  module: string,
  args: unknown = [message],
  kind = 'Error',
) => ({
  ...{ class: kind, name: type, message, args, module },
});

/** All states that the client hears of, with what goes with each. */
async function states(result: AsyncResult): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const { state, info } of result.updates()) {
    seen.push([state, info instanceof Error ? info.message : info]);
  }
  return seen;
}

/** Our value and `repr()` of it in a Python worker. */
const VALUES: readonly (readonly [value: unknown, repr: string])[] = [
  [null, 'None'],
  [[true, false], '[True, False]'],
  [[0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER], '[0, -1, 9007199254740991, -9007199254740991]'],
  [2n ** 53n + 1n, '9007199254740993'],
  [-(2n ** 63n), '-9223372036854775808'],
  [[0.1, 1e300, -2.5, 5e-324], '[0.1, 1e+300, -2.5, 5e-324]'],
  [[Infinity, -Infinity, NaN], '[inf, -inf, nan]'],
  [['', 'ø 🎉 \u2028 \x00 "', '𝒳'], `['', 'ø 🎉 \\u2028 \\x00 "', '𝒳']`],
  [{ '': [], a: { b: [1, { c: null }] } }, `{'': [], 'a': {'b': [1, {'c': None}]}}`],
  [JSON.parse('{"__proto__": 1, "constructor": 2}'), `{'__proto__': 1, 'constructor': 2}`],
];

const values: Case[] = ['json', 'msgpack', 'yaml'].flatMap((serializer): Case[] => {
  const all = (name: string) => (cluster: Cluster) =>
    Promise.all(VALUES.map(([value]) => call(name, [value], { serializer })(cluster)));
  return [
    [`${serializer}: Python’s worker sees what we sent`, all('py.kind'), VALUES.map(([, repr]) => repr)],
    [`${serializer}: and gives it back`, all('py.echo'), VALUES.map(([value]) => value)],
  ];
});

const WHEN = new Date('2030-01-02T03:04:05.678Z');

const typed: Case[] = [
  ['json: an integer of 100 bits', call('py.kind', [2n ** 100n]), String(2n ** 100n)],
  [
    'json: a Date and bytes are kombu’s extras (read by 5.3 and later)',
    call('py.kind', [[WHEN, Buffer.from('ø')]]),
    text(/'__type__': 'datetime'.*2030-01-02T03:04:05.678.*'__type__': 'bytes'/),
  ],
  [
    'json-plain: a Date is text, as kombu 5.2 writes it',
    call('py.kind', [[WHEN, new Date('2030-01-02T03:04:05Z')]], { serializer: 'json-plain' }),
    "['2030-01-02T03:04:05.678000Z', '2030-01-02T03:04:05Z']",
  ],
  [
    'msgpack: bytes and dates',
    call('py.kind', [[Buffer.from([0xff, 0]), WHEN]], { serializer: 'msgpack' }),
    text(/^\[b'\\xff\\x00', Timestamp\(seconds=1893553445, nanoseconds=678000000\)\]$/),
  ],
  [
    'yaml: bytes and dates',
    call('py.kind', [[Buffer.from([0xff, 0]), WHEN]], { serializer: 'yaml' }),
    text(
      /^\[b'\\xff\\x00', datetime\.datetime\(2030, 1, 2, 3, 4, 5, 678000, tzinfo=datetime\.timezone\.utc\)\]$/,
    ),
  ],
  ['undefined is left out of objects', call('py.kind', [[undefined, { a: undefined }]]), '[None, {}]'],
  [
    'a value without a form is refused by the sender',
    (cluster) => call('py.kind', [() => 1])(cluster).catch((e: unknown) => (e as Error).name),
    'EncodeError',
  ],
  [
    'results: numbers',
    (cluster) => Promise.all(['nan', 'big', 'tuple'].map((what) => call('py.give', [what])(cluster))),
    [NaN, 2n ** 53n + 1n, [1, 2]],
  ],
  ...['gzip', 'bzip2'].map((compression): Case => [
    `compressed: ${compression}`,
    call('py.echo', ['x'.repeat(10_000)], { compression }),
    'x'.repeat(10_000),
  ]),
];

const args: Case[] = [
  ['positional', call('py.add', [1, 2]), 3],
  ['by name', call('py.add', [], { kwargs: { y: 2, x: 1 } }), 3],
  [
    'one of each, and a default',
    async (cluster) => [
      await call('py.add', [1], { kwargs: { y: 2 } })(cluster),
      await call('py.add', [1])(cluster),
    ],
    [3, 11],
  ],
  ['any', call('py.call', [1, 'a'], { kwargs: { k: null } }), [[1, 'a'], { k: null }]],
  [
    'missing',
    failure('py.add'),
    error(
      'TypeError',
      text(/missing 1 required positional argument: 'x'/),
      'builtins',
      expect.any(Array),
      'TypeError',
    ),
  ],
  [
    'unknown name',
    failure('py.add', [1], { kwargs: { z: 1 } }),
    error('TypeError', text(/unexpected keyword argument 'z'/), 'builtins', expect.any(Array), 'TypeError'),
  ],
];

const errors: Case[] = [
  [
    'TypeError is JavaScript’s',
    failure('py.fail', ['TypeError', 'why ø']),
    error('TypeError', 'why ø', 'builtins', ['why ø'], 'TypeError'),
  ],
  ...['ValueError', 'RuntimeError', 'ZeroDivisionError'].map((name): Case => [
    name,
    failure('py.fail', [name, 'why']),
    error(name, 'why', 'builtins', ['why'], expect.any(String) as unknown as string),
  ]),
  ['KeyError', failure('py.fail', ['KeyError', 'k']), error('KeyError', text(/^'?k'?$/), 'builtins', ['k'])],
  [
    'several arguments',
    failure('py.fail', ['ValueError', 'boom', 1]),
    error('ValueError', `('boom', 1)`, 'builtins', ['boom', 1]),
  ],
  ['without arguments', failure('py.fail', ['ValueError']), error('ValueError', '', 'builtins', [])],
  [
    'a class of the user',
    failure('py.fail', ['Custom', 'mine']),
    error('Custom', 'mine', 'py_tasks', ['mine']),
  ],
  [
    'an unknown task',
    failure('py.unknown'),
    {
      class: 'NotRegistered',
      name: 'NotRegistered',
      message: text(/py\.unknown/),
      args: expect.any(Array) as unknown,
      module: 'celery.exceptions',
    },
  ],
  [
    'state, traceback and `raise … from …`',
    async (cluster) => {
      const result = await send(cluster, 'py.caused');
      const thrown = (await result.get({ timeout: 20, propagate: false })) as Error & { traceback: string };
      return [
        await result.state(),
        thrown.traceback === (await result.traceback()),
        thrown.traceback
          .split('\n')
          .filter((line) => /Error|direct cause/.test(line) && !line.startsWith(' ')),
      ];
    },
    [
      'FAILURE',
      true,
      [
        `KeyError: 'absent'`,
        'The above exception was the direct cause of the following exception:',
        'ValueError: outer',
      ],
    ],
  ],
];

const lives: Case[] = [
  ['retries', call('py.flaky', [2]), 2],
  [
    'the state RETRY and its error',
    async (cluster) => states(await send(cluster, 'py.flaky', [1])),
    [
      ['RETRY', 'not yet'],
      ['SUCCESS', 1],
    ],
  ],
  ['retries used up, with an error', failure('py.hopeless'), error('ValueError', 'never', 'builtins')],
  [
    'retries used up, without',
    failure('py.hopeless', [false]),
    {
      class: 'MaxRetriesExceededError',
      name: 'MaxRetriesExceededError',
      message: text(/^Can't retry py\.hopeless\[/),
      args: expect.any(Array) as unknown,
      module: 'celery.exceptions',
    },
  ],
  [
    'countdown and eta',
    async (cluster) => {
      const begin = performance.now();
      const results = await Promise.all([
        send(cluster, 'py.request', [], { countdown: 0.6 }),
        send(cluster, 'py.request', [], { eta: new Date(Date.now() + 600) }),
      ]);
      await call('py.echo', [1])(cluster);
      const early = await results[0].ready();
      const [later, eta] = (await Promise.all(results.map((result) => result.get({ timeout: 20 })))) as {
        eta: boolean;
      }[];
      const ms = performance.now() - begin;
      return [early, later?.eta, eta?.eta, ms > 500 && ms < 5000];
    },
    [false, true, true, true],
  ],
  [
    'expired',
    async (cluster) => {
      const result = await send(cluster, 'py.note', ['late'], { countdown: 0.5, expires: 0.2 });
      return [await outcome(result), await result.state()];
    },
    [error('TaskRevokedError', 'expired', 'celery.exceptions', ['expired'], 'TaskRevokedError'), 'REVOKED'],
  ],
  [
    'revoked before it runs',
    async (cluster) => {
      const result = await send(cluster, 'py.note', ['revoked'], { countdown: 1 });
      await result.revoke({ wait: true });
      return [await outcome(result), await result.state()];
    },
    [error('TaskRevokedError', 'revoked', 'celery.exceptions', ['revoked'], 'TaskRevokedError'), 'REVOKED'],
  ],
  [
    'terminated while it runs',
    async (cluster) => {
      const result = await send(cluster, 'py.tracked', [20]);
      for await (const { state } of result.updates()) if (state === 'STARTED') break;
      await result.revoke({ terminate: true });
      return [await outcome(result), await result.state()];
    },
    [
      error('TaskRevokedError', 'terminated', 'celery.exceptions', ['terminated'], 'TaskRevokedError'),
      'REVOKED',
    ],
  ],
  [
    'ignore_result',
    async (cluster) => {
      await send(cluster, 'py.ignored', ['task']);
      const result = await send(cluster, 'py.note', ['call'], { ignoreResult: true });
      await Promise.all([cluster.noted(['py.ignored', 'task']), cluster.noted(['py.note', ['call', '']])]);
      await pause(100);
      return [await result.state(), await cluster.client.AsyncResult(result.id).state()];
    },
    ['PENDING', 'PENDING'],
  ],
  [
    'STARTED',
    async (cluster) => states(await send(cluster, 'py.tracked', [0.1])),
    [
      ['STARTED', { hostname: 'py@interop', pid: expect.any(Number) as unknown }],
      ['SUCCESS', 'over'],
    ],
  ],
  [
    'a state of its own',
    async (cluster) => states(await send(cluster, 'py.progress')),
    [
      ['PROGRESS', { done: 1 }],
      ['SUCCESS', 'complete'],
    ],
  ],
  [
    'time limits',
    async (cluster) => {
      const [soft, hard] = await Promise.all([
        send(cluster, 'py.soft', [], { softTimeLimit: 0.3 }),
        send(cluster, 'py.sleep', [20], { timeLimit: 0.5 }),
      ]);
      return [await outcome(soft), await outcome(hard)];
    },
    [
      'told',
      {
        class: 'TimeLimitExceeded',
        name: 'TimeLimitExceeded',
        message: text(/0\.5/),
        args: [0.5],
        module: 'billiard.exceptions',
      },
    ],
  ],
  [
    'what a running task knows of its call',
    async (cluster) => {
      const result = await send(cluster, 'py.request', [], {
        headers: { mine: 'yes' },
        shadow: 'other',
        timeLimit: 9,
        softTimeLimit: 8,
        priority: 3,
      });
      const { id, root_id, ...got } = (await result.get({ timeout: 20 })) as Record<string, unknown>;
      return [id === result.id, root_id === result.id, got];
    },
    [
      true,
      true,
      {
        parent_id: null,
        headers: 'yes',
        shadow: 'other',
        timelimit: [9, 8],
        retries: 0,
        priority: 3,
        queue: 'python',
        eta: false,
        argsrepr: '()',
      },
    ],
  ],
  [
    'rate limits',
    async (cluster) => {
      const times = (await Promise.all(
        Array.from({ length: 6 }, () => call('py.limited')(cluster)),
      )) as number[];
      return Math.max(...times) - Math.min(...times) > 0.03;
    },
    true,
  ],
  [
    'batches',
    (cluster) => Promise.all(Array.from({ length: 50 }, (_, i) => call('py.add', [i, i])(cluster))),
    Array.from({ length: 50 }, (_, i) => 2 * i),
  ],
];

/** A signature as the wire has it. */
const signature = (task: string, ...given: unknown[]) => ({
  ...{ task, args: given, kwargs: {}, options: {} },
  subtask_type: null,
  immutable: false,
});

const callbacks: Case[] = [
  [
    'link: our task after Python’s, Python’s after ours',
    async (cluster) => {
      await send(cluster, 'py.add', [1, 2], { link: signature('ts.note', 'linked') });
      await send(cluster, 'ts.add', [3, 4], {
        link: [signature('py.note', 'linked'), signature('ts.note', 'linked too')],
      });
      await Promise.all([
        cluster.noted(['ts.note', [3, 'linked']]),
        cluster.noted(['py.note', [7, 'linked']]),
        cluster.noted(['ts.note', [7, 'linked too']]),
      ]);
    },
    undefined,
  ],
  [
    'linkError: our task after Python’s, Python’s after ours',
    async (cluster) => {
      const first = await send(cluster, 'py.fail', ['ValueError'], {
        linkError: signature('ts.note', 'failed'),
      });
      const second = await send(cluster, 'ts.fail', ['ValueError', 'x'], {
        linkError: signature('py.note', 'failed'),
      });
      await Promise.all([
        cluster.noted(['ts.note', [first.id, 'failed']]),
        cluster.noted(['py.note', [second.id, 'failed']]),
      ]);
    },
    undefined,
  ],
  [
    'linkError that takes the request, the error and the traceback: Python’s after Python’s, ours after ours',
    async (cluster) => {
      const first = await send(cluster, 'py.fail', ['ValueError', 'x'], {
        linkError: signature('py.alarm', 'a'),
      });
      const second = await send(cluster, 'ts.fail', ['ValueError', 'y'], {
        linkError: signature('ts.alarm', 'b'),
      });
      await Promise.all([
        cluster.noted(['py.alarm', [first.id, 'py.fail', 'ValueError', 'x', true, 'a']]),
        cluster.noted(['ts.alarm', [second.id, 'ts.fail', 'ValueError', 'y', true, 'b']]),
      ]);
    },
    undefined,
  ],
  [
    'a callback’s result comes to the caller',
    async (cluster) => {
      const taskId = crypto.randomUUID();
      const linked = {
        ...signature('ts.add', 1),
        options: { task_id: taskId, reply_to: cluster.client.backend.replyTo },
      };
      const result = await send(cluster, 'py.add', [1, 2], { link: linked });
      await result.get({ timeout: 20 });
      const [child] = (await result.children()) ?? [];
      return [child?.id === taskId, await child?.get({ timeout: 20 })];
    },
    [true, 4],
  ],
];

/** All of our client and a Python worker. */
export const TYPESCRIPT_CLIENT: readonly (readonly [group: string, cases: readonly Case[]])[] = [
  ['values', [...values, ...typed]],
  ['arguments', args],
  ['errors', errors],
  ['lives of tasks', lives],
  ['callbacks', callbacks],
];
