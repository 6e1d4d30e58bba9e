import { describe } from 'vitest';
import { connectTransport, type TransportOptions } from '../../src/transport/connect.ts';
import { transportContract } from '../contract/transport-suite.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

const options: TransportOptions = {
  heartbeatS: 120,
  connectionTimeoutS: 20,
  failoverStrategy: 'round-robin',
  transportOptions: {},
  useSsl: false,
};

describe.skipIf(!hasRabbitmq)('RabbitMQ', () => {
  transportContract('amqp', async () => {
    const server = await Rabbitmq.start();
    return {
      transport: () => connectTransport(server.url(), options),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });
});
