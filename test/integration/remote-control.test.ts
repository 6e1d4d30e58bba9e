import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/index.ts';
import { sleep } from '../../src/core/async.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { RunningCli } from '../support/cli.ts';
import { runCli, startCli } from '../support/cli.ts';
import { OUR_TASKS, PYTHON_CLIENT, PYTHON_METHODS, PYTHON_TASKS } from '../support/control-project.ts';
import { haveProcesses } from '../support/pool-sizes.ts';
import type { Project } from '../support/project.ts';
import { createProject } from '../support/project.ts';
import { python } from '../support/python.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const OURS = 'ours@h';
const THEIRS = 'python@h';
const NODES = [OURS, THEIRS];
const ETA = '2031-05-17T10:30:00+00:00';

/**
 * How the answers of both workers are alike: equal but for their names, numbers of processes and times; equal after
 * `sort`; or of the same shape, ours with every key of Python's.
 */
type Alike = 'same' | 'sorted' | 'shape';
type Call = readonly [method: string, args: Readonly<Record<string, unknown>>, alike: Alike];

/** What both clients ask of both workers, in this order. Each worker runs one task and has two more in hand. */
const CALLS: readonly Call[] = [
  ['ping', {}, 'same'],
  ['clock', {}, 'shape'],
  ['hello', { from_node: 'new@h', revoked: { 'h-1': Number(process.hrtime.bigint()) / 1e9 } }, 'shape'],
  ['active', {}, 'same'],
  ['active', { safe: true }, 'same'],
  ['reserved', {}, 'same'],
  ['scheduled', {}, 'same'],
  ['dump_active', {}, 'same'],
  ['dump_reserved', {}, 'same'],
  ['dump_schedule', {}, 'same'],
  [
    'query_task',
    { ids: NODES.flatMap((node) => [`runs-${node}`, `waits-${node}`, `later-${node}`]) },
    'same',
  ],
  ['query_task', { ids: 'nothing' }, 'same'],
  ['registered', {}, 'same'],
  ['registered', { taskinfoitems: ['max_retries', 'rate_limit', 'acks_late', 'nothing'] }, 'same'],
  ['dump_tasks', {}, 'same'],
  ['active_queues', {}, 'same'],
  ['stats', {}, 'shape'],
  ['conf', {}, 'shape'],
  ['dump_conf', { with_defaults: true }, 'shape'],
  ['report', {}, 'shape'],
  ['report', { nope: 1 }, 'same'],
  ['revoke', { task_id: ['x-1'] }, 'same'],
  ['revoke', { task_id: 'x-2', terminate: true, signal: 'KILL' }, 'same'],
  ['terminate', { task_id: 'x-3', signal: 9 }, 'same'],
  ['revoked', {}, 'sorted'],
  ['dump_revoked', {}, 'sorted'],
  ['rate_limit', { task_name: 'tasks.add', rate_limit: '5/m' }, 'same'],
  ['registered', {}, 'same'],
  ['rate_limit', { task_name: 'tasks.add', rate_limit: 0 }, 'same'],
  ['rate_limit', { task_name: 'tasks.add', rate_limit: 'bogus' }, 'same'],
  ['rate_limit', { task_name: 'tasks.none', rate_limit: '1/s' }, 'same'],
  ['rate_limit', {}, 'same'],
  ['time_limit', { task_name: 'tasks.add', soft: 10, hard: 20 }, 'same'],
  ['registered', { taskinfoitems: ['soft_time_limit', 'time_limit'] }, 'same'],
  ['time_limit', { task_name: 'tasks.none', soft: 1 }, 'same'],
  ['add_consumer', { queue: 'extra' }, 'same'],
  [
    'add_consumer',
    { queue: 'feeds', exchange: 'feedx', exchange_type: 'topic', routing_key: 'feed.#' },
    'same',
  ],
  ['add_consumer', { nope: 1 }, 'same'],
  ['cancel_consumer', { queue: 'none' }, 'same'],
  ['autoscale', { max: 3, min: 1 }, 'same'],
  ['pool_restart', {}, 'same'],
  ['enable_events', {}, 'same'],
  ['enable_events', {}, 'same'],
  ['enable_events', { nope: 1 }, 'same'],
  ['disable_events', {}, 'same'],
  ['disable_events', {}, 'same'],
  ['heartbeat', {}, 'same'],
  ['memdump', {}, 'shape'],
  ['no_such_command', {}, 'same'],
];

