import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { redisTransport } from '../../src/transport/redis/transport.ts';
import type { Channel, Delivery } from '../../src/transport/transport.ts';
import { transportContract } from '../contract/transport-suite.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const options = { connectionTimeoutS: 4, useSsl: false, transportOptions: {} };

const message = {
  ...{ body: Buffer.from('{}'), contentType: 'application/json', contentEncoding: 'utf-8' },
  ...{ headers: {}, properties: {} },
};

async function open(server: RedisServer): Promise<Channel> {
  const connection = await redisTransport(server.url(), options).connect(new AbortController().signal);
  return connection.openChannel();
}

/** What `redis-cli` prints, line by line. */
async function redis(server: RedisServer, ...words: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(server.port), ...words]);
  return stdout.trim().split('\n');
}

describe.runIf(hasRedis)('Redis', () => {
  transportContract('redis', async () => {
    const server = await RedisServer.start();
    return {
      transport: () => redisTransport(server.url(), options),
      // As kombu has it: 0 is read first, and 3 to 5 are one step.
      priorityOrder: ['0', '5', '3', '9'],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });

  transportContract('redis, with other names', async () => {
    const server = await RedisServer.start({ password: 'x' });
    const transportOptions = {
      global_keyprefix: 'my:',
      sep: '|',
      priority_steps: [0, 5],
      fanout_prefix: 'fan.',
      queue_order_strategy: 'sorted',
      unacked_key: 'u',
    };
    return {
      transport: () => redisTransport(server.socketUrl(5), { ...options, transportOptions }),
      priorityOrder: ['0', '3', '5', '9'],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });

  it('makes no list for a queue that is deleted while a message is on its way there', async () => {
    await using server = await RedisServer.start();
    const [publisher, owner] = await Promise.all([open(server), open(server)]);
    const exchange = { name: 'replies', type: 'direct', durable: false, autoDelete: false };
    await publisher.declareExchange(exchange);
    for (let round = 0; round < 50; round += 1) {
      const name = `q${String(round)}`;
      const queue = {
        ...{ name, exchange, routingKey: name, durable: false, exclusive: false, autoDelete: true },
      };
      await owner.declareQueue(queue);
      await Promise.all([publisher.publish(message, exchange.name, name), owner.deleteQueue(name)]);
    }
    expect(await redis(server, 'KEYS', 'q*')).toEqual(['']);
    // A queue that stays gets what is sent to it.
    await owner.declareQueue({
      ...{ name: 'stays', exchange, routingKey: 'k', durable: false, exclusive: false, autoDelete: true },
    });
    await publisher.publish(message, exchange.name, 'k');
    expect(await owner.size('stays')).toBe(1);
  });

  it.each([
    { held: 5, encoding: 'listpack' },
    { held: 60, encoding: 'skiplist' },
  ])('keeps $held held messages in an index that is a $encoding, and nothing else there', async (row) => {
    await using server = await RedisServer.start();
    const channel = await open(server);
    const exchange = { name: '', type: 'direct', durable: true, autoDelete: false };
    const queue = {
      name: 'q',
      exchange,
      routingKey: 'q',
      durable: true,
      exclusive: false,
      autoDelete: false,
    };
    const sent = Array.from({ length: row.held }, () => channel.publish(message, '', 'q'));
    await Promise.all(sent);
    await channel.prefetch(row.held);
    const deliveries: Delivery[] = [];
    await new Promise<void>((resolve) => {
      void channel.consume(queue, (delivery) => {
        if (deliveries.push(delivery) === row.held) resolve();
      });
    });
    const tags = (await redis(server, 'HKEYS', 'unacked')).toSorted();
    expect(tags).toHaveLength(row.held);
    for (const index of ['unacked_index', 'unacked_index.leases']) {
      expect((await redis(server, 'ZRANGE', index, '0', '-1')).toSorted()).toEqual(tags);
      expect(await redis(server, 'OBJECT', 'ENCODING', index)).toEqual([row.encoding]);
    }
    await Promise.all(deliveries.map((delivery) => delivery.ack()));
    expect(await redis(server, 'EXISTS', 'unacked', 'unacked_index', 'unacked_index.leases')).toEqual(['0']);
  });
});
