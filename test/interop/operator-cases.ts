import { expect } from 'vitest';
import type { Cluster } from '../support/interop-cluster.ts';
import type { Case as Program } from './python-client-cases.ts';
import type { Case } from './typescript-client-cases.ts';

const text = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const printed = (pattern: RegExp, code = 0) => ({ code, output: text(pattern) });

/** Python's commands about our worker. */
export const PYTHON_COMMANDS: readonly Program[] = [
  ['status', `command('status', '-d', 'ts@interop')`, printed(/^-> {2}ts@interop: OK\n\n1 node online\.\n$/)],
  [
    'status of both workers',
    `sorted(command('status', '-t', '2')['output'].splitlines())`,
    ['', '->  py@interop: OK', '->  ts@interop: OK', '2 nodes online.'],
  ],
  [
    'inspect ping',
    `command('inspect', 'ping', '-d', 'ts@interop')`,
    printed(/^-> {2}ts@interop: OK\n {8}pong\n\n1 node online\.\n$/),
  ],
  [
    'inspect active',
    `
r = send('ts.sleep', 1)
until(lambda: r.id in str(app.control.inspect(['ts@interop']).active()))
mine, = json.loads(command('inspect', 'active', '-j', '-d', 'ts@interop')['output'])['ts@interop']
theirs = send('py.sleep', 1)
until(lambda: theirs.id in str(app.control.inspect(['py@interop']).active()))
reference, = app.control.inspect(['py@interop']).active()['py@interop']
r.get(timeout=T), theirs.get(timeout=T)
return [mine['id'] == r.id, mine['name'], mine['args'], mine['hostname'], type(mine['worker_pid']).__name__, set(mine) == set(reference)]`,
    [true, 'ts.sleep', [1], 'ts@interop', 'int', true],
  ],
  [
    'inspect registered',
    `
out = command('inspect', 'registered', '-d', 'ts@interop')['output']
return [out.splitlines()[0], '    * ts.add' in out, 'ts.limited [rate_limit=100/s]' in out]`,
    ['->  ts@interop: OK', true, true],
  ],
  [
    'inspect stats',
    `
run('ts.add', 1)
stats = json.loads(command('inspect', 'stats', '-j', '-d', 'ts@interop')['output'])['ts@interop']
theirs = app.control.inspect(['py@interop']).stats()['py@interop']
return [sorted(set(theirs) - set(stats)), stats['pool']['max-concurrency'], len(stats['pool']['processes']), stats['total']['ts.add'] > 0]`,
    [[], 2, 2, true],
  ],
  [
    'inspect scheduled',
    `
r = app.send_task('ts.add', [1, 1], countdown=1.2)
until(lambda: r.id in str(app.control.inspect(['ts@interop']).scheduled()))
mine, = app.control.inspect(['ts@interop']).scheduled()['ts@interop']
r.get(timeout=T)
return [sorted(mine), mine['request']['id'] == r.id, app.control.inspect(['ts@interop']).scheduled()]`,
    [['eta', 'priority', 'request'], true, { 'ts@interop': [] }],
  ],
  [
    'inspect active_queues',
    `
mine = app.control.inspect(['ts@interop']).active_queues()['ts@interop']
theirs = app.control.inspect(['py@interop']).active_queues()['py@interop']
return [[q['name'] for q in mine], {k: v for k, v in mine[0].items() if str(v).find('typescript') < 0} == {k: v for k, v in theirs[0].items() if str(v).find('python') < 0}]`,
    [['typescript'], true],
  ],
  [
    'control rate_limit',
    `command('control', 'rate_limit', '-d', 'ts@interop', 'ts.limited', '99/s')`,
    printed(/^-> {2}ts@interop: OK\n {8}new rate limit set successfully\n$/),
  ],
  [
    'control time_limit and an unknown task',
    `[app.control.time_limit('ts.sleep', soft=30, hard=40, reply=True, timeout=5, destination=['ts@interop']), app.control.rate_limit('ts.unknown', '1/s', reply=True, timeout=5, destination=['ts@interop'])]`,
    [
      [{ 'ts@interop': { ok: 'time limits set successfully' } }],
      [{ 'ts@interop': { error: 'unknown task' } }],
    ],
  ],
  [
    'call and result',
    `
id = command('call', 'ts.add', '-a', '[1, 2]')['output'].strip()
return [len(id), command('result', id)]`,
    [36, { code: 0, output: '3\n' }],
  ],
  [
    'purge',
    `
for queue in ('parked', 'parked', 'parked'):
    app.send_task('ts.note', ['purged'], queue=queue)
return [command('purge', '-f', '-Q', 'parked')['output'], command('purge', '-f', '-Q', 'parked')['output']]`,
    [text(/^Purged 3 messages from 1 known task queue\.\n$/), text(/^No messages purged from 1 queue\.\n$/)],
  ],
];

