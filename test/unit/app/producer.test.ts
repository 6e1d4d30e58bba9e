import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Producer } from '../../../src/app/producer.ts';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { AccessRefused, Celery, OperationalError } from '../../../src/index.ts';
import type { Envelope } from '../../../src/message/message.ts';
import { connectTransport } from '../../../src/transport/connect.ts';
import type { Channel, Connection, Transport } from '../../../src/transport/transport.ts';
import { directQueue } from '../../support/messages.ts';

const options = {
  heartbeatS: 0,
  connectionTimeoutS: 1,
  failoverStrategy: 'round-robin',
  transportOptions: {},
  useSsl: false,
} as const;
const message: Envelope = {
  body: Buffer.from('[]'),
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  headers: {},
  properties: {},
};
const queue = directQueue('q');
const target = { queue, exchange: '', routingKey: 'q' };
const patient = { maxRetries: 3, intervalStartMs: 0, intervalStepMs: 1, intervalMaxMs: 2 };

/** The memory broker, watched, and broken on demand. */
class Watched implements Transport {
  readonly #inner = connectTransport(`memory://${crypto.randomUUID()}`, options);
  readonly scheme = 'memory';
  readonly url = this.#inner.url;
  readonly can = this.#inner.can;
  connects = 0;
  declares = 0;
  published = 0;
  /** Thrown by that many connection attempts. */
  failures: Error[] = [];
  last: Connection | undefined;
  /** What closing a connection does, in place of closing it. */
  closing?: () => Promise<void>;

  async connect(signal: AbortSignal): Promise<Connection> {
    this.connects += 1;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const connection = await this.#inner.connect(signal);
    this.last = connection;
    return {
      closed: connection.closed,
      openChannel: async () => this.#watch(await connection.openChannel()),
      administer: () => connection.administer(),
      [Symbol.asyncDispose]: () => this.closing?.() ?? connection[Symbol.asyncDispose](),
    };
  }

  #watch(channel: Channel): Channel {
    return new Proxy(channel, {
      get: (inner, name) => {
        if (name === 'declareQueue') this.declares += 1;
        if (name === 'publish') this.published += 1;
        const member = Reflect.get(inner, name, inner) as unknown;
        return typeof member === 'function' ? (member.bind(inner) as unknown) : member;
      },
    });
  }
}

let broker: Watched;
let producer: Producer;
const own = new Releasers();
beforeEach(() => {
  broker = new Watched();
  producer = own.own(new Producer(() => broker));
});
afterEach(() => own.release());

describe('Producer', () => {
  it('shares one connection, and declares a queue once', async () => {
    await Promise.all([1, 2, 3].map(() => producer.publish(message, target)));
    await producer.publish(message, target);
    expect([broker.connects, broker.declares, broker.published]).toEqual([1, 1, 4]);
  });

  it('connects again after a loss', async () => {
    await producer.publish(message, target);
    await broker.last?.[Symbol.asyncDispose]();
    await producer.publish(message, target, { retry: patient });
    expect([broker.connects, broker.declares]).toEqual([2, 2]);
  });

  it('goes on when the connection of a lost channel cannot even be closed', async () => {
    const escaped = vi.fn();
    process.on('unhandledRejection', escaped);
    try {
      broker.closing = () => Promise.reject(new Error('cannot be closed'));
      await producer.publish(message, target);
      await broker.last?.[Symbol.asyncDispose]();
      await producer.publish(message, target, { retry: patient });
      expect(broker.connects).toBe(2);
      await new Promise(setImmediate);
      expect(escaped).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', escaped);
      delete broker.closing;
    }
  });

  it('tries again as the policy says', async () => {
    broker.failures = [new OperationalError('1'), new OperationalError('2')];
    await producer.publish(message, target, { retry: patient });
    expect(broker.connects).toBe(3);
  });

  it.each<[string, object, Error, number]>([
    ['when the retries are used up', { retry: patient }, new OperationalError('down'), 4],
    ['at once without retries', { retry: false }, new OperationalError('down'), 1],
    ['at once when refused', { retry: patient }, new AccessRefused('no'), 1],
    ['at once for an error that is no loss', { retry: patient }, new TypeError('bug'), 1],
  ])('gives up %s', async (_, how, error, attempts) => {
    broker.failures = Array.from({ length: 9 }, () => error);
    await expect(producer.publish(message, target, how)).rejects.toBe(error);
    expect(broker.connects).toBe(attempts);
  });

  it('fails all that wait for the same attempt', async () => {
    broker.failures = [new OperationalError('down')];
    const results = await Promise.allSettled([1, 2, 3].map(() => producer.publish(message, target)));
    expect([results.map(({ status }) => status), broker.connects]).toEqual([
      ['rejected', 'rejected', 'rejected'],
      1,
    ]);
  });

  it('sends what is under way before it closes, and may be used again', async () => {
    const published = producer.publish(message, target);
    await producer.close();
    await published;
    await producer.close();
    await producer.publish(message, target);
    expect([broker.published, broker.connects]).toEqual([2, 2]);
  });

  it('gives up with the signal', async () => {
    const gone = new Error('gone');
    await expect(producer.publish(message, target, { signal: AbortSignal.abort(gone) })).rejects.toBe(gone);
  });
});

describe('delay without a broker', () => {
  let server: Server;
  const sockets = new Set<Socket>();
  beforeEach(async () => {
    server = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  const portOf = (): number => (server.address() as AddressInfo).port;

  it('rejects when nobody listens', async () => {
    const port = portOf();
    await new Promise((resolve) => server.close(resolve));
    const app = own.own(new Celery('a', { broker: `amqp://guest:secret@127.0.0.1:${port}//` }));
    const failure = app.sendTask('t');
    await expect(failure).rejects.toThrow(OperationalError);
    await expect(failure).rejects.not.toThrow(/secret/);
    server.listen(0);
  });

  it('rejects when the other side says nothing', async () => {
    const app = own.own(
      new Celery('a', { broker: `amqp://127.0.0.1:${portOf()}//`, broker_connection_timeout: 0.2 }),
    );
    const started = Date.now();
    await expect(app.sendTask('t', [], { retryPolicy: { maxRetries: 1 } })).rejects.toThrow(OperationalError);
    expect(Date.now() - started).toBeLessThan(3000);
  });
});
