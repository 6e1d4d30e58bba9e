// The limit: the client library takes the same messages, acknowledges them in the same way and stores the same results; it reads
// nothing of them but the ids it needs.
import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { done } from './counter.js';

const QUEUE = 'celery';
const { broker, backend, prefetch } = JSON.parse(process.env.BENCH);
const store = backend?.startsWith('redis:') ? new Redis(backend) : undefined;

function resultOf(id) {
  const time = new Date().toISOString();
  return `{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], "date_done": "${time}", "task_id": "${id}"}`;
}

function keep(id) {
  const key = `celery-task-meta-${id}`;
  const result = resultOf(id);
  void store.multi().setex(key, 86_400, result).publish(key, result).exec();
}

async function consumeAmqp() {
  const channel = await (await connect(broker, { noDelay: true })).createChannel();
  await channel.prefetch(prefetch);
  let last;
  const flush = () => {
    channel.ack(last, true);
    last = undefined;
  };
  const take = (message) => {
    done();
    const { correlationId, replyTo } = message.properties;
    if (store !== undefined) keep(correlationId);
    else if (backend !== null) {
      channel.publish('', replyTo, Buffer.from(resultOf(correlationId)), { correlationId, deliveryMode: 1 });
    }
    // One acknowledgement for all that came in this turn of the event loop.
    if (last === undefined) setImmediate(flush);
    last = message;
  };
  await channel.consume(QUEUE, take);
}

// Takes messages and records them as held, as kombu does: whoever dies leaves them in one place or the other.
const TAKE = `
local found = redis.call('RPOP', KEYS[1], ARGV[1])
if not found then return {} end
local held, scores = {}, {}
for _, envelope in ipairs(found) do
  local tag = string.match(envelope, '"delivery_tag": ?"([^"]+)"', -60)
  held[#held + 1] = tag
  held[#held + 1] = envelope
  scores[#scores + 1] = ARGV[2]
  scores[#scores + 1] = tag
end
redis.call('HSET', KEYS[2], unpack(held))
redis.call('ZADD', KEYS[3], unpack(scores))
return held`;

async function consumeRedis() {
  const client = new Redis(broker);
  client.defineCommand('take', { numberOfKeys: 3, lua: TAKE });
  for (;;) {
    const held = await client.take(QUEUE, 'unacked', 'unacked_index', prefetch, Date.now() / 1000);
    const tags = [];
    for (let at = 0; at < held.length; at += 2) {
      done();
      tags.push(held[at]);
      if (store !== undefined) keep(/"id":"([^"]+)"/.exec(held[at + 1])[1]);
    }
    if (tags.length > 0) {
      void client
        .multi()
        .zrem('unacked_index', ...tags)
        .hdel('unacked', ...tags)
        .exec();
      continue;
    }
    // Nothing there: wait for one.
    const found = await client.brpop(QUEUE, 0);
    await client.rpush(QUEUE, found[1]);
  }
}

if (broker.startsWith('redis:')) void consumeRedis();
else await consumeAmqp();
console.log('bench ready.');
