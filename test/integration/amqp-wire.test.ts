import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectBackend } from '../../src/backend/connect.ts';
import { OperationalError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import type { Queue } from '../../src/transport/topology.ts';
import type { Channel, Connection } from '../../src/transport/transport.ts';
import { errorMeta, resultMeta } from '../contract/backend-suite.ts';
import { directQueue, envelope, Inbox } from '../support/messages.ts';
import { AMQP_OPTIONS, never } from '../support/amqp.ts';
import { backendOptions } from '../support/backend.ts';
import { python, runPython } from '../support/python.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

/** Publishes one message with every kind of header that kombu can write. */
const PUBLISH = `
import sys, datetime, decimal
from kombu import Connection, Producer
with Connection(sys.argv[1]) as connection:
    Producer(connection.channel()).publish(
        [1, 'ü'], routing_key=sys.argv[2], serializer='json', correlation_id='c', reply_to='r', priority=3, expiration=60,
        headers={'b': True, 'f': 1.25, 'n': None, 'big': 5000000000, 'neg': -7, 'list': ['a', 5000000000, None, {'k': -5000000000}],
                 'map': {'k': {'d': 1, 'L': 5000000001}}, 'min': -2147483648, 'text': 'Lüge',
                 'date': datetime.datetime(2026, 11, 22), 'decimal': decimal.Decimal('1.25'), 'last': 2**53 - 1})
`;

/** Prints a message as kombu sees it. */
const CONSUME = `
import sys, json
from kombu import Connection
with Connection(sys.argv[1]) as connection:
    message = connection.channel().basic_get(sys.argv[2], no_ack=True)
    shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in message.headers.items()}
    shown['types'] = {k: type(v).__name__ for k, v in message.headers.items()}
    print(json.dumps({'headers': shown, 'properties': {k: v for k, v in message.properties.items() if k != 'application_headers'},
                      'type': message.content_type, 'encoding': message.content_encoding, 'body': message.body if isinstance(message.body, str) else message.body.decode()}, default=str))
`;

/** Sends a task over rpc://, prints the reply queue, then the result. */
const CALL = `
import sys
from celery import Celery
app = Celery('x', broker=sys.argv[1], backend='rpc://')
first = app.send_task('tasks.add', (4, 4), task_id=sys.argv[2])
second = app.send_task('tasks.fail', (), task_id=sys.argv[3])
print(first.get(timeout=30))
print(repr(second.get(timeout=30, propagate=False)))
`;

describe.skipIf(!hasRabbitmq)('the wire of RabbitMQ', () => {
  let server: Rabbitmq;
  let own: Releasers;
  let connection: Connection;
  let channel: Channel;
  let queue: Queue;

  beforeAll(async () => {
    server = await Rabbitmq.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    own = new Releasers();
    connection = own.own(await connectTransport(server.url(), AMQP_OPTIONS).connect(never()));
    channel = own.own(await connection.openChannel());
    queue = directQueue(`q-${randomUUID()}`);
  });
  afterEach(() => own.release());

  describe.skipIf(python === undefined)('with the real Celery', () => {
    it('reads what Python publishes, 64-bit numbers too', async () => {
      await channel.declareQueue(queue);
      await runPython(PUBLISH, server.url(), queue.name);
      const got = await channel.get(queue.name);
      const { body, contentType, contentEncoding, properties, headers } = got!.envelope;
      expect({ body, contentType, contentEncoding, properties, headers }).toEqual({
        body: Buffer.from('[1, "\\u00fc"]'),
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        properties: { correlationId: 'c', replyTo: 'r', priority: 3, expiration: '60000', deliveryMode: 2 },
        headers: {
          b: true,
          f: 1.25,
          n: null,
          big: 5_000_000_000,
          neg: -7,
          list: ['a', 5_000_000_000, null, { k: -5_000_000_000 }],
          map: { k: { d: 1, L: 5_000_000_001 } },
          min: -2_147_483_648,
          text: 'Lüge',
          date: new Date('2026-11-22T00:00:00Z'),
          decimal: 1.25,
          last: Number.MAX_SAFE_INTEGER,
        },
      });
      await got?.ack();
    });

    it('writes what Python reads', async () => {
      await channel.declareQueue(queue);
      const headers = {
        t: true,
        f: 1.25,
        n: null,
        zero: 0,
        small: 5,
        neg: -7,
        int: 2_147_483_647,
        min: -2_147_483_648,
        big: 5_000_000_000,
        low: -5_000_000_000,
        huge: 2n ** 62n,
        list: ['a', 1, null, [-1]],
        map: { k: { d: -129 }, '!': 'byte' },
        text: 'ü',
        bytes: Buffer.from([0, 255]),
      };
      const properties = {
        correlationId: 'c',
        replyTo: 'r',
        deliveryMode: 2,
        priority: 9,
        expiration: '60000',
      } as const;
      await channel.publish(envelope('{}', { headers, properties }), '', queue.name);
      const seen = JSON.parse(await runPython(CONSUME, server.url(), queue.name)) as Record<string, unknown>;
      expect(seen).toMatchObject({
        type: 'application/json',
        encoding: 'utf-8',
        body: '{}',
        properties: {
          correlation_id: 'c',
          reply_to: 'r',
          delivery_mode: 2,
          priority: 9,
          expiration: '60000',
        },
        headers: {
          ...headers,
          bytes: '00ff',
          huge: Number(headers.huge),
          types: {
            t: 'bool',
            f: 'float',
            zero: 'int',
            small: 'int',
            big: 'int',
            huge: 'int',
            bytes: expect.any(String) as string,
          },
        },
      });
    });

    it('answers a Python client', async () => {
      const ids = [randomUUID(), randomUUID()] as const;
      const client = runPython(CALL, server.url(), ...ids);
      await channel.declareQueue(directQueue('celery'));
      const inbox = new Inbox();
      await channel.consume(directQueue('celery'), (delivery) => {
        inbox.take(delivery);
        void delivery.ack();
      });
      const tasks = await inbox.arrived(2);
      const backend = own.own(
        connectBackend(
          'rpc://',
          backendOptions({ transport: () => connectTransport(server.url(), AMQP_OPTIONS) }),
        ),
      );
      expect(tasks.map(({ envelope: { headers } }) => headers.id)).toEqual(ids);
      expect(tasks[0]?.envelope.headers).toMatchObject({
        lang: 'py',
        task: 'tasks.add',
        retries: 0,
        timelimit: [null, null],
      });
      for (const [index, id] of ids.entries()) {
        const replyTo = tasks[index]?.envelope.properties.replyTo ?? '';
        const reply = { replyTo, correlationId: id };
        await backend.store(resultMeta(id, 'STARTED', { pid: 1, hostname: 'x' }), reply);
        await backend.store(index === 0 ? resultMeta(id, 'SUCCESS', 8) : errorMeta(id, 'FAILURE'), reply);
      }
      expect((await client).trim().split('\n')).toEqual(['8', "ValueError('boom', 1)"]);
    });
  });

  describe('what it declares', () => {
    const shown = async (what: string, ...columns: string[]): Promise<string[]> =>
      (await server.ctl(what, '--no-table-headers', ...columns)).split('\n');

    it('queues, exchanges and bindings with their properties', async () => {
      const name = `t-${randomUUID()}`;
      await channel.declareQueue(
        directQueue(name, {
          exchange: { name, type: 'topic', durable: false, autoDelete: true },
          routingKey: 'video.#',
          bindingArguments: { 'x-test': 1 },
          durable: false,
          autoDelete: true,
          arguments: { 'x-max-priority': 10, 'x-message-ttl': 300_000, 'x-expires': 10_000 },
        }),
      );
      expect(await shown('list_queues', 'name', 'durable', 'auto_delete', 'arguments')).toContain(
        `${name}\tfalse\ttrue\t[{"x-max-priority",10},{"x-message-ttl",300000},{"x-expires",10000}]`,
      );
      expect(await shown('list_exchanges', 'name', 'type', 'durable', 'auto_delete')).toContain(
        `${name}\ttopic\tfalse\ttrue`,
      );
      expect(await shown('list_bindings', 'source_name', 'destination_name', 'routing_key')).toContain(
        `${name}\t${name}\tvideo.#`,
      );
    });

    it('says what differs when a queue exists with other properties; only that channel is gone', async () => {
      await channel.declareQueue(queue);
      const other = own.own(await connection.openChannel());
      const refused = await other.declareQueue({ ...queue, durable: false }).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(OperationalError);
      expect((refused as Error).message).toMatch(
        new RegExp(
          `^Cannot declare queue ${queue.name}: PRECONDITION_FAILED - inequivalent arg 'durable' .*received 'false' but current is 'true'.*delete it`,
        ),
      );
      expect(await other.closed).toBeInstanceOf(OperationalError);
      await expect(other.declareQueue(queue)).rejects.toThrow(/PRECONDITION_FAILED/);
      await channel.declareQueue(queue);
    });

    it('nothing that is not to be declared', async () => {
      await channel.declareQueue({ ...queue, noDeclare: true });
      await channel.declareExchange({
        name: queue.name,
        type: 'direct',
        durable: true,
        autoDelete: false,
        noDeclare: true,
      });
      await channel.declareExchange({ name: '', type: 'direct', durable: true, autoDelete: false });
      expect(await shown('list_queues', 'name')).not.toContain(queue.name);
      expect(await shown('list_exchanges', 'name')).not.toContain(queue.name);
    });
  });

  describe('quorum queues', () => {
    const quorum = (): Queue => directQueue(`q-${randomUUID()}`, { arguments: { 'x-queue-type': 'quorum' } });

    it('limit each consumer, also those that were there before', async () => {
      const [first, second] = [quorum(), quorum()];
      for (const each of [queue, first, second]) {
        await channel.declareQueue(each);
        const count = each === queue ? 20 : 3;
        for (let sent = 0; sent < count; sent += 1) await channel.publish(envelope('x'), '', each.name);
      }
      await channel.prefetch(2);
      const inbox = new Inbox();
      for (const each of [queue, first, second]) await channel.consume(each, inbox.take);
      // The classic one came under a limit of its own when it held two messages already.
      await inbox.arrived(8);
      await expect.poll(() => channel.size(queue.name)).toBe(16);
      for (const each of [first, second]) await expect.poll(() => channel.size(each.name)).toBe(1);
      await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
      await inbox.arrived(10);
    });

    it('take several consumers that start at once', async () => {
      const queues = [quorum(), quorum(), quorum()];
      for (const each of queues) {
        await channel.declareQueue(each);
        for (const body of ['1', '2', '3']) await channel.publish(envelope(body), '', each.name);
      }
      await channel.prefetch(1);
      const inbox = new Inbox();
      await Promise.all(queues.map((each) => channel.consume(each, inbox.take)));
      await inbox.arrived(3);
      for (const each of queues) await expect.poll(() => channel.size(each.name)).toBe(2);
    });
  });

  it('refuses headers that have no form in AMQP, and goes on', async () => {
    await channel.declareQueue(queue);
    await channel.publish(envelope('large', { headers: { text: 'x'.repeat(100_000) } }), '', queue.name);
    expect((await channel.get(queue.name))?.envelope.headers['text']).toHaveLength(100_000);
    const tooLarge = envelope('x', { headers: { text: 'x'.repeat(140_000) } }); // More than a frame.
    await expect(channel.publish(tooLarge, '', queue.name)).rejects.toThrow(/cannot be sent over AMQP/);
    await expect(
      channel.publish(envelope('x', { headers: { n: 2n ** 64n } }), '', queue.name),
    ).rejects.toThrow(/64 bits/);
    await expect(channel.publish(envelope('x'), '', 'k'.repeat(300))).rejects.toThrow(
      /cannot be sent over AMQP/,
    );
    await channel.publish(envelope('fine'), '', queue.name);
    expect((await channel.get(queue.name))?.envelope.body.toString()).toBe('fine');
  });

  it('says when the broker refuses a message', async () => {
    await channel.declareQueue({
      ...queue,
      arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
    });
    await channel.publish(envelope('1'), '', queue.name);
    await expect(channel.publish(envelope('2'), '', queue.name)).rejects.toThrow(/refused/);
    await channel.purge(queue.name);
    await channel.publish(envelope('3'), '', queue.name);
  });

  it('holds publishes back while the broker has no memory, and sends them afterwards', async () => {
    await channel.declareQueue(queue);
    const pressed = own.own(await connection.openChannel({ confirm: false }));
    const observer = own.own(await connectTransport(server.url(), AMQP_OPTIONS).connect(never()));
    const counting = own.own(await observer.openChannel());
    await server.ctl('set_vm_memory_high_watermark', '0.00001');
    try {
      const count = 5_000;
      const body = Buffer.alloc(20_000, 'x');
      let done = 0;
      const sending = Promise.all(
        Array.from({ length: count }, async () => {
          await pressed.publish(envelope(body), '', queue.name);
          done += 1;
        }),
      );
      await counting.size(queue.name);
      expect(done).toBeLessThan(count);
      await server.ctl('set_vm_memory_high_watermark', '0.4');
      await sending;
      await expect.poll(() => counting.size(queue.name), { timeout: 20_000 }).toBe(count);
    } finally {
      await server.ctl('set_vm_memory_high_watermark', '0.4');
    }
  }, 60_000);
});