/** Asked once, of both workers: a second process changes what they have in hand. */
const SHRINKING: readonly Call[] = [
  ['pool_shrink', { n: 1 }, 'same'],
  ['pool_shrink', { n: 99 }, 'same'],
];

type Answers = Readonly<Record<string, unknown>>;

/** An answer without what differs from worker to worker. */
function plain(answer: unknown, node: string): unknown {
  const text = JSON.stringify(answer)
    .replaceAll(node, 'NODE')
    // Celery 5.2 writes no braces.
    .replace(/tasks \{'(.*)'\} flagged/, 'tasks $1 flagged');
  return JSON.parse(text, (key, value: unknown) => {
    if (key === 'time_start' || key === 'worker_pid') return value === null ? null : typeof value;
    // Celery 5.2 says null over Redis.
    return key === 'redelivered' ? false : value;
  });
}

/** Types by path; null goes with anything. */
function expectShape(ours: unknown, theirs: unknown, path: string): void {
  if (theirs === null || ours === null) return;
  if (Array.isArray(theirs)) {
    expect(Array.isArray(ours), path).toBe(true);
    if (theirs.length > 0 && (ours as unknown[]).length > 0)
      expectShape((ours as unknown[])[0], theirs[0], `${path}[0]`);
  } else if (typeof theirs === 'object') {
    // Settings are named by whoever set them, tasks by their programs.
    const keys = /conf$|total$|transport_options$|revoked$/.test(path) ? [] : Object.keys(theirs);
    expect(Object.keys(ours as object), path).toEqual(expect.arrayContaining(keys));
    for (const key of keys) expectShape((ours as Answers)[key], (theirs as Answers)[key], `${path}.${key}`);
  } else expect(typeof ours, path).toBe(typeof theirs);
}

