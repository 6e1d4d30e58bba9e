import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/index.ts';
import { sleep } from '../../src/core/async.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { COMMANDS } from '../../src/worker/control/commands.ts';
import type { CliResult, RunningCli } from '../support/cli.ts';
import { runCli, startCli } from '../support/cli.ts';
import { normalized } from '../support/console.ts';
import { BOTH_TASKS, PANEL, PYTHON_BOTH_TASKS } from '../support/control-project.ts';
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
 * One command as it is typed at both programs, each of which asks both workers.
 *
 * What the two programs print of one worker is always the same. What they print of the two workers is the same too, unless
 * `apart` says why it cannot be.
 */
interface Row {
  readonly typed: string;
  /** Why our worker answers otherwise than Python's. */
  readonly apart?: string;
  /** Sent to both workers before each program, so that both find the same. */
  readonly first?: readonly [method: string, args: Readonly<Record<string, unknown>>];
  /** So many processes has each worker before the programs ask. */
  readonly processes?: number;
  /** Why Celery 5.2 has no such command: ours alone asks our worker alone. */
  readonly ours?: string;
}

const IDS = NODES.flatMap((node) => [`runs-${node}`, `waits-${node}`, `later-${node}`]).join(' ');

/** Every command of reference/remote-control.md, in an order in which none disturbs the next. */
const ROWS: readonly Row[] = [
  { typed: 'status' },
  { typed: 'inspect ping' },
  { typed: 'inspect -j ping' },
  { typed: 'inspect clock' },
  { typed: 'inspect active' },
  { typed: 'inspect -j active' },
  { typed: 'inspect reserved' },
  { typed: 'inspect scheduled' },
  { typed: `inspect query_task ${IDS} unknown` },
  { typed: 'inspect registered' },
  { typed: 'inspect -j registered' },
  { typed: 'inspect registered rate_limit max_retries acks_late' },
  { typed: 'inspect active_queues' },
  { typed: 'inspect stats', apart: 'each tells its own numbers, and ours a limit of memory besides' },
  { typed: 'inspect conf', apart: 'each tells what its own app has set' },
  { typed: 'inspect conf true', apart: 'settings of Python that Node.js has not, and the other way round' },
  { typed: 'inspect report', apart: 'each tells of its own program' },
  { typed: 'inspect memsample', apart: 'Python answers null unless psutil is installed' },
  {
    typed: 'inspect memdump 5',
    apart: 'Python answers null unless psutil is installed',
    first: ['memdump', {}],
  },
  { typed: 'inspect objgraph Request 3 2', apart: 'ours is a heap snapshot; Python lacks its library here' },
  { typed: 'inspect revoked', first: ['revoke', { task_id: 'gone' }] },
  { typed: 'control revoke r1' },
  { typed: 'control revoke_by_stamped_headers k=v', ours: 'since Celery 5.3' },
  { typed: 'control terminate KILL r2 r3' },
  { typed: 'control rate_limit tasks.add 10/m' },
  { typed: 'control rate_limit tasks.none 10/m' },
  { typed: 'control time_limit tasks.add 10 20' },
  { typed: 'control time_limit tasks.none 10' },
  { typed: 'control -j time_limit tasks.add 1 2' },
  { typed: 'control add_consumer' },
  { typed: 'control add_consumer extra' },
  { typed: 'control add_consumer feeds feedx topic feed.#' },
  { typed: 'control cancel_consumer extra' },
  { typed: 'control pool_grow 1', first: ['ping', {}] },
  { typed: 'control pool_shrink 1', first: ['ping', {}], processes: 2 },
  { typed: 'control pool_restart' },
  { typed: 'control autoscale 3 1' },
  { typed: 'control enable_events', first: ['disable_events', {}] },
  { typed: 'control enable_events', first: ['enable_events', {}] },
  { typed: 'control disable_events', first: ['enable_events', {}] },
  { typed: 'control disable_events', first: ['disable_events', {}] },
  { typed: 'control heartbeat' },
  { typed: 'control -j heartbeat' },
  // Its arguments cannot be given on a command line.
  { typed: 'control election' },
];

/** What is asked over the other brokers as well. */
const FEW = ['status', 'inspect -j active', 'inspect scheduled', 'control revoke r1'];

