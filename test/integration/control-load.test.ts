import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery } from '../../src/index.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { Worker } from '../../src/worker/worker.ts';
import type { RunningCli } from '../support/cli.ts';
import { startCli } from '../support/cli.ts';
import { LogLines } from '../support/log-lines.ts';
import type { Project } from '../support/project.ts';
import { createProject } from '../support/project.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';
import { SlotsPool } from '../support/slots-pool.ts';

/**
 * Askers in one process: each has a connection and a mailbox of its own, and would wait for ten minutes. With each answer
 * one more asks, so that few are about to ask at the same time.
 */
const ASKERS = `
import { Celery } from 'celery-ts';
const app = new Celery('askers', { broker: process.env.BROKER });
let answers = 0;
const onReply = () => {
  console.log('answer ' + (answers += 1));
  ask();
};
const ask = () => app.control.broadcast('ping', {}, { reply: true, timeout: 600, onReply });
for (let n = 0; n < 30; n += 1) ask();
`;

const TASKS = `
import { existsSync } from 'node:fs';
import { Celery } from 'celery-ts';
export const app = new Celery('tasks', { broker: process.env.BROKER, backend: 'cache+memory://' });
app.task('tasks.spin', () => {
  while (!existsSync('enough'));
});
`;

interface Broker extends AsyncDisposable {
  readonly url: string;
  /** Everything that it holds: queues, bindings, keys and their members. */
  holds(): Promise<readonly string[]>;
}

async function rabbitmq(): Promise<Broker> {
  const server = await Rabbitmq.start();
  const list = async (what: string): Promise<string[]> =>
    (await server.ctl(what)).split('\n').filter((line) => line !== '');
  return {
    url: server.url(),
    holds: async () =>
      [await list('list_exchanges'), await list('list_bindings'), await list('list_queues')].flat().sort(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const run = promisify(execFile);

async function redis(): Promise<Broker> {
  const server = await RedisServer.start();
  const cli = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await run('redis-cli', ['-p', String(server.port), ...args]);
    return stdout.split('\n').filter((line) => line !== '');
  };
  return {
    url: server.url(),
    holds: async () => {
      const keys = await cli('KEYS', '*');
      const bound = keys.filter((key) => key.startsWith('_kombu.binding.'));
      const members = await Promise.all(bound.map((key) => cli('SMEMBERS', key)));
      return [...keys, ...members.flat()].sort();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe.each([
  ['RabbitMQ', hasRabbitmq, rabbitmq, 300],
  ['Redis', hasRedis, redis, 1000],
] as const)('remote control over %s', (_name, isInstalled, start, killed) => {
  describe.skipIf(!isInstalled)('under load', { timeout: 120_000 }, () => {
    const own = new Releasers();
    let broker: Broker;
    let project: Project;

    beforeAll(async () => {
      broker = own.own(await start());
      project = createProject({ 'askers.js': ASKERS, 'tasks.js': TASKS });
      own.push(() => project.remove());
    });
    afterAll(() => own.release());

    function makeApp(): Celery {
      const app = new Celery('tasks', {
        ...{ broker: broker.url, backend: 'cache+memory://' },
      });
      app.markConfigured();
      return app;
    }

    async function startWorker(hostname: string): Promise<Worker> {
      const app = makeApp();
      const { logger } = new LogLines();
      const worker = new Worker(app, { hostname, pool: new SlotsPool(app, logger, 1), logger });
      own.push(() => app.close());
      await worker.start(new AbortController().signal);
      return worker;
    }

    function startProgram(program: string | undefined, ...args: string[]): RunningCli {
      const started = startCli(args, {
        ...{ cwd: project.folder, env: { BROKER: broker.url } },
        ...(program !== undefined && { program }),
      });
      own.push(async () => {
        started.kill('SIGKILL');
        await started.ended;
      });
      return started;
    }

    it('is answered by fifty workers, and as soon as the last has answered', async () => {
      const names = Array.from({ length: 50 }, (_each, index) => `w${String(index)}@h`).sort();
      const workers = await Promise.all(names.map(startWorker));
      await using app = makeApp();
      try {
        const nodes = (answers: object | null): string[] => Object.keys(answers ?? {}).sort();
        // Would wait for ten minutes if one were missing.
        expect(nodes(await app.control.inspect({ destination: names, timeout: 600 }).ping())).toEqual(names);
        const asks = Array.from({ length: 10 }, () =>
          app.control.inspect({ limit: 50, timeout: 600 }).stats(),
        );
        for (const answers of await Promise.all(asks)) expect(nodes(answers)).toEqual(names);
      } finally {
        await Promise.all(workers.map((worker) => worker.stop('cold')));
      }
    });

    it('leaves nothing behind of hundreds of askers that are killed', async () => {
      const worker = await startWorker('w@h');
      await using app = makeApp();
      try {
        await app.control.ping({ limit: 1, timeout: 600 });
        const before = await broker.holds();
        const askers = startProgram(project.path('askers.js'));
        // The others wait for their answer then, or are about to ask.
        await askers.waitFor(`answer ${String(killed)}`, 60_000);
        expect((await broker.holds()).length).toBeGreaterThan(before.length);
        askers.kill('SIGKILL');
        await askers.ended;
        await expect.poll(() => broker.holds(), { timeout: 60_000, interval: 500 }).toEqual(before);
        expect(await app.control.ping({ limit: 1, timeout: 600 })).toEqual([{ 'w@h': { ok: 'pong' } }]);
      } finally {
        await worker.stop('cold');
      }
    });

    it('answers a flood of commands while the only process is busy', async () => {
      const worker = startProgram(undefined, '-A', 'tasks', 'worker', '-n', 'w@h', '-c', '1', '-l', 'INFO');
      await worker.waitFor('ready.');
      await using app = makeApp();
      await app.sendTask('tasks.spin', [], { taskId: 'spins' });
      const to = { destination: ['w@h'], timeout: 60 };
      const active = async (): Promise<unknown> =>
        (await app.control.inspect(to).active())?.['w@h']?.map(({ id, worker_pid: pid }) => [
          id,
          pid !== null,
        ]);
      await expect.poll(active, { timeout: 20_000 }).toEqual([['spins', true]]);

      const casts = Array.from({ length: 1000 }, (_each, n) => app.control.revoke(`r${String(n)}`, to));
      const asks = Array.from({ length: 200 }, () => app.control.inspect(to).stats());
      const pids = (await Promise.all(asks)).map((answers) => answers?.['w@h']?.pid);
      expect(pids).toEqual(Array.from({ length: 200 }, () => worker.pid));
      await Promise.all(casts);
      await expect
        .poll(async () => (await app.control.inspect(to).revoked())?.['w@h']?.length, { timeout: 20_000 })
        .toBe(1000);

      expect(await active()).toEqual([['spins', true]]);
      project.write({ enough: '' });
      await worker.waitFor(/Task tasks\.spin\[spins\] succeeded/);
      worker.kill('SIGTERM');
      expect((await worker.ended).code).toBe(0);
    });
  });
});
