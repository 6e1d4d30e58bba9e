import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { EventDispatcher, MAX_KEPT } from '../../src/app/event-dispatcher.ts';
import { Reject } from '../../src/core/errors.ts';
import { decodeBody } from '../../src/message/registry.ts';
import type { Delivery } from '../../src/transport/transport.ts';
import { Worker } from '../../src/worker/worker.ts';
import type { WorkerOptions } from '../../src/worker/worker.ts';
import { LogLines } from '../support/log-lines.ts';
import { freePorts } from '../support/ports.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { SlotsPool } from '../support/slots-pool.ts';

interface Recorded {
  readonly routing_key: string;
  readonly list: boolean;
  readonly fields: Readonly<Record<string, string>>;
}

const FIXTURE = join(import.meta.dirname, '../fixtures/wire/events.json');
const RECORDED = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Readonly<Record<string, Recorded>>;

let own: (() => unknown)[] = [];
afterEach(async () => {
  for (const release of own.reverse()) await release();
  own = [];
});

function makeApp(broker: string): Celery {
  const app = new Celery('tasks', { broker, backend: 'disabled://' });
  app.markConfigured();
  own.push(() => app.close());
  app.task('tasks.add', (x: number, y: number) => x + y);
  app.task('tasks.quiet', { sendEvents: false }, () => 1);
  app.task('tasks.fail', () => {
    throw new Error('boom');
  });
  app.task('tasks.flaky', { bind: true }, (self) => {
    if (self.request.retries < 1) throw self.retry({ countdown: 0 });
  });
  app.task('tasks.reject', { acksLate: true }, () => {
    throw new Reject('no', false);
  });
  app.task('tasks.emit', { bind: true }, (self) => self.sendEvent('task-progress', { pct: 40, note: 'ø' }));
  return app;
}

async function startWorker(app: Celery, options: Partial<WorkerOptions>): Promise<Worker> {
  const { logger } = new LogLines();
  const worker = new Worker(app, {
    hostname: 'w@h',
    pool: new SlotsPool(app, logger, 1),
    logger,
    ...options,
  });
  own.push(() => worker.stop('cold'));
  await worker.start(new AbortController().signal);
  return worker;
}

/** All messages that reach an exchange. */
async function tap(app: Celery, exchange: string, type: string): Promise<Delivery[]> {
  const connection = await app.transport().connect(new AbortController().signal);
  own.push(() => connection[Symbol.asyncDispose]());
  const channel = await connection.openChannel();
  const queue = {
    ...{
      name: randomUUID(),
      routingKey: '#',
      durable: false,
      exclusive: false,
      autoDelete: true,
      noAck: true,
    },
    exchange: { name: exchange, type, durable: type === 'topic', autoDelete: false },
  };
  await channel.declareQueue(queue);
  const deliveries: Delivery[] = [];
  await channel.consume(queue, (delivery) => void deliveries.push(delivery));
  return deliveries;
}

function bodyOf({ envelope }: Delivery): unknown {
  return decodeBody(envelope, new Set(['application/json']));
}

function pythonType(value: unknown): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'bool';
  return Array.isArray(value) ? 'list' : 'str';
}

