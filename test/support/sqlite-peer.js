// A process of its own on a broker file: consumes `celery`, tells its parent of every delivery and does what the parent says.
import { fileURLToPath } from 'node:url';
import { sqliteTransport } from '../../build/transport/sqlite/transport.js';

const [, , url, mode, window] = process.argv;
const queue = {
  name: 'celery',
  exchange: { name: 'celery', type: 'direct', durable: true, autoDelete: false },
  routingKey: 'celery',
  durable: true,
  exclusive: false,
  autoDelete: false,
};

export const peerPath = fileURLToPath(import.meta.url);

async function main() {
  const transport = sqliteTransport(url, { transportOptions: {} });
  const connection = await transport.connect(new AbortController().signal);
  const channel = await connection.openChannel();
  await channel.declareQueue(queue);
  await channel.prefetch(Number(window));
  const send = (message) => process.send(message);
  process.on('message', (order) => {
    if (order === 'cpu') send({ kind: 'cpu', cpu: process.cpuUsage() });
    if (order === 'block') for (const until = Date.now() + 3_000; Date.now() < until;);
    if (order === 'close') void connection[Symbol.asyncDispose]().then(() => process.disconnect());
  });
  const temporary = { ...queue, name: `peer-${process.pid}`, autoDelete: true, noAck: true };
  const exchange = { name: 'celery.pidbox', type: 'fanout', durable: false, autoDelete: false };
  await channel.declareQueue({ ...temporary, exchange, routingKey: '' });
  await channel.consume(temporary, ({ envelope }) =>
    send({ kind: 'control', body: envelope.body.toString() }),
  );
  await channel.consume(queue, (delivery) => {
    const { envelope, redelivered } = delivery;
    const at = performance.timeOrigin + performance.now();
    send({ kind: 'delivery', body: envelope.body.toString(), redelivered, at });
    if (mode === 'ack') void delivery.ack();
  });
  send({ kind: 'ready' });
}

if (process.argv[1] === peerPath) await main();
