import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import type { TaskOptions } from '../../src/app/options.ts';
import { Reject } from '../../src/core/errors.ts';
import type { Envelope } from '../../src/message/message.ts';
import type { Settings } from '../../src/settings/settings.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { Worker } from '../../src/worker/worker.ts';
import type { WorkerOptions } from '../../src/worker/worker.ts';
import { Gates } from '../support/gates.ts';
import { LogLines } from '../support/log-lines.ts';
import { SlotsPool } from '../support/slots-pool.ts';

/** A broker for the worker's tests, empty. */
export interface WorkerBroker extends AsyncDisposable {
  readonly url: string;
  /** Results to go with it. */
  readonly backend: string;
}

const never = (): AbortSignal => new AbortController().signal;

/** A worker with its app and log; `gate` holds its tasks. */
interface Running {
  readonly app: Celery;
  readonly worker: Worker;
  readonly pool: SlotsPool;
  readonly log: LogLines;
  readonly hostname: string;
}

/** What every worker must do over every broker that can hold tasks. */
export function workerContract(name: string, makeBroker: () => Promise<WorkerBroker>): void {
  describe(`a worker over ${name}`, () => {
    let broker: WorkerBroker;
    let own: (() => Promise<unknown>)[];
    const gates = new Gates();
    let runs: string[];

    beforeEach(async () => {
      broker = await makeBroker();
      own = [];
      runs = [];
      gates.clear();
    });

    afterEach(async () => {
      gates.openAll();
      for (const release of own.reverse()) await release();
      await broker[Symbol.asyncDispose]();
    });

    function makeApp(settings: Settings = {}, task: Omit<TaskOptions, 'bind'> = {}): Celery {
      const app = new Celery('tests', { broker: broker.url, backend: broker.backend, ...settings });
      app.markConfigured();
      own.push(() => app.close());
      app.task('tasks.add', task, (x: number, y: number) => x + y);
      app.task('tasks.other', { rateLimit: null }, () => 'other');
      app.task('tasks.fail', task, () => {
        throw new RangeError('boom');
      });
      // Runs until the test opens its gate.
      app.task('tasks.gated', task, async (gate: string) => {
        runs.push(gate);
        await gates.wait(gate);
        return gate;
      });
      app.task('tasks.flaky', { ...task, bind: true }, (self, failures: number) => {
        if (self.request.retries < failures) throw self.retry({ countdown: 0.1, exc: new Error('again') });
        return self.request.retries;
      });
      app.task('tasks.again', { ...task, acksLate: true, bind: true }, (self) => {
        if (!self.request.deliveryInfo.redelivered) throw new Reject('not yet', true);
        return 'second';
      });
      app.task('tasks.progress', { ...task, bind: true }, async (self, gate: string) => {
        await self.updateState('PROGRESS', { done: 1 });
        await gates.wait(gate);
        return 'done';
      });
      return app;
    }

    async function start(app: Celery, options: Partial<WorkerOptions> = {}, size = 2): Promise<Running> {
      const log = new LogLines();
      const pool = new SlotsPool(app, log.logger, size);
      const hostname = `celery@${randomUUID()}`;
      const worker = new Worker(app, { hostname, pool, logger: log.logger, ...options });
      own.push(() => worker.stop('cold'));
      await worker.start(never());
      return { app, worker, pool, log, hostname };
    }

    async function withChannel<T>(app: Celery, use: (channel: Channel) => Promise<T>): Promise<T> {
      const connection = await app.transport().connect(never());
      try {
        return await use(await connection.openChannel());
      } finally {
        await connection[Symbol.asyncDispose]();
      }
    }

    function publish(app: Celery, envelope: Partial<Envelope>): Promise<void> {
      const message: Envelope = {
        body: Buffer.from('[[1, 2], {}, {}]'),
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        headers: {},
        properties: {},
        ...envelope,
      };
      return withChannel(app, async (channel) => {
        await channel.publish(message, '', 'celery');
      });
    }

    function waiting(app: Celery, queue = 'celery'): Promise<number> {
      return withChannel(app, (channel) => channel.size(queue));
    }

    function send(app: Celery, task: string, args: unknown[] = [], options = {}) {
      return app.sendTask(task, args, options);
    }

    describe('tasks', () => {
      test('run again, here too, when they reject their message to its queue', async () => {
        const { app } = await start(makeApp());
        const results = await Promise.all([1, 2, 3].map(() => send(app, 'tasks.again')));
        const values = await Promise.all(results.map((result) => result.get({ timeout: 20 })));
        expect(values).toEqual(['second', 'second', 'second']);
      });

      test('run, and their results come back', async () => {
        const { app, log, worker } = await start(makeApp());
        const results = await Promise.all([...Array(20).keys()].map((n) => send(app, 'tasks.add', [n, 1])));
        const values = await Promise.all(results.map((result) => result.get({ timeout: 20 })));
        expect(values).toEqual([...Array(20).keys()].map((n) => n + 1));
        await log.until(/succeeded in [\d.e-]+s: 20$/);
        expect(log.matching(/^INFO\/MainProcess Task tasks.add\[[-\w]+\] received$/)).toHaveLength(20);
        await worker.stop('warm');
        expect(worker.state).toMatchObject({
          reserved: new Set(),
          active: new Map(),
          totals: new Map([['tasks.add', 20]]),
        });
      });

      test('that fail say why', async () => {
        const { app, log } = await start(makeApp());
        const result = await send(app, 'tasks.fail');
        await expect(result.get({ timeout: 20 })).rejects.toThrow('boom');
        expect(await log.until(/raised unexpected/)).toMatch(
          /^ERROR\/SlotsWorker-1 .*RangeError\('boom'\)\nRangeError: boom/,
        );
      });

      test('retry until they succeed, under one id', async () => {
        const { app, log } = await start(makeApp());
        const result = await send(app, 'tasks.flaky', [2]);
        expect(await result.get({ timeout: 20 })).toBe(2);
        await log.until(/succeeded/);
        expect(log.matching(/retry: Retry in 0.1s: Error\('again'\)/)).toHaveLength(2);
        expect(new Set(log.lines.join('\n').match(/(?<=tasks\.flaky\[)[-\w]+/g))).toEqual(
          new Set([result.id]),
        );
      });

      test('call what is linked, and the steps of a chain', async () => {
        const { app, log } = await start(makeApp());
        const signature = (options: object) => ({
          ...{ task: 'tasks.add', args: [10], kwargs: {}, subtask_type: null, immutable: false },
          options: { ...options },
        });
        const step = randomUUID();
        const result = await send(app, 'tasks.add', [1, 1], {
          link: [signature({})],
          chain: [signature({ task_id: step })],
        });
        expect(await result.get({ timeout: 20 })).toBe(2);
        await log.until(/succeeded in .*: 12$/, 2);
        expect(log.matching(new RegExp(`tasks.add\\[${step}\\] succeeded`))).toHaveLength(1);
      });

      test('tell how they get on, STARTED first', async () => {
        const { app } = await start(makeApp({}, { trackStarted: true }));
        const result = await send(app, 'tasks.progress', ['p']);
        const states: string[] = [];
        for await (const update of result.updates()) {
          states.push(update.state);
          if (update.state === 'PROGRESS') {
            expect(update.info).toEqual({ done: 1 });
            await gates.open('p');
          }
        }
        expect(states.slice(-2)).toEqual(['PROGRESS', 'SUCCESS']);
      });
    });

    describe('without prefetching', () => {
      test.each([
        ['early', false],
        ['late', true],
      ])('no message is held for which no slot is free: acknowledged %s', async (_, acksLate) => {
        const settings = { worker_disable_prefetch: true };
        const { app, log } = await start(makeApp(settings, { acksLate }));
        for (const gate of ['a', 'b', 'c', 'd', 'e']) await send(app, 'tasks.gated', [gate]);
        await gates.arrival('b');
        await gates.open('a');
        await gates.arrival('c');
        // Another worker gets all the others, and the first goes on when it can.
        const other = await start(makeApp({}, { acksLate }), {}, 4);
        for (const gate of ['b', 'd', 'e']) await gates.arrival(gate);
        expect(other.pool.started).toHaveLength(2);
        expect(log.matching(/received/)).toHaveLength(3);
        gates.openAll();
        await other.worker.stop('warm');
        const more = await Promise.all([1, 2, 3].map((n) => send(app, 'tasks.add', [n, 0])));
        expect(await Promise.all(more.map((result) => result.get({ timeout: 20 })))).toEqual([1, 2, 3]);
      });
    });

    describe('time', () => {
      test('a task with a countdown waits; others pass it however many there are', async () => {
        const { app, log } = await start(makeApp({ worker_prefetch_multiplier: 1 }), {}, 1);
        const sentMs = Date.now();
        const held = await Promise.all(
          [...Array(10).keys()].map((n) => send(app, 'tasks.add', [n, 0], { countdown: 1.5 })),
        );
        const quick = await send(app, 'tasks.other');
        expect(await quick.get({ timeout: 20 })).toBe('other');
        expect(Date.now() - sentMs).toBeLessThan(1400);
        expect(await Promise.all(held.map((result) => result.get({ timeout: 20 })))).toEqual([
          ...Array(10).keys(),
        ]);
        expect(Date.now() - sentMs).toBeGreaterThanOrEqual(1400);
        expect(log.matching(/received/)).toHaveLength(11);
      });

      test('a task that expires while it waits for a slot, or for its time, is revoked', async () => {
        const { app, log } = await start(makeApp(), {}, 1);
        await send(app, 'tasks.gated', ['busy']);
        await gates.arrival('busy');
        const late = await send(app, 'tasks.add', [1, 1], { expires: 0.2 });
        const eta = await send(app, 'tasks.add', [1, 1], { countdown: 0.4, expires: 0.2 });
        await log.until(/received/, 3);
        await pause(600);
        await gates.open('busy');
        await expect(late.get({ timeout: 20 })).rejects.toThrow('expired');
        await expect(eta.get({ timeout: 20 })).rejects.toThrow('expired');
        await log.until(/Discarding revoked task: tasks.add\[[-\w]+\]$/, 2);
      });

      test('a rate limit spaces tasks, in order, and other types are not kept waiting', async () => {
        const app = makeApp({ worker_prefetch_multiplier: 1 }, { rateLimit: '10/s' });
        const { log } = await start(app, {}, 1);
        const startMs = Date.now();
        const limited = await Promise.all([...Array(8).keys()].map((n) => send(app, 'tasks.add', [n, 0])));
        const quick = await send(app, 'tasks.other');
        await quick.get({ timeout: 20 });
        const quickMs = Date.now() - startMs;
        await Promise.all(limited.map((result) => result.get({ timeout: 20 })));
        expect(Date.now() - startMs).toBeGreaterThanOrEqual(680);
        expect(quickMs).toBeLessThan(600);
        await log.until(/succeeded/, 9);
        const order = log.matching(/tasks.add.*succeeded/).map((line) => Number(line.split(': ').at(-1)));
        expect(order).toEqual([...order].sort((a, b) => a - b));
      });
    });

    describe('remote control', () => {
      test('answers while all slots are busy', async () => {
        const { app, hostname } = await start(makeApp(), {}, 1);
        await send(app, 'tasks.gated', ['busy']);
        await gates.arrival('busy');
        expect(await app.control.ping({ destination: [hostname], timeout: 5 })).toEqual([
          { [hostname]: { ok: 'pong' } },
        ]);
        expect(await app.control.ping({ destination: ['celery@nobody'], timeout: 0.2 })).toEqual([]);
      });

      test.each([
        { task: 'tasks.add', rate: '10/m', reply: { ok: 'new rate limit set successfully' } },
        { task: 'tasks.add', rate: null, reply: { ok: 'rate limit disabled successfully' } },
        { task: 'tasks.add', rate: 0, reply: { ok: 'rate limit disabled successfully' } },
        { task: 'tasks.add', rate: '0', reply: { ok: 'new rate limit set successfully' } },
        { task: 'tasks.nonesuch', rate: '10/m', reply: { error: 'unknown task' } },
        {
          task: 'tasks.add',
          rate: 'bogus',
          reply: {
            error: `Invalid rate limit string: ValueError("could not convert string to float: 'bogus'")`,
          },
        },
      ])('rate_limit $task $rate', async ({ task, rate, reply }) => {
        const { app, hostname } = await start(makeApp());
        const replies = await app.control.broadcast(
          'rate_limit',
          { task_name: task, rate_limit: rate },
          { reply: true, destination: [hostname], timeout: 5 },
        );
        expect(replies).toEqual([{ [hostname]: reply }]);
      });

      test('revoke discards a task before it runs', async () => {
        const { app, hostname } = await start(makeApp());
        const result = await app.sendTask('tasks.add', [1, 1], { countdown: 0.5 });
        const replies = await app.control.broadcast(
          'revoke',
          { task_id: result.id, terminate: false, signal: 'SIGTERM' },
          { reply: true, destination: [hostname], timeout: 5 },
        );
        expect(replies).toEqual([{ [hostname]: { ok: `tasks {'${result.id}'} flagged as revoked` } }]);
        expect(await result.get({ timeout: 10, propagate: false })).toMatchObject({ message: 'revoked' });
        expect(await result.state()).toBe('REVOKED');
      });

      test('tells what it has in hand, and ends what it is told to', async () => {
        const { app, hostname, pool } = await start(makeApp(), {}, 1);
        const to = { destination: [hostname], reply: true, timeout: 5 };
        const ask = app.control.inspect(to);
        const running = await send(app, 'tasks.gated', ['held']);
        await gates.arrival('held');
        const waiting = await send(app, 'tasks.add', [1, 2]);
        const later = await app.sendTask('tasks.add', [3, 4], { countdown: 600 });
        await expect.poll(async () => (await ask.scheduled())?.[hostname]?.length).toBe(1);
        const ids = (infos: readonly { id: string }[] | undefined): unknown => infos?.map(({ id }) => id);
        expect(ids((await ask.active())?.[hostname])).toEqual([running.id]);
        expect(ids((await ask.reserved())?.[hostname])).toEqual([waiting.id]);
        expect((await ask.scheduled())?.[hostname]?.[0]?.request).toMatchObject({
          id: later.id,
          args: [3, 4],
        });
        expect((await ask.queryTask(running.id, waiting.id, later.id))?.[hostname]).toMatchObject({
          [running.id]: ['active', { name: 'tasks.gated', worker_pid: process.pid, acknowledged: true }],
          [waiting.id]: ['reserved', { time_start: null, acknowledged: false }],
        });
        await app.control.timeLimit('tasks.other', { soft: 5, hard: 6 }, to);
        const other = await send(app, 'tasks.other', []);
        expect(await app.control.terminate([running.id, waiting.id, later.id], to)).toEqual([
          { [hostname]: { ok: `terminate: ${running.id}, ${waiting.id}` } },
        ]);
        for (const [result, message] of [
          [running, 'terminated'],
          [waiting, 'revoked'],
        ] as const) {
          expect(await result.get({ timeout: 10, propagate: false })).toMatchObject({ message });
        }
        await other.get({ timeout: 10 });
        expect(pool.started.at(-1)).toMatchObject({ task: 'tasks.other', softTimeLimit: 5, timeLimit: 6 });
        expect((await ask.revoked())?.[hostname]).toEqual([running.id, waiting.id, later.id]);
      });

      test('consumes queues as it is told, and discards by stamps', async () => {
        const { app, hostname, log } = await start(makeApp());
        const to = { destination: [hostname], reply: true, timeout: 5 };
        await app.control.addConsumer('extra', to);
        const result = await app.sendTask('tasks.add', [1, 2], { queue: 'extra' });
        expect(await result.get({ timeout: 10 })).toBe(3);
        await app.control.cancelConsumer('extra', to);
        await expect
          .poll(async () =>
            (await app.control.inspect(to).activeQueues())?.[hostname]?.map(({ name }) => name),
          )
          .toEqual(['celery']);
        await app.control.revokeByStampedHeaders({ customer: ['7', '8'] }, to);
        const stamped = (id: string, customer: unknown): Promise<void> =>
          publish(app, {
            headers: {
              lang: 'js',
              task: 'tasks.add',
              id,
              stamped_headers: ['customer'],
              stamps: { customer },
            },
          });
        await stamped('one', '7');
        await stamped('two', ['6', '8']);
        await stamped('three', ['6']);
        await log.until(/Discarding revoked task: tasks.add\[(one|two)\]$/, 2);
        await log.until(/tasks.add\[three\] succeeded/);
      });

      test('runs commands of its app, and shuts down when told', async () => {
        const app = makeApp();
        app.inspectCommand('double', { args: { n: 'int' } }, async (worker, { n = 0 }) => {
          await Promise.resolve();
          return { of: worker.hostname, is: n * 2 };
        });
        app.controlCommand('break', {}, () => {
          throw new RangeError('broken');
        });
        const { hostname, worker } = await start(app);
        const to = { destination: [hostname], reply: true, timeout: 5 };
        expect(await app.control.inspect(to).ask('double', { n: 4 })).toEqual({
          [hostname]: { of: hostname, is: 8 },
        });
        expect(await app.control.broadcast('break', {}, to)).toEqual([
          { [hostname]: { error: "RangeError('broken')" } },
        ]);
        await app.control.shutdown({ destination: ['other@h'] });
        expect(await app.control.ping(to)).toHaveLength(1);
        await app.control.shutdown({ pattern: hostname });
        expect(await worker.finished).toEqual({ how: 'warm', error: undefined });
      });

      test('rate_limit holds at once, and lets go again', async () => {
        const { app, hostname, log } = await start(makeApp());
        const limit = (rate: string | null) =>
          app.control.broadcast(
            'rate_limit',
            { task_name: 'tasks.add', rate_limit: rate },
            { reply: true, destination: [hostname], timeout: 5 },
          );
        await limit('1/h');
        const results = await Promise.all([1, 2, 3].map((n) => send(app, 'tasks.add', [n, 0])));
        await log.until(/received/, 3);
        await log.until(/succeeded/, 1);
        await pause(100);
        expect(log.matching(/succeeded/)).toHaveLength(1);
        await limit(null);
        await Promise.all(results.map((result) => result.get({ timeout: 20 })));
      });

      test('an unknown command is answered with an error', async () => {
        const { app, hostname, log } = await start(makeApp());
        const replies = await app.control.broadcast(
          'nosuchcommand',
          {},
          { reply: true, destination: [hostname], timeout: 5 },
        );
        expect(replies).toEqual([{ [hostname]: { error: "KeyError('nosuchcommand')" } }]);
        await log.until(/^ERROR\/MainProcess pidbox command error: KeyError\('nosuchcommand'\)/);
      });
    });

    describe('a message that cannot run', () => {
      const id = 'bad-1';
      const headers = { task: 'tasks.add', id };

      test.each<{ what: string; message: Partial<Envelope>; line: RegExp; error?: string }>([
        {
          what: 'an unknown task',
          message: { headers: { task: 'tasks.unknown', id } },
          line: /^ERROR\/MainProcess Received unregistered task of type 'tasks\.unknown'\.\nThe message has been ignored and discarded\.[^]*b'\[\[1, 2\], \{\}, \{\}\]' \(16b\)/,
          error: 'NotRegistered',
        },
        {
          what: 'a body that is not JSON',
          message: { headers, body: Buffer.from('[[1, 2') },
          line: /^CRITICAL\/MainProcess Can't decode message body: DecodeError\(/,
          error: 'DecodeError',
        },
        {
          what: 'a body of another shape',
          message: { headers, body: Buffer.from('"text"') },
          line: /^ERROR\/MainProcess Received invalid task message/,
          error: 'InvalidTaskError',
        },
        {
          what: 'a content type that is not accepted',
          message: { headers, contentType: 'application/x-python-serialize', contentEncoding: 'binary' },
          line: /^CRITICAL\/MainProcess Can't decode message body: ContentDisallowed\(/,
          error: 'ContentDisallowed',
        },
        {
          what: 'no id',
          message: { headers: { task: 'tasks.add' } },
          line: /^ERROR\/MainProcess Received invalid task message: .*'id'/,
        },
        {
          what: 'an eta that is no time',
          message: { headers: { ...headers, eta: 'soon' } },
          line: /^ERROR\/MainProcess Received invalid task message: .*soon/,
          error: 'InvalidTaskError',
        },
        {
          what: 'no task at all',
          message: {},
          line: /^WARNING\/MainProcess Received and deleted unknown message {2}?\. {2}Wrong destination|^WARNING\/MainProcess Received and deleted unknown message\. {2}Wrong destination\?!\?/,
        },
        {
          what: 'no task at all, and no JSON either',
          message: { body: Buffer.from([0xff, 0xfe]) },
          line: /^CRITICAL\/MainProcess Can't decode message body/,
        },
      ])('$what: is logged and dropped, and the worker goes on', async ({ message, line, error }) => {
        const { app, worker, log } = await start(makeApp());
        const result = app.AsyncResult(id);
        await publish(app, message);
        await log.until(line);
        const next = await send(app, 'tasks.add', [1, 2]);
        expect(await next.get({ timeout: 20 })).toBe(3);
        if (error !== undefined && app.backend.can.shared) {
          await expect(result.get({ timeout: 20 })).rejects.toMatchObject({ name: error });
        }
        await worker.stop('warm');
        expect(await waiting(app)).toBe(0);
      });

      test('protocol 1 runs', async () => {
        const { app, log } = await start(makeApp());
        const body = {
          task: 'tasks.add',
          id: 'old-1',
          args: [2, 3],
          kwargs: {},
          retries: 0,
          eta: null,
          expires: null,
        };
        await publish(app, { body: Buffer.from(JSON.stringify(body)) });
        await log.until(/Task tasks\.add\[old-1\] succeeded in .*: 5$/);
      });
    });

    describe('queues', () => {
      test('only the selected ones are consumed, also those that exist only by -Q', async () => {
        const app = makeApp();
        const { worker } = await start(app, { queues: ['video'] });
        expect(worker.queues.map((queue) => queue.name)).toEqual(['video']);
        await send(app, 'tasks.add', [1, 1], { queue: 'celery' });
        const result = await send(app, 'tasks.add', [1, 2], { queue: 'video' });
        expect(await result.get({ timeout: 20 })).toBe(3);
        expect(await waiting(app)).toBe(1);
      });

      test('purge empties them before anything runs', async () => {
        const app = makeApp();
        for (let n = 0; n < 3; n += 1) await send(app, 'tasks.gated', [`old-${n}`]);
        const purged: number[] = [];
        const { worker } = await start(app, {
          purge: true,
          listener: { onPurged: (count) => purged.push(count) },
        });
        const result = await send(app, 'tasks.add', [1, 1]);
        expect(await result.get({ timeout: 20 })).toBe(2);
        await worker.stop('warm');
        expect(purged).toEqual([3]);
        expect(runs).toEqual([]);
      });
    });

    describe('shutdown', () => {
      test('warm: running tasks finish, everything else is back in the queue, nothing more starts', async () => {
        const { app, worker, pool, hostname, log } = await start(makeApp(), {}, 1);
        const running = await send(app, 'tasks.gated', ['run']);
        await gates.arrival('run');
        for (let n = 0; n < 2; n += 1) await send(app, 'tasks.gated', [`waiting-${n}`]);
        await send(app, 'tasks.add', [1, 1], { countdown: 600 });
        await app.control.rateLimit('tasks.other', '1/h', {
          reply: true,
          destination: [hostname],
          timeout: 5,
        });
        for (let n = 0; n < 2; n += 1) await send(app, 'tasks.other');
        await log.until(/received/, 6);
        const stopped = worker.stop('warm');
        while ((await waiting(app)) < 5) await pause(10);
        expect(await app.control.ping({ destination: [hostname], timeout: 5 })).toHaveLength(1);
        await gates.open('run');
        await stopped;
        expect(await running.get({ timeout: 20 })).toBe('run');
        expect(await worker.finished).toEqual({ how: 'warm', error: undefined });
        expect(pool.started).toHaveLength(1);
        expect(await waiting(app)).toBe(5);
      });

      test.each([
        { mode: 'late', task: { acksLate: true }, left: 1 },
        { mode: 'early', task: {}, left: 0 },
      ])('cold: the running task is ended; acknowledged $mode, $left go back', async ({ task, left }) => {
        const { app, worker, pool } = await start(makeApp({}, task), {}, 1);
        await send(app, 'tasks.gated', ['run']);
        await gates.arrival('run');
        await worker.stop('cold');
        expect(await waiting(app)).toBe(left);
        expect(pool.started).toHaveLength(1);
        expect((await worker.finished).how).toBe('cold');
      });

      test('cold during warm ends the wait', async () => {
        const modes: string[] = [];
        const { app, worker } = await start(makeApp({}, { acksLate: true }), {
          listener: { onStopping: (how) => modes.push(how) },
        });
        await send(app, 'tasks.gated', ['run']);
        await gates.arrival('run');
        const warm = worker.stop('warm');
        const again = worker.stop('warm');
        await Promise.all([worker.stop('cold'), warm, again]);
        expect(modes).toEqual(['warm', 'cold']);
        expect(await waiting(app)).toBe(1);
      });

      test('what went back is run by the next worker', async () => {
        const app = makeApp({}, { acksLate: true });
        const first = await start(app, {}, 1);
        const result = await send(app, 'tasks.gated', ['run']);
        await gates.arrival('run');
        await first.worker.stop('cold');
        gates.clear();
        await start(app, {}, 1);
        await gates.open('run');
        expect(await result.get({ timeout: 20 })).toBe('run');
      });
    });

    test('starts and stops many times at once', async () => {
      const app = makeApp();
      await Promise.all(
        [...Array(10).keys()].map(async () => {
          const log = new LogLines();
          const pool = new SlotsPool(app, log.logger);
          const worker = new Worker(app, { hostname: `celery@${randomUUID()}`, pool, logger: log.logger });
          const started = worker.start(never());
          const early = Math.random() < 0.5;
          if (!early) await started;
          await Promise.all([worker.stop('warm'), worker.stop('warm')]);
          await started;
          expect(await worker.finished).toEqual({ how: 'warm', error: undefined });
        }),
      );
    });

    test('a worker that was stopped before it started does nothing', async () => {
      const app = makeApp();
      const log = new LogLines();
      const worker = new Worker(app, {
        hostname: 'celery@x',
        pool: new SlotsPool(app, log.logger),
        logger: log.logger,
      });
      await worker.stop('warm');
      await worker.start(never());
      expect(log.lines).toEqual([]);
    });
  });
}