/** Typed with what both programs refuse, before they ask anybody. */
const REFUSED = ['inspect hello', 'inspect dump_active', 'control ping', 'control nosuch'];

interface Block {
  readonly node: string;
  readonly text: string;
}

/** What is printed of each worker, which may come in any order, and the rest. */
function blocksOf(stdout: string): { blocks: Block[]; rest: string } {
  const [, rest = ''] = /\n(\d+ nodes? online\.)\n$/.exec(stdout) ?? [];
  const text = stdout.replace(/\n\d+ nodes? online\.\n$/, '');
  if (/^[[{]/.test(text)) {
    const value = JSON.parse(text) as object;
    const answers = (Array.isArray(value) ? value : [value]).flatMap((each) =>
      Object.entries(each as object),
    );
    const blocks = answers.map(([node, answer]) => ({ node, text: plain(JSON.stringify(answer), node) }));
    return { blocks: blocks.sort(byNode), rest: `${Array.isArray(value) ? 'array' : 'object'}${rest}` };
  }
  const blocks = text.split(/^(?=-> {2})/m).map((block) => {
    const node = /^-> {2}(.*): /.exec(block)?.[1] ?? '';
    return { node, text: plain(block, node) };
  });
  return { blocks: blocks.sort(byNode), rest };
}

const byNode = (a: Block, b: Block): number => (a.node < b.node ? -1 : Number(a.node > b.node));

/** Without names, times, counts and what is only a number of the moment. */
function plain(text: string, node: string): string {
  return normalized(text)
    .replaceAll(node, 'NODE')
    .replaceAll(/"redelivered":null/g, '"redelivered":false')
    .replaceAll(/[-\w/]+\.heapsnapshot/g, 'FILE')
    .replaceAll(/\d+(\.\d+)?(e-\d+)?/g, 'N')
    .replaceAll(/^ +$/gm, '')
    .replaceAll(/\n+/g, '\n');
}

interface Broker extends AsyncDisposable {
  url(): string;
}

describe.skipIf(python === undefined || !hasRedis).each([
  ['RabbitMQ', hasRabbitmq, () => Rabbitmq.start()],
  ['Redis', hasRedis, () => RedisServer.start()],
] as const)('over %s', (name, isInstalled, start) => {
  describe.skipIf(!isInstalled)('both command lines', { timeout: 120_000 }, () => {
    const own = new Releasers();
    let project: Project;
    let app: Celery;
    let workers: Readonly<Record<string, RunningCli>>;
    let env: Record<string, string>;

    beforeAll(async () => {
      const broker: Broker = own.own(await start());
      const results = own.own(await RedisServer.start());
      env = { BROKER: broker.url(), RESULTS: results.url(1) };
      project = createProject({ 'tasks.js': BOTH_TASKS, 'tasks.py': PYTHON_BOTH_TASKS });
      own.push(() => project.remove());
      app = own.own(new Celery('tasks', { broker: env.BROKER ?? '', backend: env.RESULTS ?? '' }));
      app.markConfigured();
      const worker = (node: string): string[] => [
        '-A',
        'tasks',
        'worker',
        '-n',
        node,
        '-c',
        '1',
        '-Q',
        `queue-${node}`,
        '-l',
        'INFO',
      ];
      workers = { [OURS]: startTs(worker(OURS)), [THEIRS]: startPython(worker(THEIRS)) };
      await Promise.all(Object.values(workers).map((each) => each.waitFor('ready.', 60_000)));
    }, 120_000);
    afterAll(() => own.release());

    function owned(started: RunningCli): RunningCli {
      own.push(async () => {
        started.kill('SIGKILL');
        await started.ended;
      });
      return started;
    }
    const startTs = (args: readonly string[]): RunningCli =>
      owned(startCli(args, { cwd: project.folder, env }));
    const startPython = (args: readonly string[]): RunningCli =>
      owned(startCli(['celery', ...args], { cwd: project.folder, env, node: python ?? '', program: '-m' }));
    const celeryTs = (...args: string[]): Promise<CliResult> =>
      runCli(['-A', 'tasks', ...args], { cwd: project.folder, env });
    const celery = (...args: string[]): Promise<CliResult> =>
      runCli(['celery', '-A', 'tasks', ...args], {
        cwd: project.folder,
        env,
        node: python ?? '',
        program: '-m',
      });

    it.runIf(name === 'RabbitMQ')('are compared in every remote control command', async () => {
      const { stdout } = await promisify(execFile)(python ?? '', ['-c', PANEL]);
      const theirs = JSON.parse(stdout) as readonly string[];
      const known = [
        ...COMMANDS.filter(({ hidden }) => hidden !== true),
        { kind: 'control', name: 'shutdown' },
      ];
      const wanted = [...theirs, ...known.map((command) => `${command.kind} ${command.name}`)];
      const typed = [...ROWS.map((row) => row.typed.replace('-j ', '')), 'control shutdown'].map((line) =>
        line.split(' ', 2).join(' '),
      );
      expect(wanted.filter((command) => !typed.includes(command))).toEqual([]);
    });

    it.runIf(name === 'RabbitMQ')('print the same results', async () => {
      for (const node of NODES) {
        const queue = `queue-${node}`;
        await app.sendTask('tasks.add', [2, 3], { taskId: `sum-${node}`, queue });
        await app.sendTask('tasks.fail', ['no'], { taskId: `failed-${node}`, queue });
        for (const args of [[`sum-${node}`], [`failed-${node}`], ['--traceback', `failed-${node}`]]) {
          const [ours, theirs] = await Promise.all([celeryTs('result', ...args), celery('result', ...args)]);
          expect([args, ours.code, ours.stdout]).toEqual([args, theirs.code, theirs.stdout]);
          expect(args.length === 1 || /(ValueError|Error): no\n/.test(ours.stdout)).toBe(true);
        }
      }
    });

    it('print the same events', async () => {
      await app.control.broadcast('enable_events', {}, { destination: NODES, reply: true, timeout: 30 });
      const dumps = [
        startTs(['-A', 'tasks', 'events', '--dump']),
        startPython(['-A', 'tasks', 'events', '--dump']),
      ];
      await Promise.all(
        dumps.map((dump) =>
          dump.waitFor(
            /ours@h.*heartbeat[^]*python@h.*heartbeat|python@h.*heartbeat[^]*ours@h.*heartbeat/,
            60_000,
          ),
        ),
      );
      for (const node of NODES)
        await app.sendTask('tasks.add', [2, 3], { taskId: `told-${node}`, queue: `queue-${node}` });
      await Promise.all(
        dumps.flatMap((dump) =>
          NODES.map((node) =>
            dump.waitFor(new RegExp(`succeeded: tasks.add\\(told-${node}\\).*\\n`), 60_000),
          ),
        ),
      );
      const told = dumps.map((dump) =>
        dump.stdout
          .split('\n')
          .filter((line) => line.includes('told-'))
          .map((line) => line.replaceAll(/local_received=[\d.]+/g, 'local_received=N')),
      );
      const [ours = [], theirs = []] = told.map((lines) => lines.sort());
      expect(ours).toHaveLength(6);
      expect(ours.map((line) => line.replace(/\[[-\d :.]+\]/, 'AT'))).toEqual(
        theirs.map((line) => line.replace(/\[[-\d :.]+\]/, 'AT')),
      );
      const times = (lines: readonly string[]): string[] =>
        lines.map((line) => /\[(.*?)\]/.exec(line)?.[1] ?? '');
      expect(times(ours)).toEqual(times(theirs));
      for (const dump of dumps) dump.kill('SIGINT');
      const codes = await Promise.all(dumps.map((dump) => dump.ended));
      expect(codes.map(({ code }) => code)).toEqual([0, 0]);
    });

    it.runIf(name === 'RabbitMQ')('purge alike', async () => {
      for (const typed of [
        'purge -f -Q parked',
        'purge -f -Q parked,other',
        'purge -f -Q parked -X parked',
      ]) {
        const printed: unknown[] = [];
        for (const program of [celeryTs, celery]) {
          for (const queue of ['parked', 'parked', 'other'])
            await app.sendTask('tasks.add', [1, 2], { queue });
          const { code, stdout } = await program(...typed.split(' '));
          printed.push([code, stdout]);
          await app.control.purge(['parked', 'other']);
        }
        expect([typed, printed[0]]).toEqual([typed, printed[1]]);
      }
    });

    // Celery asks RabbitMQ's management plugin, by a library that is not there.
    it.runIf(name === 'Redis')('list the same bindings', async () => {
      const [ours, theirs] = await Promise.all([celeryTs('list', 'bindings'), celery('list', 'bindings')]);
      const lines = ({ stdout }: CliResult): string[] => stdout.split('\n').map((line) => line.trimEnd());
      // Celery knows those of its own process, ours asks the broker.
      expect(lines(ours)).toEqual(expect.arrayContaining(lines(theirs)));
      for (const node of NODES) expect(ours.stdout).toContain(`queue-${node}`);
    });

    it('ask and change both workers alike', { timeout: 300_000 }, async () => {
      for (const node of NODES) {
        const queue = `queue-${node}`;
        await app.sendTask('tasks.sleep', [600], { taskId: `runs-${node}`, queue });
        await app.sendTask('tasks.add', [1, 2], { taskId: `waits-${node}`, queue });
        await app.sendTask('tasks.add', [1, 2], { taskId: `later-${node}`, eta: ETA, queue });
      }
      const inHand = async (): Promise<number> =>
        Object.values(
          (await app.control.inspect({ destination: NODES, timeout: 20 }).scheduled()) ?? {},
        ).flat().length;
      while ((await inHand()) < 2) await sleep(100);
      // What is printed does not depend on the broker.
      const rows = name === 'RabbitMQ' ? ROWS : ROWS.filter(({ typed }) => FEW.includes(typed));
      for (const row of rows) await compare(row);
    });

    async function compare({ typed, apart, first, processes, ours: alone }: Row): Promise<void> {
      const [command = '', ...rest] = typed.split(' ');
      const words = (to: string): string[] => [command, '-d', to, '-t', '30', ...rest];
      if (alone !== undefined) {
        const { code, stdout } = await celeryTs(...words(OURS));
        expect([typed, code, stdout.startsWith(`->  ${OURS}: OK\n`)]).toEqual([typed, 0, true]);
        return;
      }
      const prepare = async (): Promise<void> => {
        if (processes !== undefined) await haveProcesses(app, NODES, processes);
        if (first !== undefined)
          await app.control.broadcast(...first, { destination: NODES, reply: true, timeout: 30 });
      };
      let results: CliResult[];
      if (first === undefined) {
        results = await Promise.all([celeryTs(...words(NODES.join())), celery(...words(NODES.join()))]);
      } else {
        results = [];
        for (const program of [celeryTs, celery]) {
          await prepare();
          results.push(await program(...words(NODES.join())));
        }
      }
      for (const { stdout } of results)
        for (const [file] of stdout.matchAll(/[-\w/]+\.heapsnapshot/g)) rmSync(file, { force: true });
      const [ours, theirs] = results.map(({ code, stdout, stderr }) => ({
        typed,
        code,
        stderr,
        ...blocksOf(stdout),
      }));
      expect.soft(ours, typed).toEqual(theirs);
      const [fromOurs, fromTheirs] = ours?.blocks ?? [];
      expect.soft([typed, fromOurs?.node, fromTheirs?.node]).toEqual([typed, OURS, THEIRS]);
      if (apart === undefined) expect.soft([typed, fromOurs?.text]).toEqual([typed, fromTheirs?.text]);
      else expect.soft([typed, fromOurs?.text, apart]).not.toEqual([typed, fromTheirs?.text, apart]);
    }

    it.runIf(name === 'RabbitMQ')('refuse the same', async () => {
      for (const typed of REFUSED) {
        const [ours, theirs] = await Promise.all([
          celeryTs(...typed.split(' ')),
          celery(...typed.split(' ')),
        ]);
        expect([typed, ours.code]).toEqual([typed, theirs.code]);
      }
    });

    it('shut down each other’s worker', async () => {
      for (const node of NODES)
        await app.control.terminate(`runs-${node}`, { destination: [node], signal: 'KILL' });
      for (const [node, program] of [
        [OURS, celery],
        [THEIRS, celeryTs],
      ] as const) {
        const { code, stderr } = await program('control', '-d', node, '-t', '0.5', 'shutdown');
        expect([node, code, stderr]).toEqual([node, 69, 'Error: No nodes replied within time constraint\n']);
        expect([node, (await workers[node]?.ended)?.code]).toEqual([node, 0]);
      }
      const nobody = await Promise.all([celeryTs('status', '-t', '0.5'), celery('status', '-t', '0.5')]);
      expect(nobody.map(({ code }) => code)).toEqual([69, 69]);
    });
  });
});
