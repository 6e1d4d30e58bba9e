// A process of its own on a Redis broker: consumes `celery`, tells its parent of every delivery and holds it.
import { redisTransport } from '../../build/transport/redis/transport.js';

const [, , url, options] = process.argv;
const queue = {
  name: 'celery',
  exchange: { name: 'celery', type: 'direct', durable: true, autoDelete: false },
  routingKey: 'celery',
  durable: true,
  exclusive: false,
  autoDelete: false,
};

const transport = redisTransport(url, {
  connectionTimeoutS: 4,
  useSsl: false,
  transportOptions: JSON.parse(options),
});
const connection = await transport.connect(new AbortController().signal);
const channel = await connection.openChannel();
await channel.declareQueue(queue);
process.on('disconnect', () => process.exit());
await channel.consume(queue, ({ envelope }) => process.send(envelope.body.toString()));