function expectAlike([method, args, alike]: Call, answers: Answers): void {
  const name = `${method}(${JSON.stringify(args)})`;
  expect(Object.keys(answers).sort(), name).toEqual([...NODES].sort());
  if (alike === 'shape') {
    expectShape(answers[OURS], answers[THEIRS], name.replace(/\(.*/, ''));
    return;
  }
  const [ours, theirs] = [plain(answers[OURS], OURS), plain(answers[THEIRS], THEIRS)];
  const order = (value: unknown): unknown => (alike === 'sorted' ? [...(value as string[])].sort() : value);
  expect(order(ours), name).toEqual(order(theirs));
}

interface Broker extends AsyncDisposable {
  readonly url: string;
  /** As Python writes it. */
  readonly pythonUrl: string;
  dropConnections(): Promise<void>;
  /** What the broker holds of replies. */
  replyQueues(): Promise<readonly string[]>;
}

const run = promisify(execFile);

async function rabbitmq(): Promise<Broker> {
  const server = await Rabbitmq.start();
  return {
    url: server.url(),
    pythonUrl: server.url(),
    dropConnections: () => server.closeAllConnections(),
    replyQueues: async () => (await server.ctl('list_queues', 'name')).split('\n').filter(isReplyQueue),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const isReplyQueue = (name: string): boolean => name.includes('.reply.celery.pidbox');

async function redis(): Promise<Broker> {
  const server = await RedisServer.start();
  const cli = async (...args: string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(server.port), ...args])).stdout;
  return {
    url: server.url(),
    pythonUrl: server.url(),
    dropConnections: async () => {
      await cli('CLIENT', 'KILL', 'TYPE', 'normal');
      await cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
    replyQueues: async () =>
      [
        ...(await cli('KEYS', '*')).split('\n'),
        ...(await cli('SMEMBERS', '_kombu.binding.reply.celery.pidbox')).split('\n'),
      ].filter(isReplyQueue),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe.skipIf(python === undefined).each([
  ['RabbitMQ', hasRabbitmq, rabbitmq],
  ['Redis', hasRedis, redis],
] as const)('over %s', (_name, isInstalled, start) => {
  describe.skipIf(!isInstalled)('ours and Python', { timeout: 120_000 }, () => {
    const own = new Releasers();
    let broker: Broker;
    let project: Project;
    let app: Celery;
    let worker: RunningCli;
    let pythonWorker: RunningCli;

    beforeAll(async () => {
      broker = own.own(await start());
      project = createProject({
        'tasks.js': OUR_TASKS.replace('BROKER', broker.url),
        'tasks.py': PYTHON_TASKS.replace('BROKER', broker.pythonUrl),
      });
      own.push(() => project.remove());
      worker = startWorker(['-A', 'tasks', 'worker', '-n', OURS], {});
      pythonWorker = startWorker(
        ['celery', '-A', 'tasks', 'worker', '-n', THEIRS, '--without-mingle', '--without-gossip'],
        { node: python ?? '', program: '-m' },
      );
      app = own.own(new Celery('tasks', { broker: broker.url }));
      app.markConfigured();
      await Promise.all([worker, pythonWorker].map((each) => each.waitFor('ready.')));
      for (const node of NODES) {
        const queue = `queue-${node}`;
        await app.sendTask('tasks.sleep', [600], { taskId: `runs-${node}`, queue });
        await app.sendTask('tasks.add', [1, 2], { taskId: `waits-${node}`, queue });
        await app.sendTask('tasks.add', [1, 2], { taskId: `later-${node}`, eta: ETA, queue });
      }
      // The task that comes last has arrived at both.
      const arrived = async (): Promise<number> =>
        Object.values((await inspect().scheduled()) ?? {}).flat().length;
      while ((await arrived()) < 2) await sleep(100);
    }, 120_000);

    afterAll(() => own.release());

    function startWorker(args: string[], options: { node?: string; program?: string }): RunningCli {
      const node = args[args.indexOf('-n') + 1] ?? '';
      const more = ['-c', '1', '-Q', `queue-${node}`, '-l', 'INFO'];
      const started = startCli([...args, ...more], { cwd: project.folder, ...options });
      own.push(async () => {
        started.kill('SIGKILL');
        await started.ended;
      });
      return started;
    }

    const inspect = (): ReturnType<Celery['control']['inspect']> =>
      app.control.inspect({ destination: NODES, timeout: 20 });

    async function pythonRun(program: string, ...args: string[]): Promise<string> {
      const { stdout } = await run(python ?? '', ['-c', program, ...args], {
        cwd: project.folder,
        timeout: 60_000,
      });
      return stdout;
    }

    const celery = (...args: string[]): ReturnType<typeof runCli> =>
      runCli(['celery', '-A', 'tasks', ...args], { cwd: project.folder, node: python ?? '', program: '-m' });
    const celeryTs = (...args: string[]): ReturnType<typeof runCli> =>
      runCli(['-A', 'tasks', ...args], { cwd: project.folder });

    async function compare(calls: readonly Call[]): Promise<void> {
      for (const call of calls) {
        const [method, args] = call;
        const replies = await app.control.broadcast(method, args, {
          destination: NODES,
          reply: true,
          timeout: 20,
        });
        expectAlike(call, Object.assign({}, ...replies) as Answers);
      }
    }

    it('answer our client alike', () => compare(CALLS));

    it("answer Python's client alike", async () => {
      const calls = CALLS.map(([method, args]) => [method, args]);
      const text = await pythonRun(PYTHON_CLIENT, JSON.stringify([NODES, calls]));
      // Its settings hold an infinite number, which is no JSON.
      const answers = JSON.parse(text.replaceAll(': Infinity', ': 0')) as Answers[];
      for (const [index, call] of CALLS.entries()) expectAlike(call, answers[index] ?? {});
    });

    it('size their pools alike', async () => {
      await compare([['pool_grow', { n: 1 }, 'same']]);
      await haveProcesses(app, NODES, 2);
      await compare(SHRINKING);
    });

    it("answers every method of Python's app.control and inspect()", async () => {
      const answered = JSON.parse(await pythonRun(PYTHON_METHODS, OURS)) as Record<string, string[]>;
      expect(Object.entries(answered)).toHaveLength(26);
      for (const [name, nodes] of Object.entries(answered)) expect([name, ...nodes]).toEqual([name, OURS]);
    });

    it('has added consumers to consume', async () => {
      const names = async (): Promise<unknown> =>
        Object.fromEntries(
          Object.entries((await inspect().activeQueues()) ?? {}).map(([node, queues]) => [
            node,
            queues
              .map((queue) => [queue.name, queue.exchange.name, queue.exchange.type, queue.routing_key])
              .sort(),
          ]),
        );
      const expected = (node: string): unknown => [
        ['extra', 'extra', 'direct', 'extra'],
        ['feeds', 'feedx', 'topic', 'feed.#'],
        [`queue-${node}`, `queue-${node}`, 'direct', `queue-${node}`],
      ];
      await expect
        .poll(names, { timeout: 20_000 })
        .toEqual({ [OURS]: expected(OURS), [THEIRS]: expected(THEIRS) });
    });

    it('takes patterns, from both clients', async () => {
      const ask = async (pattern: string, matcher?: 'pcre' | 'glob'): Promise<string[]> =>
        (await app.control.ping({ pattern, ...(matcher !== undefined && { matcher }), timeout: 1.5 }))
          .flatMap((reply) => Object.keys(reply))
          .sort();
      expect(await ask('ou*@?')).toEqual([OURS]);
      expect(await ask('(ours|python)@', 'pcre')).toEqual(NODES);
      expect(await ask('urs', 'pcre')).toEqual([]);
    });

    it("runs the user's commands, and lists them", async () => {
      expect((await celeryTs('inspect', '--list')).stdout).toMatch(/^ {2}window +Show the window\.$/m);
      expect((await celeryTs('control', '--list')).stdout).toMatch(
        /^ {2}widen \[N=1\] +Raise the window\.$/m,
      );
      expect((await celeryTs('control', '-d', OURS, '-t', '20', 'widen', '3')).stdout).toBe(
        `->  ${OURS}: OK\n        3\n`,
      );
      const answer = await app.control.inspect({ destination: [OURS], timeout: 20 }).ask('window');
      expect(answer).toEqual({
        [OURS]: { window: expect.any(Number) as number, queues: expect.any(Array) as [] },
      });
    });

    it('samples memory and writes a heap snapshot', async () => {
      const ask = app.control.inspect({ destination: [OURS], timeout: 60 });
      expect(Object.values((await ask.memsample()) ?? {})).toEqual([
        expect.stringMatching(/^\d+(\.\d+)?MB$/),
      ]);
      expect(Object.values((await ask.memdump()) ?? {})).toEqual([
        expect.stringMatching(/^- rss \(sample\):\n- {4}> [\d.]+MB,\n- rss \(end\): [\d.]+MB\.\n$/),
      ]);
      const { filename } = Object.values((await ask.objgraph()) ?? {})[0] ?? { filename: '' };
      expect(filename).toMatch(/\.heapsnapshot$/);
      rmSync(filename);
    });

    it('leaves nothing behind of replies, nor when the asker is killed', async () => {
      const asker = startCli(['-A', 'tasks', 'inspect', '-t', '600', 'ping'], { cwd: project.folder });
      try {
        await expect.poll(() => broker.replyQueues(), { timeout: 20_000 }).not.toEqual([]);
      } finally {
        asker.kill('SIGKILL');
        await asker.ended;
      }
      await app.control.ping({ destination: NODES, timeout: 20 });
      await expect.poll(() => broker.replyQueues(), { timeout: 20_000 }).toEqual([]);
    });

    it('keeps what was set over a lost connection', async () => {
      const to = { destination: [OURS], reply: true, timeout: 20 };
      await app.control.revoke('lasting', to);
      await app.control.addConsumer('lasting', to);
      await app.control.revokeByStampedHeaders({ customer: ['7'] }, to);
      await app.control.rateLimit('tasks.add', '11/m', to);
      await app.control.timeLimit('tasks.add', { soft: 3, hard: 4 }, to);
      await broker.dropConnections();
      await worker.waitFor(/Connected to[^]*Connected to/);
      // A question of this moment may be lost.
      const ask = app.control.inspect({ destination: [OURS], timeout: 3 });
      await expect
        .poll(
          async () => (await ask.activeQueues().catch(() => null))?.[OURS]?.map(({ name }) => name).sort(),
          {
            timeout: 20_000,
          },
        )
        .toContain('lasting');
      expect((await ask.revoked())?.[OURS]).toContain('lasting');
      expect((await ask.registered('rate_limit', 'soft_time_limit', 'time_limit'))?.[OURS]).toContain(
        'tasks.add [rate_limit=11/m soft_time_limit=3 time_limit=4]',
      );
    });

    it('ends the running task by terminate, and the workers by shutdown', async () => {
      const to = { destination: [OURS], reply: true, timeout: 20 };
      expect(await app.control.terminate([`runs-${OURS}`], to)).toEqual([
        { [OURS]: { ok: `terminate: runs-${OURS}` } },
      ]);
      await expect.poll(async () => (await inspect().active())?.[OURS], { timeout: 20_000 }).toEqual([]);
      expect((await celery('control', '-d', OURS, 'shutdown')).code).toBe(69);
      expect((await worker.ended).code).toBe(0);
      await app.control.terminate([`runs-${THEIRS}`], { destination: [THEIRS], signal: 'KILL' });
      expect((await celeryTs('control', '-d', THEIRS, '-t', '0.2', 'shutdown')).code).toBe(69);
      expect((await pythonWorker.ended).code).toBe(0);
    });
  });
});
