import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResultBackend } from '../../src/backend/backend.ts';
import { connectBackend, type BackendOptions } from '../../src/backend/connect.ts';
import {
  BackendError,
  BackendGetMetaError,
  BackendStoreError,
  OperationalError,
} from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { ResultMeta } from '../../src/message/result-meta.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import type { Delivery } from '../../src/transport/transport.ts';
import { backendContract, errorMeta, resultMeta } from '../contract/backend-suite.ts';
import { envelope } from '../support/messages.ts';
import { AMQP_OPTIONS, never } from '../support/amqp.ts';
import { backendOptions } from '../support/backend.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

const options = (url: string, more: Partial<BackendOptions> = {}): BackendOptions =>
  backendOptions({ transport: () => connectTransport(url, AMQP_OPTIONS), ...more });

describe.skipIf(!hasRabbitmq)('results over RabbitMQ', () => {
  let server: Rabbitmq;
  beforeAll(async () => {
    server = await Rabbitmq.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  backendContract('rpc over amqp', (given) =>
    Promise.resolve({
      client: connectBackend(
        'rpc://',
        options(server.url(), { resultExpiresS: given.resultExpiresS ?? null }),
      ),
      worker: connectBackend('rpc://', options(server.url())),
      dispose: () => Promise.resolve(),
    }),
  );

  describe('rpc', () => {
    let own: Releasers;
    let client: ResultBackend;
    let worker: ResultBackend;
    let id: string;

    beforeEach(() => {
      own = new Releasers();
      client = own.own(connectBackend('rpc://', options(server.url())));
      worker = own.own(connectBackend('rpc', options(server.url())));
      id = randomUUID();
    });
    afterEach(() => own.release());

    const store = (meta: ResultMeta): Promise<void> =>
      worker.store(meta, { replyTo: client.replyTo ?? '', correlationId: meta.taskId });
    const states = async (taskId = id): Promise<string[]> => {
      const seen: string[] = [];
      for await (const { status } of client.watch(taskId, AbortSignal.timeout(20_000))) seen.push(status);
      return seen;
    };

    /** Raw messages of the reply queue of somebody else, such as a Python client. */
    const mailbox = async (queue: string): Promise<() => Promise<Delivery | undefined>> => {
      const connection = own.own(await connectTransport(server.url(), AMQP_OPTIONS).connect(never()));
      const channel = own.own(await connection.openChannel());
      await channel.declareQueue({
        name: queue,
        routingKey: queue,
        durable: false,
        exclusive: false,
        autoDelete: true,
      });
      return () => channel.get(queue, { noAck: true });
    };

    it.each([
      [false, 1],
      [true, 2],
    ])('sends what Celery sends (persistent: %s)', async (persistent, deliveryMode) => {
      const queue = randomUUID();
      const next = await mailbox(queue);
      const sender = own.own(connectBackend('rpc://', options(server.url(), { persistent })));
      await sender.store(resultMeta(id, 'SUCCESS', 8), { replyTo: queue, correlationId: id });
      await sender.store(errorMeta(id, 'FAILURE'), { replyTo: queue, correlationId: id });
      const success = await next();
      expect(success).toMatchObject({ exchange: '', routingKey: queue });
      expect(success?.envelope).toMatchObject({
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        headers: {},
        properties: { correlationId: id, deliveryMode, priority: 0 },
      });
      expect(JSON.parse(success?.envelope.body.toString() ?? '')).toEqual({
        task_id: id,
        status: 'SUCCESS',
        result: 8,
        traceback: null,
        children: [],
      });
      expect(JSON.parse((await next())?.envelope.body.toString() ?? '')).toMatchObject({
        task_id: id,
        status: 'FAILURE',
        result: { exc_type: 'ValueError', exc_message: ['boom', 1], exc_module: 'builtins' },
      });
    });

    it('declares its reply queue as Celery does', async () => {
      await client.expect(id);
      const listed = await server.ctl(
        'list_queues',
        '--no-table-headers',
        'name',
        'durable',
        'auto_delete',
        'exclusive',
        'arguments',
      );
      expect(listed.split('\n').find((line) => line.startsWith(client.replyTo ?? '-'))).toBe(
        `${client.replyTo ?? ''}\tfalse\ttrue\tfalse\t[{"x-expires",86400000}]`,
      );
    });

    it('opens nothing for a worker that only sends, and nothing for nobody', async () => {
      await worker.store(resultMeta(id, 'SUCCESS', 1));
      await store(resultMeta(id, 'SUCCESS', 1));
      const listed = await server.ctl('list_queues', '--no-table-headers', 'name');
      expect(listed).not.toContain(worker.replyTo ?? '-');
    });

    it('gives every state to every watcher', async () => {
      await client.expect(id);
      const watching = Promise.all([states(), states()]);
      for (const status of ['STARTED', 'PROGRESS', 'RETRY', 'STARTED', 'SUCCESS']) {
        await store(status === 'RETRY' ? errorMeta(id, status) : resultMeta(id, status, 1));
      }
      const all = ['STARTED', 'PROGRESS', 'RETRY', 'STARTED', 'SUCCESS'];
      expect(await watching).toEqual([all, all]);
    });

    it('does not go back from a ready state', async () => {
      await client.expect(id);
      const watching = states();
      await store(resultMeta(id, 'SUCCESS', 'first'));
      await watching;
      const marker = randomUUID();
      await client.expect(marker);
      for (const late of [
        resultMeta(id, 'STARTED', 1),
        errorMeta(id, 'FAILURE'),
        resultMeta(marker, 'SUCCESS', 1),
      ]) {
        await store(late);
      }
      await states(marker);
      expect((await client.fetch(id))?.status).toBe('SUCCESS');
    });

    it.each([
      ['that is no document', envelope('nonsense', { properties: { correlationId: 'x' } })],
      ['of a type that is not accepted', envelope('{}', { contentType: 'application/x-python-serialize' })],
    ])('says so when a result %s arrives', async (_, message) => {
      await client.expect(id);
      const waiting = expect(states()).rejects.toBeInstanceOf(BackendGetMetaError);
      const connection = own.own(await connectTransport(server.url(), AMQP_OPTIONS).connect(never()));
      const channel = own.own(await connection.openChannel());
      const properties = { ...message.properties, correlationId: id };
      await channel.publish({ ...message, properties }, '', client.replyTo ?? '');
      await waiting;
      await expect(client.fetch(id)).rejects.toBeInstanceOf(BackendGetMetaError);
    });

    it('has no groups', async () => {
      await expect(client.saveGroup([['g', null], []])).rejects.toBeInstanceOf(BackendError);
      await expect(client.loadGroup('g')).rejects.toThrow(/rpc:\/\/ result backend cannot/);
    });

    it('listens again after the connection was lost, and sends what was to be sent', async () => {
      const before = randomUUID();
      await client.expect(before);
      await store(resultMeta(before, 'SUCCESS', 1));
      await states(before);
      await client.expect(id);
      const watching = states();
      await server.closeAllConnections();
      // The broker drops what is sent while nobody listens, so the reply queue has to be back first.
      const other = randomUUID();
      await expect
        .poll(
          () =>
            client.expect(other).then(
              () => true,
              () => false,
            ),
          { timeout: 20_000 },
        )
        .toBe(true);
      await store(resultMeta(id, 'SUCCESS', 2));
      expect(await watching).toEqual(['SUCCESS']);
    });

    it('listens again after its queue was deleted', async () => {
      await client.expect(id);
      const watching = states();
      const connection = own.own(await connectTransport(server.url(), AMQP_OPTIONS).connect(never()));
      const channel = own.own(await connection.openChannel());
      await channel.deleteQueue(client.replyTo ?? '');
      await expect
        .poll(
          async () => {
            await store(resultMeta(id, 'SUCCESS', 2));
            return (await client.fetch(id))?.status;
          },
          { timeout: 20_000 },
        )
        .toBe('SUCCESS');
      await watching;
    });

    it('survives a restart of the broker', async () => {
      await client.expect(id);
      await store(resultMeta(id, 'STARTED', 1));
      const watching = states();
      // Otherwise the broker may die before it has passed this on.
      await expect.poll(async () => (await client.fetch(id))?.status).toBe('STARTED');
      await server.kill();
      // Sent while the broker is away: waits for it.
      const queue = randomUUID();
      const sending = worker.store(resultMeta(id, 'PROGRESS', 1), { replyTo: queue, correlationId: id });
      await server.up();
      await sending;
      await expect
        .poll(
          () =>
            client.expect(id).then(
              () => true,
              () => false,
            ),
          { timeout: 20_000 },
        )
        .toBe(true);
      await store(resultMeta(id, 'SUCCESS', 1));
      expect(await watching).toEqual(['STARTED', 'SUCCESS']);
    }, 120_000);
  });
});

describe('rpc without a broker', () => {
  const unreachable = (): ResultBackend => connectBackend('rpc://', options('amqp://127.0.0.1:1//'));

  it('refuses to expect a result, in time', async () => {
    const backend = unreachable();
    await expect(backend.expect('id')).rejects.toBeInstanceOf(OperationalError);
    await backend[Symbol.asyncDispose]();
  });

  it('gives up sending when it is closed', async () => {
    const backend = unreachable();
    const sending = backend.store(resultMeta('id', 'SUCCESS', 1), { replyTo: 'q', correlationId: 'id' });
    const refused = expect(sending).rejects.toBeInstanceOf(BackendStoreError);
    await backend[Symbol.asyncDispose]();
    await refused;
  });
});
