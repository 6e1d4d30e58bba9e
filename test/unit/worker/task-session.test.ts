import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { nullLogger } from '../../../src/core/logger.ts';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { connectTransport } from '../../../src/transport/connect.ts';
import { TaskSession } from '../../../src/worker/consumer/tasks.ts';
import { Prefetch } from '../../../src/worker/prefetch.ts';
import { AMQP_OPTIONS } from '../../support/amqp.ts';
import { directQueue, envelope } from '../../support/messages.ts';

const own = new Releasers();
afterEach(() => own.release());

const queue = directQueue('q');

async function open() {
  const transport = connectTransport(`memory://${randomUUID()}`, AMQP_OPTIONS);
  const connection = own.own(await transport.connect(new AbortController().signal));
  const prefetch = new Prefetch({ concurrency: 4, multiplier: 4, etaLimit: null, logger: nullLogger });
  const bodies: string[] = [];
  const session = await TaskSession.open(connection, {
    patient: true,
    prefetch,
    logger: nullLogger,
    onDelivery: (delivery) => void bodies.push(delivery.envelope.body.toString()),
  });
  const channel = await connection.openChannel();
  return { session, channel, bodies };
}

test.each<[string, (session: TaskSession) => Promise<unknown>]>([
  [
    'one after the other',
    async (session) => {
      await session.add(queue);
      await session.add(queue);
    },
  ],
  ['at once', (session) => Promise.all([session.add(queue), session.add(queue), session.add(queue)])],
  [
    'while it is cancelled',
    async (session) => {
      const first = session.add(queue);
      await session.cancel('q');
      await Promise.all([first, session.add(queue)]);
    },
  ],
])('a queue added %s is consumed once, and not after it was cancelled', async (_, add) => {
  const { session, channel, bodies } = await open();
  await add(session);
  await channel.publish(envelope('1'), '', 'q');
  while (bodies.length === 0) await setImmediate();
  await session.cancel('q');
  await channel.publish(envelope('2'), '', 'q');
  for (let turns = 0; turns < 20; turns += 1) await setImmediate();
  expect(bodies).toEqual(['1']);
  expect(await channel.size('q')).toBe(1);
});
