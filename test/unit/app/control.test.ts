import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { ValueError } from '../../../src/core/errors.ts';
import { Celery, OperationalError } from '../../../src/index.ts';
import { buildControlReply, parseControlRequest } from '../../../src/message/pidbox.ts';
import type { ControlRequest } from '../../../src/message/pidbox.ts';
import { decodeBody } from '../../../src/message/registry.ts';
import type { Envelope } from '../../../src/message/message.ts';
import type { Channel } from '../../../src/transport/transport.ts';

const own = new Releasers();
let app: Celery;
beforeEach(() => {
  app = own.own(new Celery('control', { broker: `memory://${randomUUID()}`, control_exchange: 'x' }));
  app.markConfigured();
});
afterEach(() => own.release());

interface Heard {
  readonly request: ControlRequest;
  readonly envelope: Envelope;
}

/** A worker's mailbox; answers each request with `replies`. */
async function listen(
  node: string,
  ...replies: ((heard: Heard) => Envelope)[]
): Promise<{ heard: Heard[]; channel: Channel }> {
  const connection = own.own(await app.transport().connect(new AbortController().signal));
  const channel = await connection.openChannel();
  const heard: Heard[] = [];
  const queue = {
    name: `${node}.x.pidbox`,
    exchange: { name: 'x.pidbox', type: 'fanout', durable: false, autoDelete: false },
    routingKey: '',
    durable: false,
    exclusive: false,
    autoDelete: true,
    noAck: true,
  };
  await channel.declareQueue(queue);
  await channel.consume(queue, ({ envelope }) => {
    const request = parseControlRequest(decodeBody(envelope, new Set(['application/json'])));
    heard.push({ request, envelope });
    const to = request.replyTo;
    if (to === null) return;
    for (const reply of replies)
      void channel.publish(reply({ request, envelope }), to.exchange, to.routingKey);
  });
  return { heard, channel };
}

const answer =
  (node: string, reply: unknown = { ok: 'pong' }) =>
  ({ request }: Heard): Envelope =>
    buildControlReply({ node, reply, ticket: request.ticket }, { serializer: 'json', clock: 41 });

