import { randomUUID } from 'node:crypto';
import type { Options } from 'amqplib';
import { bullmq } from './peers.ts';
import type { Bench, Case } from './model.ts';
import { QUEUE, REPLIES } from './servers.ts';

const EMBED = { callbacks: null, errbacks: null, chain: null, chord: null };
const BATCH = 1_000;

export interface Filling {
  readonly tasks: number;
  /** When they are due; absent: now. */
  readonly eta?: Date;
  /** Instead of the task of the case. */
  readonly task?: string;
}

/** The task and its arguments, as the filler sends them. */
export function callOf(of: Case, task = of.task ?? 'add'): { name: string; args: unknown[] } {
  if (task === 'size') return { name: 'size', args: ['x'.repeat(of.payload ?? 100)] };
  return { name: task, args: task === 'add' ? [2, 3] : [] };
}

/**
 * Puts tasks into the queue of a case: Celery's messages, the same for every contender that reads them, written by the bench
 * itself; BullMQ's with its own client.
 */
export async function fill(bench: Bench, of: Case, contender: string, filling: Filling): Promise<void> {
  if (filling.tasks <= 0) return;
  if (contender.startsWith('bullmq')) await fillBullmq(bench, of, filling);
  else if (of.broker === 'rabbitmq') await fillRabbitmq(bench, of, filling);
  else await fillRedis(bench, of, filling);
}

function headersOf(id: string, name: string, args: unknown[], eta: Date | undefined): object {
  return {
    lang: 'js',
    task: `tasks.${name}`,
    id,
    shadow: null,
    eta: eta?.toISOString() ?? null,
    expires: null,
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [null, null],
    root_id: id,
    parent_id: null,
    argsrepr: name === 'size' ? "('…',)" : `(${args.join(', ')})`,
    kwargsrepr: '{}',
    origin: 'gen1@bench',
    ignore_result: false,
  };
}

async function fillRabbitmq(bench: Bench, of: Case, { tasks, eta, task }: Filling): Promise<void> {
  const { channel } = bench.servers;
  const { name, args } = callOf(of, task as Case['task']);
  const body = Buffer.from(JSON.stringify([args, {}, EMBED]));
  for (let sent = 0; sent < tasks; sent += BATCH) {
    for (let at = sent; at < Math.min(tasks, sent + BATCH); at += 1) {
      const id = randomUUID();
      const options: Options.Publish = {
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        deliveryMode: 2,
        priority: 0,
        correlationId: id,
        replyTo: REPLIES,
        headers: headersOf(id, name, args, eta),
      };
      channel.publish('', QUEUE, body, options);
    }
    await channel.waitForConfirms();
  }
}

async function fillRedis(bench: Bench, of: Case, { tasks, eta, task }: Filling): Promise<void> {
  const { name, args } = callOf(of, task as Case['task']);
  const body = Buffer.from(JSON.stringify([args, {}, EMBED])).toString('base64');
  const batch = Math.max(1, Math.min(BATCH, Math.floor(16_000_000 / body.length)));
  for (let sent = 0; sent < tasks; sent += batch) {
    const envelopes = Array.from({ length: Math.min(batch, tasks - sent) }, () => {
      const id = randomUUID();
      return JSON.stringify({
        body,
        'content-encoding': 'utf-8',
        'content-type': 'application/json',
        headers: headersOf(id, name, args, eta),
        properties: {
          correlation_id: id,
          reply_to: REPLIES,
          delivery_mode: 2,
          delivery_info: { exchange: '', routing_key: QUEUE },
          priority: 0,
          body_encoding: 'base64',
          delivery_tag: randomUUID(),
        },
      });
    });
    await bench.servers.redis.lpush(QUEUE, ...envelopes);
  }
}

async function fillBullmq(bench: Bench, of: Case, { tasks, eta, task }: Filling): Promise<void> {
  const { Queue } = await bullmq();
  const { name, args } = callOf(of, task as Case['task']);
  const queue = new Queue('bench', { connection: { url: bench.servers.url('redis') } });
  const opts = {
    removeOnComplete: of.results === 'off',
    ...(eta === undefined ? {} : { delay: eta.getTime() - Date.now() }),
  };
  const batch = Math.max(1, Math.min(BATCH, Math.floor(16_000_000 / ((of.payload ?? 0) + 1))));
  for (let sent = 0; sent < tasks; sent += batch) {
    const job = { name, data: { args }, opts };
    await queue.addBulk(Array.from({ length: Math.min(batch, tasks - sent) }, () => job));
  }
  await queue.close();
}
