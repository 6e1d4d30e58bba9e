import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { RpcLink } from '../../../src/backend/rpc-link.ts';
import { OperationalError } from '../../../src/core/errors.ts';
import { memoryTransport } from '../../../src/transport/memory/transport.ts';
import type { Connection, Transport } from '../../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../../support/messages.ts';

const queue = directQueue('replies');

/** A real transport whose connections are changed, each with its number. */
function changed(url: string, change: (connection: Connection, number: number) => Connection): Transport {
  const real = memoryTransport(url);
  let count = 0;
  return {
    ...{ scheme: real.scheme, url: real.url, can: real.can },
    connect: async (signal) => change(await real.connect(signal), (count += 1)),
  };
}

function linkTo(transport: Transport): { readonly link: RpcLink; readonly inbox: Inbox } {
  const inbox = new Inbox();
  const link = new RpcLink(transport, { queue, onDelivery: inbox.take, onRefused: () => undefined });
  return { link, inbox };
}

describe('the connection of rpc results', () => {
  it('says so when it cannot be closed, and has closed all that can', async () => {
    const closed: string[] = [];
    const failure = new OperationalError('the broker does not let us go');
    const transport = changed(`memory://${randomUUID()}`, (connection) => ({
      ...{ closed: connection.closed, administer: () => connection.administer() },
      openChannel: async () => {
        const channel = await connection.openChannel();
        void channel.closed.then(() => closed.push('channel'));
        return channel;
      },
      [Symbol.asyncDispose]: async () => {
        await connection[Symbol.asyncDispose]();
        closed.push('connection');
        throw failure;
      },
    }));
    const { link } = linkTo(transport);
    await link.listen();
    await expect(link[Symbol.asyncDispose]()).rejects.toBe(failure);
    expect(closed).toEqual(['channel', 'connection']);
    await expect(link.channel()).rejects.toThrow('The result backend is closed');
    await link[Symbol.asyncDispose]();
  });

  it('ends while it connects, and leaves nothing open', async () => {
    const url = `memory://${randomUUID()}`;
    const opened: Connection[] = [];
    const transport = changed(url, (connection) => {
      opened.push(connection);
      return connection;
    });
    const { link } = linkTo(transport);
    const listening = link.listen();
    listening.catch(() => undefined);
    await link[Symbol.asyncDispose]();
    for (const { closed } of opened) expect(await closed).toBeUndefined();
    await expect(link.listen()).rejects.toBeInstanceOf(OperationalError);
  });

  it('listens again, also when the new connection is lost as soon as it is there', async () => {
    const url = `memory://${randomUUID()}`;
    const connections: Connection[] = [];
    const transport = changed(url, (connection, number) => {
      connections.push(connection);
      if (number !== 2) return connection;
      return {
        ...{ closed: connection.closed, administer: () => connection.administer() },
        openChannel: async () => {
          const channel = await connection.openChannel();
          const consume = channel.consume.bind(channel);
          channel.consume = async (...args) => {
            const consumer = await consume(...args);
            await connection[Symbol.asyncDispose]();
            return consumer;
          };
          return channel;
        },
        [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
      };
    });
    const { link, inbox } = linkTo(transport);
    await link.listen();
    await connections[0]?.[Symbol.asyncDispose]();
    await expect.poll(() => connections.length, { timeout: 10_000 }).toBeGreaterThan(2);
    const sender = await memoryTransport(url).connect(new AbortController().signal);
    await (await sender.openChannel()).publish(envelope('late'), '', 'replies');
    await inbox.arrived(1);
    await link[Symbol.asyncDispose]();
    await sender[Symbol.asyncDispose]();
  });
});
