import { describe } from 'vitest';
import { connectTransport } from '../../src/transport/connect.ts';
import { transportContract } from '../contract/transport-suite.ts';
import { AMQP_OPTIONS } from '../support/amqp.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';

describe.skipIf(!hasRabbitmq)('RabbitMQ', () => {
  transportContract('amqp', async () => {
    const server = await Rabbitmq.start();
    return {
      transport: () => connectTransport(server.url(), AMQP_OPTIONS),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });
});