describe('broadcast', () => {
  it('asks all workers and gathers their answers', async () => {
    await listen('a@h', answer('a@h'));
    await listen('b@h', answer('b@h', [1]));
    const replies = await app.control.broadcast('ping', {}, { reply: true, timeout: 0.2 });
    expect(replies).toHaveLength(2);
    expect(replies).toEqual(expect.arrayContaining([{ 'a@h': { ok: 'pong' } }, { 'b@h': [1] }]));
    expect(app.clock.value).toBeGreaterThan(41);
  });

  it('writes the request as Celery does', async () => {
    const { heard } = await listen('a@h', answer('a@h'));
    const before = Date.now();
    await app.control.rateLimit('tasks.add', '10/m', { reply: true, destination: ['a@h'], timeout: 5 });
    const [{ request, envelope } = { request: undefined, envelope: undefined }] = heard;
    expect(request).toMatchObject({
      method: 'rate_limit',
      arguments: { task_name: 'tasks.add', rate_limit: '10/m' },
      destination: ['a@h'],
      pattern: null,
      matcher: null,
      replyTo: { exchange: 'reply.x.pidbox' },
    });
    expect(envelope?.headers.clock).toBe(1);
    expect(Number(envelope?.headers.expires) * 1000).toBeGreaterThanOrEqual(before + 5000);
    expect(envelope?.properties).toMatchObject({ deliveryMode: 2, priority: 0 });
  });

  it('stops after as many answers as destinations, or its limit', async () => {
    await listen('a@h', answer('a@h'), answer('b@h'));
    const started = Date.now();
    expect(await app.control.ping({ destination: ['a@h', 'b@h'], timeout: 20 })).toHaveLength(2);
    expect(await app.control.ping({ limit: 1, timeout: 20 })).toHaveLength(1);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('waits on from each answer', async () => {
    const { channel } = await listen('a@h', (heard) => {
      setTimeout(() => {
        const { exchange, routingKey } = heard.request.replyTo ?? { exchange: '', routingKey: '' };
        void channel.publish(answer('slow@h')(heard), exchange, routingKey);
      }, 450);
      setTimeout(() => {
        const { exchange, routingKey } = heard.request.replyTo ?? { exchange: '', routingKey: '' };
        void channel.publish(answer('middle@h')(heard), exchange, routingKey);
      }, 225);
      return answer('a@h')(heard);
    });
    expect(await app.control.ping({ timeout: 0.4 })).toHaveLength(3);
  });

  it('leaves alone what is not its answer', async () => {
    await listen(
      'a@h',
      () =>
        buildControlReply({ node: 'other@h', reply: 1, ticket: 'another' }, { serializer: 'json', clock: 1 }),
      ({ request }) => ({
        ...answer('bad@h')({ request, envelope: undefined as never }),
        body: Buffer.from('{'),
      }),
      ({ request }) => ({
        ...answer('bad@h')({ request, envelope: undefined as never }),
        contentType: 'application/x-python-serialize',
      }),
      answer('a@h'),
    );
    expect(await app.control.ping({ timeout: 0.1 })).toEqual([{ 'a@h': { ok: 'pong' } }]);
  });

  it('gives nothing when nobody answers, and the reply queue is gone', async () => {
    const { heard, channel } = await listen('a@h');
    expect(await app.control.ping({ timeout: 0.05 })).toEqual([]);
    expect(await app.control.inspect({ timeout: 0.05 }).ping()).toBeNull();
    const { replyTo } = heard[0]?.request ?? {};
    await channel
      .publish(answer('late@h')(heard[0] as Heard), '', `${replyTo?.routingKey ?? ''}.reply.x.pidbox`)
      .catch(() => undefined);
    expect(await channel.size(`${replyTo?.routingKey ?? ''}.reply.x.pidbox`)).toBe(0);
  });

  it('does not wait without reply', async () => {
    const { heard } = await listen('a@h', answer('a@h'));
    expect(await app.control.broadcast('enable_events')).toEqual([]);
    await expect
      .poll(() => heard.map(({ request }) => [request.method, request.ticket, request.replyTo]))
      .toEqual([['enable_events', null, null]]);
  });

  it('merges the answers to inspect', async () => {
    await listen('a@h', answer('a@h'), answer('b@h'));
    expect(await app.control.inspect({ limit: 2 }).ping()).toEqual({
      'a@h': { ok: 'pong' },
      'b@h': { ok: 'pong' },
    });
  });

  it('ends at once when no worker is there to hear it', async () => {
    expect(await app.control.ping({ timeout: 60 })).toEqual([]);
  });

  it('ends with the signal', async () => {
    await listen('deaf');
    const gone = new Error('gone');
    const controller = new AbortController();
    setTimeout(() => controller.abort(gone), 30);
    await expect(app.control.ping({ timeout: 20, signal: controller.signal })).rejects.toBe(gone);
  });

  it('refuses a destination that is no list', async () => {
    await expect(app.control.ping({ destination: 'a@h' as never })).rejects.toThrow(ValueError);
  });

  it('rejects without a broker', async () => {
    const nobody = own.own(new Celery('b', { broker: 'amqp://127.0.0.1:1//', broker_connection_timeout: 1 }));
    nobody.markConfigured();
    await expect(nobody.control.ping()).rejects.toThrow(OperationalError);
    await expect(nobody.control.broadcast('ping')).rejects.toThrow(OperationalError);
  });
});

it('revokes through the workers', async () => {
  const { heard } = await listen('a@h', answer('a@h'));
  const result = app.AsyncResult('the-id');
  await result.revoke({ terminate: true });
  await result.revoke({ wait: true, timeout: 0.1, signal: 'SIGKILL' });
  expect(heard.map(({ request }) => [request.method, request.arguments])).toEqual([
    ['revoke', { task_id: 'the-id', terminate: true, signal: 'SIGTERM' }],
    ['revoke', { task_id: 'the-id', terminate: false, signal: 'SIGKILL' }],
  ]);
});
