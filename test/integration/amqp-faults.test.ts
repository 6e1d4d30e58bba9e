import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as connectSocket, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AccessRefused, OperationalError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { connectTransport, type TransportOptions } from '../../src/transport/connect.ts';
import type { Channel, Connection, Delivery } from '../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../support/messages.ts';
import { AMQP_OPTIONS, never } from '../support/amqp.ts';
import { freePorts } from '../support/ports.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

const failure = async (promise: Promise<unknown>): Promise<Error> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
};
const connect = (url: string | string[], more: Partial<TransportOptions> = {}): Promise<Connection> =>
  connectTransport(url, { ...AMQP_OPTIONS, ...more }).connect(never());

/** A certificate of localhost that nobody has signed. */
async function certificate(own: Releasers): Promise<{ key: Buffer; cert: Buffer; file: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-tls-'));
  own.push(() => rm(folder, { recursive: true }));
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const form = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  execFileSync('openssl', [...form, '-keyout', keyFile, '-out', file, ...subject], { stdio: 'ignore' });
  return { key: await readFile(keyFile), cert: await readFile(file), file };
}

describe.skipIf(!hasRabbitmq)('RabbitMQ in trouble', () => {
  let server: Rabbitmq;
  let own: Releasers;

  beforeAll(async () => {
    server = await Rabbitmq.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    own = new Releasers();
  });
  afterEach(() => own.release());

  describe('an open connection', () => {
    const queue = directQueue('faults', { durable: true });
    let connection: Connection;
    let channel: Channel;
    let inbox: Inbox;
    let pending: Promise<Error>[];

    /** One delivery unsettled, one consumer, and calls under way in the moment of the fault. */
    const open = async (heartbeatS = 120): Promise<void> => {
      connection = own.own(await connect(server.url(), { heartbeatS }));
      channel = own.own(await connection.openChannel());
      await channel.declareQueue(queue);
      await channel.purge(queue.name);
      inbox = new Inbox();
      await channel.publish(envelope('held'), '', queue.name);
      await channel.consume(queue, inbox.take);
      await inbox.arrived(1);
    };
    const underWay = (): void => {
      pending = [
        failure(channel.publish(envelope(Buffer.alloc(500_000)), '', queue.name)),
        failure(channel.declareQueue(queue)),
        failure(channel.size(queue.name)),
        failure(connection.openChannel()),
      ];
    };
    /** Nothing hangs, nothing is refused without an OperationalError, nobody is told twice. */
    const isGone = async (): Promise<Error | undefined> => {
      const reason = await connection.closed;
      expect(reason).toBeInstanceOf(OperationalError);
      expect(reason?.message).toMatch(/^Connection to amqp:\/\/guest:\*\*@127\.0\.0\.1:\d+\/\/ was lost: /);
      expect(await channel.closed).toBe(reason);
      expect(await Promise.all(pending)).toEqual(pending.map(() => expect.any(OperationalError) as Error));
      await inbox.deliveries[0]?.ack();
      await expect(channel.publish(envelope('x'), '', queue.name)).rejects.toBeInstanceOf(OperationalError);
      await expect(connection.openChannel()).rejects.toBeInstanceOf(OperationalError);
      await channel[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
      return reason;
    };

    it('ends with the broker killed, and comes back', async () => {
      await open();
      server.freeze();
      underWay();
      await server.kill();
      await isGone();
      await server.up();
      await open();
    }, 120_000);

    it('ends with the broker stopped in good order, and says why', async () => {
      await open();
      pending = [];
      await server.stop();
      expect((await isGone())?.message).toMatch(/CONNECTION_FORCED/);
      await server.up();
    }, 120_000);

    it('ends when the broker closes it, and says why', async () => {
      await open();
      pending = [];
      await server.closeAllConnections('maintenance');
      expect((await isGone())?.message).toMatch(/CONNECTION_FORCED.*maintenance/);
    });

    it('fails the acks of the turn in which it ends', async () => {
      const broken = own.own(await connect(server.url()));
      const held: Delivery[] = [];
      // Asked before the channel does: it hears of the end first.
      const refused = broken.closed.then(() => failure(held[0]?.ack() ?? Promise.resolve()));
      const other = await broken.openChannel();
      await other.declareQueue(queue);
      await other.publish(envelope('held'), '', queue.name);
      held.push(...[await other.get(queue.name)].filter((delivery) => delivery !== undefined));
      await server.closeAllConnections('maintenance');
      expect(await refused).toBeInstanceOf(OperationalError);
    });

    it('ends when the broker does not move for two heartbeats', async () => {
      await open(1);
      server.freeze();
      underWay();
      try {
        await connection.closed;
        // Nobody has to dispose it for the socket to go: the broker will never acknowledge its end.
        const sockets = (): number =>
          process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
        await expect.poll(sockets, { timeout: 5_000 }).toBe(0);
        expect((await isGone())?.message).toMatch(/Heartbeat timeout/);
      } finally {
        server.thaw();
      }
    });

    it('can be closed while the broker does not move', async () => {
      await open();
      server.freeze();
      underWay();
      try {
        await connection[Symbol.asyncDispose]();
        expect(await connection.closed).toBeUndefined();
        expect(await channel.closed).toBeUndefined();
        expect(await Promise.all(pending)).toEqual(pending.map(() => expect.any(OperationalError) as Error));
      } finally {
        server.thaw();
      }
    });

    it('lives on when the broker only stood still for a moment', async () => {
      await open(3);
      server.freeze();
      const publishing = channel.publish(envelope('later'), '', queue.name);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      server.thaw();
      await publishing;
      await inbox.arrived(2);
    });

    it('loses only the channel on which something was wrong', async () => {
      await open();
      const other = own.own(await connection.openChannel());
      const name = `q-${randomUUID()}`;
      await failure(other.consume(directQueue(name), () => undefined));
      expect((await other.closed)?.message).toMatch(/NOT_FOUND/);
      await channel.publish(envelope('fine'), '', queue.name);
      await inbox.arrived(2);
    });
  });

  describe('connecting', () => {
    it('is refused for a wrong password, a missing or forbidden virtual host, and never shows the password', async () => {
      await server.user('nobody', 'secret');
      const refusals = await Promise.all(
        [
          server.url('/', 'guest:wrong-secret'),
          server.url('missing', 'guest:guest'),
          server.url('/', 'nobody:secret'),
        ].map((url) => failure(connect(url))),
      );
      for (const refusal of refusals) {
        expect(refusal).toBeInstanceOf(AccessRefused);
        expect(refusal.message).not.toContain('secret');
      }
      const [password, missing, forbidden] = refusals.map(({ message }) => message);
      const at = `127.0.0.1:${String(server.port)}`;
      expect(password).toBe(
        `Cannot connect to amqp://guest:**@${at}//: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. ` +
          'For details see the broker logfile.',
      );
      expect(missing).toMatch(
        `Cannot connect to amqp://guest:**@${at}/missing: ACCESS_REFUSED - virtual host 'missing'`,
      );
      expect(forbidden).toMatch(/^Cannot connect to amqp:\/\/nobody:\*\*@.*ACCESS_REFUSED/);
    });

    it.each(['AMQPLAIN', 'PLAIN'])('works with login_method %s', async (method) => {
      const transportOptions = { login_method: method, frame_max: 8192 };
      const connection = own.own(await connect(server.url(), { transportOptions }));
      const channel = own.own(await connection.openChannel());
      const queue = directQueue(`q-${randomUUID()}`);
      await channel.declareQueue(queue);
      const body = Buffer.alloc(100_000, 'x');
      await channel.publish(envelope(body), '', queue.name);
      expect((await channel.get(queue.name))?.envelope.body.equals(body)).toBe(true);
    });

    it.each(['//', '/', '', '/%2F', '/%2f'])('takes %j for the virtual host /', async (path) => {
      own.own(await connect(`pyamqp://guest@127.0.0.1:${String(server.port)}${path}`));
    });

    it('fails over to the next server', async () => {
      const [dead = 0] = await freePorts(1);
      const transport = connectTransport([`amqp://127.0.0.1:${String(dead)}//`, server.url()], AMQP_OPTIONS);
      expect(transport.url).toContain(String(dead));
      own.own(await transport.connect(never()));
      expect(transport.url).toContain(String(server.port));
      own.own(await transport.connect(never()));
    });

    it('speaks TLS, and trusts only whom it is told to', async () => {
      const { key, cert, file } = await certificate(own);
      const proxy = createTlsServer({ key, cert }, (secure) => {
        const plain = connectSocket(server.port, '127.0.0.1');
        for (const socket of [secure, plain]) socket.on('error', () => undefined);
        secure.pipe(plain).pipe(secure);
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      own.push(() => proxy.close());
      const url = `amqps://guest:guest@localhost:${String((proxy.address() as AddressInfo).port)}//`;
      expect((await failure(connect(url))).message).toMatch(/self-signed|unable to verify/);
      const trusting = own.own(await connect(url, { useSsl: { ca_certs: file } }));
      await trusting.openChannel();
      own.own(await connect(url, { useSsl: { cert_reqs: 'CERT_NONE' } }));
      const controller = new AbortController();
      const connecting = connectTransport(url, AMQP_OPTIONS).connect(controller.signal);
      controller.abort(new Error('enough'));
      await expect(connecting).rejects.toThrow('enough');
    });

    it('times out when the server takes the connection and says nothing', async () => {
      server.freeze();
      try {
        const error = await failure(connect(server.url(), { connectionTimeoutS: 0.3 }));
        expect(error).toBeInstanceOf(OperationalError);
        expect(error.message).toMatch(/timed out after 0.3 seconds/);
      } finally {
        server.thaw();
      }
    });
  });
});

describe('connecting to no RabbitMQ', () => {
  let listener: Server | undefined;
  afterEach(() => {
    listener?.close();
    listener = undefined;
  });
  /** A server that answers each connection with some bytes. */
  const listen = (answer: string): Promise<string> =>
    new Promise((resolve) => {
      listener = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.end(answer);
      });
      listener.listen(0, '127.0.0.1', () => {
        const address = listener?.address();
        resolve(`amqp://u:pw@127.0.0.1:${typeof address === 'object' ? String(address?.port) : ''}//`);
      });
    });

  it('says where and why', async () => {
    const [port = 0] = await freePorts(1);
    const error = await failure(connect(`amqp://me:hidden@127.0.0.1:${String(port)}//`));
    expect(error).toBeInstanceOf(OperationalError);
    expect(error).not.toBeInstanceOf(AccessRefused);
    expect(error.message).toBe(
      `Cannot connect to amqp://me:**@127.0.0.1:${String(port)}//: connect ECONNREFUSED 127.0.0.1:${String(port)}`,
    );
  });

  it.each(['', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'AMQP\u0000\u0000\u0009\u0001', 'x'.repeat(100)])(
    'is not confused by a server that says %j',
    async (answer) => {
      const error = await failure(connect(await listen(answer), { connectionTimeoutS: 1 }));
      expect(error).toBeInstanceOf(OperationalError);
    },
  );

  it('fails for the host that does not exist', async () => {
    const error = await failure(connect('amqp://no-such-host.invalid//'));
    expect(error).toBeInstanceOf(OperationalError);
  });

  it('tries every server once, and ends with a reason to try again', async () => {
    const ports = await freePorts(2);
    const urls = ports.map((port) => `amqp://127.0.0.1:${String(port)}//`);
    for (const failoverStrategy of ['round-robin', 'shuffle'] as const) {
      const error = await failure(connect(urls, { failoverStrategy }));
      expect(error.message).toMatch(/ECONNREFUSED/);
    }
  });
});
