import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Releasers } from '../../src/core/lifecycle.ts';
import { Celery, OperationalError, Queue } from '../../src/index.ts';
import type { AppSettings, SignatureJson } from '../../src/index.ts';
import { startWorker } from '../../src/testing/worker.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

interface Servers {
  readonly broker: string;
  readonly backend: string;
}

/** What an app does over every broker and backend, with a worker in the same process. */
function appContract(name: string, servers: () => Promise<Servers>): void {
  describe(`an app over ${name}`, { timeout: 30_000 }, () => {
    const own = new Releasers();
    let settings: AppSettings;

    beforeEach(async () => {
      settings = { ...(await servers()), task_default_queue: `q-${randomUUID()}` };
    });
    afterEach(() => own.release());

    function makeApp(more: AppSettings = {}): Celery {
      const app = own.own(new Celery('tests', { ...settings, ...more }));
      app.task('tasks.add', (x: number, y: number) => x + y);
      app.task('tasks.fail', () => {
        throw new RangeError('boom');
      });
      return app;
    }

    test('delay and get', async () => {
      const app = makeApp({ result_extended: true });
      own.own(await startWorker(app));
      const result = await app.call('tasks.add', [4, 4]);
      expect(await result.get({ timeout: 10 })).toBe(8);
      expect(await Promise.all([result.ready(), result.successful(), result.state()])).toEqual([
        true,
        true,
        'SUCCESS',
      ]);
      const many = await Promise.all(Array.from({ length: 50 }, (_, n) => app.call('tasks.add', [n, 1])));
      expect(await Promise.all(many.map((each) => each.get({ timeout: 10 })))).toEqual(
        many.map((_, n) => n + 1),
      );
    });

    test('arguments by name, from a program that does not define the task', async () => {
      const app = makeApp();
      own.own(await startWorker(app));
      const client = own.own(new Celery('client', settings));
      const result = await client.sendTask<number>('tasks.add', [], { kwargs: { y: 1, x: 2 } });
      expect(await result.get({ timeout: 10 })).toBe(3);
      const wrong = await client.sendTask('tasks.add', [1]);
      await expect(wrong.get({ timeout: 10 })).rejects.toThrow(
        "add() missing 1 required positional argument: 'y'",
      );
    });

    test('a failure, with where it was', async () => {
      const app = makeApp();
      own.own(await startWorker(app));
      const result = await app.call('tasks.fail', []);
      const error = await result.get({ timeout: 10 }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({
        message: 'boom',
        remoteTraceback: expect.stringContaining('app.test.ts') as string,
      });
      expect(await result.traceback()).toContain('RangeError: boom');
      expect(await result.get({ propagate: false })).toBeInstanceOf(RangeError);
    });

    test('states of its own, as they come', async () => {
      const app = makeApp();
      const steps = app.task('tasks.steps', { bind: true }, async (self, seen: string) => {
        await self.updateState('PROGRESS', { seen });
        await expect.poll(() => states, { timeout: 5000 }).toContain('PROGRESS');
        return seen;
      });
      const states: string[] = [];
      own.own(await startWorker(app));
      const result = await steps.delay('half');
      for await (const { state, info } of result.updates()) {
        states.push(state);
        if (state === 'PROGRESS') expect(info).toEqual({ seen: 'half' });
      }
      expect(states.at(-1)).toBe('SUCCESS');
    });

    test('calls inside a task belong to it', async () => {
      const app = makeApp();
      const inner = app.task('tasks.inner', { bind: true }, (self) => [
        self.request.rootId,
        self.request.parentId,
      ]);
      const outer = app.task('tasks.outer', async () => (await inner.delay()).id);
      own.own(await startWorker(app));
      const result = await outer.delay();
      const innerId = await result.get({ timeout: 10 });
      const [child] = (await result.children()) ?? [];
      expect(child?.id).toBe(innerId);
    });

    test('countdown holds a task back', async () => {
      const app = makeApp();
      own.own(await startWorker(app));
      const started = Date.now();
      const result = await app.call('tasks.add', [1, 1], { countdown: 0.4 });
      expect(await result.get({ timeout: 10 })).toBe(2);
      expect(Date.now() - started).toBeGreaterThanOrEqual(390);
    });

    test('routes to a queue that another worker consumes', async () => {
      const video = `video-${randomUUID()}`;
      const app = makeApp({
        task_routes: { 'tasks.a*': video },
        task_queues: [new Queue(String(settings.task_default_queue)), new Queue(video, video, video)],
      });
      own.own(await startWorker(app, { queues: [video] }));
      expect(await (await app.call('tasks.add', [1, 1])).get({ timeout: 10 })).toBe(2);
      await expect((await app.call('tasks.fail', [])).get({ timeout: 0.3 })).rejects.toThrow('timed out');
    });

    test('link sends what follows', async () => {
      const app = makeApp();
      const taskId = randomUUID();
      const link: SignatureJson = {
        task: 'tasks.add',
        args: [10],
        kwargs: {},
        options: { task_id: taskId },
        subtask_type: null,
        immutable: false,
      };
      const seen: unknown[] = [];
      app.task(
        'tasks.seen',
        { ignoreResult: true },
        (value: unknown, id: unknown) => void seen.push(value, id),
      );
      own.own(await startWorker(app));
      await app.call('tasks.add', [1, 2], {
        link: [link, { ...link, task: 'tasks.seen', args: ['ten'], options: {} }],
      });
      await expect.poll(() => seen, { timeout: 10_000 }).toEqual([3, 'ten']);
    });

    test('remote control', async () => {
      const app = makeApp();
      const worker = own.own(await startWorker(app, { hostname: `w-${randomUUID()}` }));
      const destination = [worker.hostname];
      expect(await app.control.inspect({ destination, timeout: 10 }).ping()).toEqual({
        [worker.hostname]: { ok: 'pong' },
      });
      expect(
        await app.control.rateLimit('tasks.add', '10/m', { reply: true, destination, timeout: 10 }),
      ).toEqual([{ [worker.hostname]: { ok: 'new rate limit set successfully' } }]);
      expect(
        await app.control.rateLimit('nothing', '10/m', { reply: true, destination, timeout: 10 }),
      ).toEqual([{ [worker.hostname]: { error: 'unknown task' } }]);
      await app.AsyncResult(randomUUID()).revoke();
    });

    test('closes in the middle of things, and goes on', async () => {
      const app = makeApp();
      const pending = await app.call('tasks.add', [1, 1]);
      const waiting = pending.get();
      const closed = expect(waiting).rejects.toThrow(OperationalError);
      await new Promise(setImmediate);
      await Promise.all([app.close(), app.close()]);
      await closed;
      own.own(await startWorker(app));
      expect(await (await app.call('tasks.add', [2, 2])).get({ timeout: 10 })).toBe(4);
    });
  });
}

appContract('memory://', () =>
  Promise.resolve({ broker: `memory://${randomUUID()}`, backend: 'cache+memory://' }),
);

describe('sqlite', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'celery-ts-app-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  appContract('sqlite://', () => {
    const url = `sqlite:///${join(folder, `${randomUUID()}.db`)}`;
    return Promise.resolve({ broker: url, backend: url });
  });
});

describe.skipIf(!hasRabbitmq)('RabbitMQ', () => {
  let server: Rabbitmq;
  beforeAll(async () => {
    server = await Rabbitmq.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  appContract('amqp://', () => Promise.resolve({ broker: server.url(), backend: 'rpc://' }));

  test('a queue of other properties is an error that names it, and the next call works', async () => {
    const name = `q-${randomUUID()}`;
    const app = new Celery('first', { broker: server.url(), task_default_queue: name });
    const other = new Celery('second', {
      broker: server.url(),
      task_default_queue: name,
      task_queue_max_priority: 10,
    });
    try {
      await app.sendTask('t');
      await expect(other.sendTask('t', [], { retry: false })).rejects.toThrow(name);
      other.conf.task_queue_max_priority = null;
      await other.sendTask('t');
    } finally {
      await app.close();
      await other.close();
    }
  });

  test('remote control leaves nothing behind', async () => {
    const app = new Celery('control', { broker: server.url() });
    try {
      await app.control.ping({ timeout: 0.2 });
      expect(await server.ctl('list_queues', 'name', '--quiet')).not.toContain('reply.celery.pidbox');
    } finally {
      await app.close();
    }
  });
});
