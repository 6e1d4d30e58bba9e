import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { redisTransport } from '../../src/transport/redis/transport.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { transportContract } from '../contract/transport-suite.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';

const options = { connectionTimeoutS: 4, useSsl: false, transportOptions: {} };

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
    const open = async (): Promise<Channel> => {
      const connection = await redisTransport(server.url(), options).connect(new AbortController().signal);
      return connection.openChannel();
    };
    const [publisher, owner] = await Promise.all([open(), open()]);
    const exchange = { name: 'replies', type: 'direct', durable: false, autoDelete: false };
    await publisher.declareExchange(exchange);
    const message = {
      ...{ body: Buffer.from('{}'), contentType: 'application/json', contentEncoding: 'utf-8' },
      ...{ headers: {}, properties: {} },
    };
    for (let round = 0; round < 50; round += 1) {
      const name = `q${String(round)}`;
      const queue = {
        ...{ name, exchange, routingKey: name, durable: false, exclusive: false, autoDelete: true },
      };
      await owner.declareQueue(queue);
      await Promise.all([publisher.publish(message, exchange.name, name), owner.deleteQueue(name)]);
    }
    const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(server.port), 'KEYS', 'q*']);
    expect(stdout.trim()).toBe('');
    // A queue that stays gets what is sent to it.
    await owner.declareQueue({
      ...{ name: 'stays', exchange, routingKey: 'k', durable: false, exclusive: false, autoDelete: true },
    });
    await publisher.publish(message, exchange.name, 'k');
    expect(await owner.size('stays')).toBe(1);
  });
});
