import { describe } from 'vitest';
import { redisTransport } from '../../src/transport/redis/transport.ts';
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
});