async function run(cluster: Cluster, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const { code, stdout, stderr } = await cluster.cli(...args).ended;
  return { code, output: stdout + stderr };
}

const command =
  (...args: string[]) =>
  (cluster: Cluster) =>
    run(cluster, ...args);

/** Our commands about Python's worker. */
export const OUR_COMMANDS: readonly Case[] = [
  [
    'status',
    command('status', '-d', 'py@interop', '-t', '5'),
    printed(/^-> {2}py@interop: OK\n\n1 node online\.\n$/),
  ],
  [
    'inspect ping',
    command('inspect', 'ping', '-d', 'py@interop', '-t', '5'),
    printed(/^-> {2}py@interop: OK\n {8}pong\n\n1 node online\.\n$/),
  ],
  [
    'control rate_limit',
    command('control', 'rate_limit', '-d', 'py@interop', '-t', '5', 'py.limited', '99/s'),
    printed(/^-> {2}py@interop: OK\n {8}new rate limit set successfully\n$/),
  ],
  [
    'call',
    async (cluster) => {
      const called = await run(cluster, 'call', 'py.note', '-a', '["called"]', '-k', '{"text": "ø"}');
      await cluster.noted(['py.note', ['called', 'ø']]);
      return called;
    },
    printed(/^[-0-9a-f]{36}\n$/),
  ],
  [
    'purge of what Python sent',
    async (cluster) => {
      await cluster.py(`[app.send_task('py.note', ['purged'], queue='parked').id for _ in range(2)]`);
      return run(cluster, 'purge', '-f', '-Q', 'parked');
    },
    printed(/^Purged 2 messages from 1 known task queue\.\n$/),
  ],
];

/** With results that every process can read. */
export const OUR_COMMANDS_ON_RESULTS: readonly Case[] = [
  [
    'result',
    async (cluster) => {
      const { id } = await cluster.client.sendTask('py.echo', [{ a: [1, null, 'ø'] }]);
      return run(cluster, 'result', id);
    },
    { code: 0, output: "{'a': [1, None, 'ø']}\n" },
  ],
  [
    'result of an error',
    async (cluster) =>
      run(cluster, 'result', (await cluster.client.sendTask('py.fail', ['ValueError', 'boom'])).id),
    printed(/^Traceback .*\nValueError: boom\n$/s, 1),
  ],
];

const order = (log: string, ids: readonly string[]): number[] =>
  [...log.matchAll(/Task \S+\[([^\]]+)\] received/g)].flatMap(([, id = '']) =>
    ids.includes(id) ? [ids.indexOf(id)] : [],
  );

/** The order in which a worker has received these; what it logs may reach us later than their results. */
async function orderOf(worker: { readonly output: string }, ids: readonly string[]): Promise<number[]> {
  await expect.poll(() => order(worker.output, ids), { timeout: 10_000 }).toHaveLength(ids.length);
  return order(worker.output, ids);
}

const PRIORITIES = [0, 9, 3, 6];
/** Redis's lowest number goes first, RabbitMQ's highest. */
export const prioritized = (broker: 'redis' | 'rabbitmq'): number[] =>
  broker === 'redis' ? [0, 2, 3, 1] : [1, 3, 2, 0];

/** Priorities across languages: messages wait in a queue, then its worker is told to consume it. */
export const PRIORITY_ORDER: readonly (readonly [string, (cluster: Cluster) => Promise<number[]>])[] = [
  [
    'Python client, TypeScript worker',
    async (cluster) => {
      const ids = (await cluster.py(`
results = [app.send_task('ts.note', [p], queue='ts-prio', priority=p) for p in ${JSON.stringify(PRIORITIES)}]
app.control.add_consumer('ts-prio', destination=['ts@interop'])
return [r.get(timeout=T) for r in results] and [r.id for r in results]`)) as string[];
      return orderOf(cluster.typescript, ids);
    },
  ],
  [
    'TypeScript client, Python worker',
    async (cluster) => {
      const results = [];
      for (const priority of PRIORITIES) {
        const options = { queue: 'py-prio', priority };
        results.push(await cluster.client.sendTask('py.note', [priority], options));
      }
      await cluster.client.control.addConsumer('py-prio', { destination: ['py@interop'] });
      for (const result of results) await result.get({ timeout: 20 });
      return orderOf(
        cluster.python,
        results.map(({ id }) => id),
      );
    },
  ],
];
