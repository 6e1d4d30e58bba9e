// Sends a task and waits for its result, again and again; prints the milliseconds that each took and the CPU seconds of all.
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , who, count, warmUp] = process.argv;
const { broker, backend, peers } = JSON.parse(process.env.BENCH);

const makers = { 'celery-ts': celeryTs, bullmq, 'celery-node': celeryNode, raw };
const { trip, close } = await makers[who]();
for (let warm = 0; warm < warmUp; warm += 1) await trip();
const cpu = process.cpuUsage();
const times = [];
for (let at = 0; at < count; at += 1) {
  const begin = performance.now();
  await trip();
  times.push(performance.now() - begin);
}
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ times, cpu: (user + system) / 1e6 }));
await close();

async function celeryTs() {
  const { app, add } = await import('./tasks.js');
  return { trip: async () => (await add.delay(2, 3)).get({ timeout: 10 }), close: () => app.close() };
}

async function bullmq() {
  const { Queue, QueueEvents } = createRequire(join(peers, 'package.json'))('bullmq');
  const connection = { url: broker };
  const queue = new Queue('bench', { connection });
  const events = new QueueEvents('bench', { connection });
  await events.waitUntilReady();
  return {
    trip: async () => (await queue.add('add', { args: [2, 3] })).waitUntilFinished(events),
    close: () => process.exit(),
  };
}

async function celeryNode() {
  const { createClient } = createRequire(join(peers, 'package.json'))('celery-node');
  const client = createClient(broker, backend);
  const task = client.createTask('tasks.add');
  await client.isReady();
  return { trip: () => task.delay(2, 3).get(10_000), close: () => process.exit() };
}

async function raw() {
  const waiting = new Map();
  const next = (id) => new Promise((resolve) => waiting.set(id, resolve));
  const arrived = (id) => {
    waiting.get(id)?.();
    waiting.delete(id);
  };
  const listen = backend.startsWith('redis:') ? subscribe : undefined;
  const send = broker.startsWith('redis:') ? await senderRedis() : await senderAmqp(arrived);
  const subscribed = listen === undefined ? undefined : await listen(arrived);
  return {
    trip: async () => {
      const id = randomUUID();
      const result = next(id);
      await subscribed?.subscribe(`celery-task-meta-${id}`);
      send(id);
      await result;
      void subscribed?.unsubscribe(`celery-task-meta-${id}`);
    },
    close: () => process.exit(),
  };
}

async function subscribe(arrived) {
  const { Redis } = await import('ioredis');
  const client = new Redis(backend);
  client.on('message', (channel) => arrived(channel.slice('celery-task-meta-'.length)));
  return client;
}

async function senderAmqp(arrived) {
  const { connect } = await import('amqplib');
  const channel = await (await connect(broker, { noDelay: true })).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true, durable: false });
  await channel.consume(queue, ({ properties }) => arrived(properties.correlationId), { noAck: true });
  const body = Buffer.from('[[2,3],{},{}]');
  return (id) =>
    channel.publish('', 'celery', body, {
      correlationId: id,
      replyTo: queue,
      deliveryMode: 2,
      headers: { id },
    });
}

async function senderRedis() {
  const { Redis } = await import('ioredis');
  const client = new Redis(broker);
  return (id) =>
    client.lpush(
      'celery',
      JSON.stringify({ body: 'W10=', headers: { id }, properties: { delivery_tag: id } }),
    );
}
