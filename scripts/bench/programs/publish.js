// Publishes tasks, `one` by one (the next when the last is confirmed) or in `bulk`; prints the seconds and CPU seconds.
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , who, mode, count] = process.argv;
const { broker, peers } = JSON.parse(process.env.BENCH);
const BATCH = 1_000;

const makers = { 'celery-ts': celeryTs, bullmq, 'celery-node': celeryNode, raw };
const { one, bulk, close } = await makers[who]();
for (let warm = 0; warm < 20; warm += 1) await one();

const cpu = process.cpuUsage();
const begin = performance.now();
if (mode === 'one') {
  for (let sent = 0; sent < count; sent += 1) await one();
} else {
  for (let sent = 0; sent < count; sent += BATCH) await bulk(Math.min(BATCH, count - sent));
}
const seconds = (performance.now() - begin) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }));
await close();

async function celeryTs() {
  const { app, add } = await import('./tasks.js');
  return {
    one: () => add.delay(2, 3),
    bulk: (size) => Promise.all(Array.from({ length: size }, () => add.delay(2, 3))),
    close: () => app.close(),
  };
}

async function bullmq() {
  const { Queue } = createRequire(join(peers, 'package.json'))('bullmq');
  const queue = new Queue('bench', { connection: { url: broker } });
  const job = { name: 'add', data: { args: [2, 3] } };
  return {
    one: () => queue.add(job.name, job.data),
    bulk: (size) => queue.addBulk(Array.from({ length: size }, () => job)),
    close: () => queue.close(),
  };
}

async function celeryNode() {
  const { createClient } = createRequire(join(peers, 'package.json'))('celery-node');
  const client = createClient(broker, broker);
  await client.isReady();
  // What its delay() does; but delay() drops the promise of its broker.
  const one = () => {
    const { headers, properties, body } = client.createTaskMessage(randomUUID(), 'tasks.add', [2, 3], {});
    return client.broker.publish(body, '', 'celery', headers, properties);
  };
  return {
    one,
    bulk: (size) => Promise.all(Array.from({ length: size }, one)),
    close: () => process.exit(),
  };
}

async function raw() {
  const id = randomUUID();
  const headers = {
    lang: 'js',
    task: 'tasks.add',
    id,
    root_id: id,
    retries: 0,
    origin: 'gen1@bench',
    argsrepr: '(2, 3)',
  };
  const body = '[[2,3],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]';
  return broker.startsWith('redis:') ? rawRedis(headers, body) : rawAmqp(headers, Buffer.from(body));
}

async function rawAmqp(headers, body) {
  const { connect } = await import('amqplib');
  const connection = await connect(broker, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  const send = () =>
    channel.publish('', 'celery', body, {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      deliveryMode: 2,
      headers,
    });
  const bulk = async (size) => {
    for (let sent = 0; sent < size; sent += 1) send();
    await channel.waitForConfirms();
  };
  return { one: () => bulk(1), bulk, close: () => connection.close() };
}

async function rawRedis(headers, body) {
  const { Redis } = await import('ioredis');
  const client = new Redis(broker);
  const text = JSON.stringify({
    body: Buffer.from(body).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers,
    properties: { delivery_mode: 2, body_encoding: 'base64', delivery_tag: randomUUID() },
  });
  return {
    one: () => client.lpush('celery', text),
    bulk: (size) => {
      const pipeline = client.pipeline();
      for (let sent = 0; sent < size; sent += 1) pipeline.lpush('celery', text);
      return pipeline.exec();
    },
    close: () => client.quit(),
  };
}