describe('events', () => {
  it('have the fields, routing keys and properties of Celery’s', async () => {
    const app = makeApp(`memory://${randomUUID()}`);
    app.conf.worker_send_task_events = true;
    app.conf.task_send_sent_event = true;
    const deliveries = await tap(app, 'celeryev', 'topic');
    const worker = await startWorker(app, { heartbeatInterval: 0.05 });
    await app.sendTask('tasks.add', [1, 2]);
    for (const name of ['fail', 'flaky', 'reject', 'emit', 'quiet']) await app.sendTask(`tasks.${name}`);
    worker.state?.revoked.add('revoked');
    await app.sendTask('tasks.add', [1, 2], { taskId: 'revoked' });
    const seen = new Map<string, Readonly<Record<string, unknown>>>();
    const wires = new Map<string, unknown>();
    const read = (): void => {
      for (const delivery of deliveries.splice(0)) {
        const body = bodyOf(delivery);
        const { properties, headers } = delivery.envelope;
        for (const event of (Array.isArray(body) ? body : [body]) as Record<string, unknown>[]) {
          const type = String(event.type);
          if (!seen.has(type)) seen.set(type, event);
          const { routingKey: routing_key } = delivery;
          wires.set(type, { routing_key, list: Array.isArray(body), properties, headers });
        }
      }
    };
    const expected = Object.keys(RECORDED).sort();
    while (seen.size < expected.length - 1) {
      await pause(10);
      read();
    }
    await worker.stop('warm');
    while (!seen.has('worker-offline')) {
      await pause(10);
      read();
    }
    expect([...seen.keys()].sort()).toEqual(expected);
    for (const [type, recorded] of Object.entries(RECORDED)) {
      const event = seen.get(type) ?? {};
      const types = Object.entries(recorded.fields).map(([name, kind]) => [
        name,
        kind === 'int' || kind === 'float' ? 'number' : kind,
      ]);
      const ours = Object.entries(event).map(([name, value]) => [name, pythonType(value)]);
      expect([type, Object.fromEntries(ours)]).toEqual([type, Object.fromEntries(types)]);
      expect([type, wires.get(type)]).toEqual([
        type,
        {
          routing_key: recorded.routing_key,
          list: recorded.list,
          properties: { deliveryMode: 1, priority: 0 },
          headers: { hostname: event.hostname },
        },
      ]);
    }
  });

  it('of tasks are sent from when they are enabled until they are disabled', async () => {
    const app = makeApp(`memory://${randomUUID()}`);
    const { logger } = new LogLines();
    const dispatcher = new EventDispatcher(app, { hostname: 'w@h', taskEvents: false, logger });
    const deliveries = await tap(app, 'celeryev', 'topic');
    dispatcher.send('task-started', { uuid: 'off' });
    expect([dispatcher.enable(), dispatcher.enable()]).toEqual([true, false]);
    for (const uuid of ['1', '2', '3']) dispatcher.send('task-started', { uuid });
    expect([dispatcher.disable(), dispatcher.disable()]).toEqual([true, false]);
    dispatcher.send('task-started', { uuid: 'off again' });
    dispatcher.send('worker-heartbeat');
    await dispatcher.close();
    while (deliveries.length < 2) await pause(5);
    const [batch, heartbeat] = deliveries.map(bodyOf);
    expect((batch as { uuid: string }[]).map(({ uuid }) => uuid)).toEqual(['1', '2', '3']);
    expect(heartbeat).toMatchObject({ type: 'worker-heartbeat', hostname: 'w@h' });
  });

  it('are kept up to a bound while there is no broker, and do not keep the worker from ending', async () => {
    const [port = 0] = await freePorts(1);
    const app = makeApp(`amqp://127.0.0.1:${String(port)}`);
    const log = new LogLines();
    const dispatcher = new EventDispatcher(app, { hostname: 'w@h', taskEvents: true, logger: log.logger });
    for (let count = 0; count < MAX_KEPT + 2; count += 1) dispatcher.send('task-started', { uuid: 'x' });
    expect(log.matching(/only the last 10000 are kept/)).toHaveLength(1);
    const before = Date.now();
    await dispatcher.close();
    expect(Date.now() - before).toBeLessThan(3000);
    expect(log.matching(/10000 could not be sent/)).toHaveLength(1);
  });
});

describe.skipIf(!hasRabbitmq)('20 workers', { timeout: 90_000 }, () => {
  it('send nothing but their heartbeats when nothing happens', async () => {
    await using server = await Rabbitmq.start();
    const observer = makeApp(server.url());
    const events = await tap(observer, 'celeryev', 'topic');
    const commands = await tap(observer, 'celery.pidbox', 'fanout');
    const replies = await tap(observer, 'reply.celery.pidbox', 'direct');
    const intervalS = 1;
    const names = Array.from({ length: 20 }, (_each, index) => `w${String(index)}@h`);
    await Promise.all(
      names.map((hostname) =>
        startWorker(makeApp(server.url()), {
          ...{ hostname, heartbeatInterval: intervalS, gossip: true, mingle: true },
        }),
      ),
    );
    const count = (type: string): number =>
      events.filter((delivery) => (bodyOf(delivery) as { type?: string }).type === type).length;
    while (count('worker-online') < 20) await pause(10);
    const before = { events: events.length, commands: commands.length };
    expect(before.commands).toBe(20);
    const seconds = 4;
    await pause(seconds * 1000);
    const quiet = events.slice(before.events);
    const ofEach = names.map(
      (name) =>
        quiet.filter((delivery) => (bodyOf(delivery) as { hostname?: string }).hostname === name).length,
    );
    for (const number of ofEach) {
      expect(number).toBeGreaterThanOrEqual(seconds / intervalS - 2);
      expect(number).toBeLessThanOrEqual(seconds / intervalS + 1);
    }
    expect(new Set(quiet.map(({ routingKey }) => routingKey))).toEqual(new Set(['worker.heartbeat']));
    expect([commands.length, replies.length]).toEqual([20, 0]);
    // Last opened first closed, one after the other, would take long.
    await Promise.all(
      own
        .splice(0)
        .reverse()
        .map((release) => release()),
    );
  });
});

describe.skipIf(!hasRabbitmq)('a worker that asks its neighbours', { timeout: 90_000 }, () => {
  it('can be stopped meanwhile', async () => {
    await using server = await Rabbitmq.start();
    const app = makeApp(server.url());
    const { logger } = new LogLines();
    const pool = new SlotsPool(app, logger, 1);
    const worker = new Worker(app, { hostname: 'w@h', pool, logger, mingle: true, gossip: true });
    // A neighbour that is asked, and does not answer.
    const questions = await tap(app, 'celery.pidbox', 'fanout');
    const started = worker.start(new AbortController().signal);
    while (questions.length === 0) await pause(10);
    await worker.stop('warm');
    await started;
    expect(await worker.finished).toMatchObject({ how: 'warm' });
    for (const release of own.splice(0).reverse()) await release();
  });
});
