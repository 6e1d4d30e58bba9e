import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OperationalError } from '../../src/core/errors.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import type { Envelope } from '../../src/message/message.ts';
import type { Exchange, Queue } from '../../src/transport/topology.ts';
import type { Channel, Connection, Delivery, Transport } from '../../src/transport/transport.ts';

/** A broker that the suite may fill with queues of its own names. */
export interface TransportFixture extends AsyncDisposable {
  /** A Transport of that broker; each call may give another one. */
  transport(): Transport;
  /** In which order messages of the priorities 0, 5, 9, 3, sent in this order, are delivered. Default: the highest first. */
  readonly priorityOrder?: readonly string[];
}

const never = (): AbortSignal => new AbortController().signal;

/** A queue like those that Celery makes: durable, with a direct exchange of its own name. */
export function directQueue(name: string, more: Partial<Queue> = {}): Queue {
  return {
    name,
    exchange: { name, type: 'direct', durable: true, autoDelete: false },
    routingKey: name,
    durable: true,
    exclusive: false,
    autoDelete: false,
    ...more,
  };
}

export function envelope(body: string | Buffer, more: Partial<Envelope> = {}): Envelope {
  return {
    body: Buffer.from(body),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    headers: {},
    properties: { deliveryMode: 2 },
    ...more,
  };
}

/** Collects the deliveries of a consumer so that a test can await the n-th. */
export class Inbox {
  readonly deliveries: Delivery[] = [];
  readonly #waiting: { count: number; resolve: () => void }[] = [];

  readonly take = (delivery: Delivery): void => {
    this.deliveries.push(delivery);
    for (const waiter of this.#waiting) if (this.deliveries.length >= waiter.count) waiter.resolve();
  };

  /** Resolves when `count` deliveries have come since the beginning. */
  async arrived(count: number): Promise<Delivery[]> {
    if (this.deliveries.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.deliveries;
  }

  get bodies(): string[] {
    return this.deliveries.map((delivery) => delivery.envelope.body.toString());
  }
}

/**
 * What every Transport must do.
 *
 * @param setup starts the broker, once for the whole suite; queues have names of their own in each test
 */
export function transportContract(name: string, setup: () => Promise<TransportFixture>): void {
  describe(`transport contract: ${name}`, () => {
    let fixture: TransportFixture;
    let transport: Transport;
    let own: Releasers;
    let connection: Connection;
    let channel: Channel;
    let queue: Queue;

    beforeAll(async () => {
      fixture = await setup();
      transport = fixture.transport();
    });
    afterAll(() => fixture[Symbol.asyncDispose]());

    beforeEach(async () => {
      own = new Releasers();
      connection = own.own(await transport.connect(never()));
      channel = own.own(await connection.openChannel());
      queue = directQueue(`q-${randomUUID()}`);
    });
    afterEach(() => own.release());

    const second = async (): Promise<Channel> => {
      const other = own.own(await fixture.transport().connect(never()));
      return own.own(await other.openChannel());
    };

    /** Resolves when everything that the broker had sent before this call has arrived here. */
    const settle = async (): Promise<void> => {
      const marker = directQueue(`marker-${randomUUID()}`, { noAck: true });
      const probe = own.own(await connection.openChannel());
      await probe.declareQueue(marker);
      const inbox = new Inbox();
      await probe.consume(marker, inbox.take);
      for (let round = 1; round <= 3; round += 1) {
        await probe.publish(envelope('marker'), '', marker.name);
        await inbox.arrived(round);
      }
      await probe.deleteQueue(marker.name);
      await probe[Symbol.asyncDispose]();
    };

    /** The queue's size once it has become what is expected: brokers count a little later than they confirm. */
    const sizeBecomes = async (size: number, name = queue.name): Promise<void> => {
      await expect.poll(() => channel.size(name), { timeout: 5_000 }).toBe(size);
    };

    const publishAll = (bodies: readonly string[], to = queue): Promise<unknown> =>
      Promise.all(bodies.map((body) => channel.publish(envelope(body), '', to.name)));

    describe('queues', () => {
      it('declares the same queue and exchange any number of times', async () => {
        await channel.declareQueue(queue);
        await channel.publish(envelope('kept'), '', queue.name);
        await channel.declareQueue(queue);
        await (await second()).declareQueue(queue);
        await sizeBecomes(1);
      });

      it('counts, purges and deletes', async () => {
        await channel.declareQueue(queue);
        await publishAll(['1', '2', '3']);
        await sizeBecomes(3);
        const held = await channel.get(queue.name);
        expect(held?.envelope.body.toString()).toBe('1');
        await sizeBecomes(2);
        expect(await channel.purge(queue.name)).toBe(2);
        await sizeBecomes(0);
        await held?.reject({ requeue: true });
        await sizeBecomes(1);
        await channel.deleteQueue(queue.name);
        expect(await channel.size(queue.name)).toBe(0);
      });

      it('knows nothing of a missing queue and goes on', async () => {
        expect(await channel.size(queue.name)).toBe(0);
        expect(await channel.purge(queue.name)).toBe(0);
        await channel.deleteQueue(queue.name);
        await channel.declareQueue(queue);
        await channel.publish(envelope('after'), '', queue.name);
        await sizeBecomes(1);
      });

      it('takes one message at a time', async () => {
        await channel.declareQueue(queue);
        expect(await channel.get(queue.name)).toBeUndefined();
        await publishAll(['1', '2']);
        const first = await channel.get(queue.name);
        expect(first).toMatchObject({ queue: queue.name, redelivered: false });
        await first?.ack();
        expect((await channel.get(queue.name, { noAck: true }))?.envelope.body.toString()).toBe('2');
        expect(await channel.get(queue.name)).toBeUndefined();
        await channel[Symbol.asyncDispose]();
        const other = await second();
        expect(await other.size(queue.name)).toBe(0);
      });
    });

    describe('messages', () => {
      it('arrive as they were sent', async () => {
        await channel.declareQueue(queue);
        const sent = envelope('[[4, 4], {}, {}]', {
          contentType: 'application/x-test',
          contentEncoding: 'binary',
          headers: {
            text: 'ünï',
            empty: '',
            yes: true,
            no: false,
            none: null,
            zero: 0,
            int: 7,
            negative: -7,
            int32: 2_147_483_647,
            smallest: -2_147_483_648,
            large: 5_000_000_000,
            safe: Number.MAX_SAFE_INTEGER,
            float: 1.25,
            list: ['a', 1, null, [2, -3]],
            map: { k: { d: 1 }, '!': 'int', value: 'not a type' },
            emptyMap: {},
            emptyList: [],
          },
          properties: {
            correlationId: 'corr',
            replyTo: 'reply',
            deliveryMode: 2,
            priority: 3,
            expiration: '600000',
          },
        });
        await channel.publish(sent, '', queue.name);
        const inbox = new Inbox();
        await (await second()).consume(queue, inbox.take);
        const [got] = await inbox.arrived(1);
        expect(got).toMatchObject({
          queue: queue.name,
          exchange: '',
          routingKey: queue.name,
          redelivered: false,
        });
        expect(got?.envelope.body.equals(sent.body)).toBe(true);
        const { body, contentType, contentEncoding, headers, properties } = got!.envelope;
        expect({ body: body.length, contentType, contentEncoding, headers, properties }).toEqual({
          ...sent,
          body: sent.body.length,
        });
        await got?.ack();
      });

      it.each([
        ['no bytes', Buffer.alloc(0)],
        ['every byte', Buffer.from(Array.from({ length: 256 }, (_, index) => index))],
        ['broken UTF-8', Buffer.from([0xc3, 0x28, 0xff, 0x00, 0xfe])],
        ['1 MB', Buffer.alloc(1_000_000, 'x')],
        ['1 MB of bytes', Buffer.alloc(1_000_000, Buffer.from([0, 255, 128, 10]))],
      ])('may have a body of %s', async (_, body) => {
        await channel.declareQueue(queue);
        await channel.publish(envelope(body, { contentEncoding: 'binary' }), '', queue.name);
        const got = await channel.get(queue.name);
        expect(got?.envelope.body.equals(body)).toBe(true);
        await got?.ack();
      });

      it('keep their order', async () => {
        await channel.declareQueue(queue);
        const bodies = Array.from({ length: 500 }, (_, index) => String(index));
        await publishAll(bodies);
        const inbox = new Inbox();
        await channel.consume(queue, inbox.take);
        await inbox.arrived(500);
        expect(inbox.bodies).toEqual(bodies);
        await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
      });

      it('may be published many at a time, from two connections', async () => {
        await channel.declareQueue(queue);
        const other = await second();
        const count = 2_000;
        const inbox = new Inbox();
        await channel.prefetch(50);
        await channel.consume(queue, (delivery) => {
          inbox.take(delivery);
          void delivery.ack();
        });
        await Promise.all(
          Array.from({ length: count }, (_, index) =>
            (index % 2 === 0 ? channel : other).publish(envelope(String(index)), '', queue.name),
          ),
        );
        await inbox.arrived(count);
        expect(new Set(inbox.bodies).size).toBe(count);
        await sizeBecomes(0);
      });

      it('may be published without waiting for the broker', async () => {
        await channel.declareQueue(queue);
        const loose = own.own(await connection.openChannel({ confirm: false }));
        await Promise.all(
          Array.from({ length: 300 }, (_, index) => loose.publish(envelope(String(index)), '', queue.name)),
        );
        await sizeBecomes(300);
      });

      it('to a missing queue do no harm', async () => {
        await channel.publish(envelope('nowhere'), '', `missing-${randomUUID()}`);
        await channel.declareQueue(queue);
        await channel.publish(envelope('here'), '', queue.name);
        await sizeBecomes(1);
      });

      it('to a missing exchange are refused', async () => {
        const missing = own.own(await connection.openChannel());
        await expect(
          missing.publish(envelope('nowhere'), `missing-${randomUUID()}`, 'key'),
        ).rejects.toBeInstanceOf(OperationalError);
        await channel.declareQueue(queue);
        await channel.publish(envelope('here'), '', queue.name);
        await sizeBecomes(1);
      });

      it('that were published in time are dropped when they expire', async (context) => {
        if (!transport.can.expiration) context.skip();
        await channel.declareQueue(queue);
        await channel.publish(envelope('late', { properties: { expiration: '1' } }), '', queue.name);
        await sizeBecomes(0);
        expect(await channel.get(queue.name)).toBeUndefined();
      });
    });

    describe('routing', () => {
      const bind = async (exchange: Exchange, keys: readonly string[]): Promise<string[]> => {
        const names: string[] = [];
        for (const key of keys) {
          const bound = directQueue(`q-${randomUUID()}`, { exchange, routingKey: key });
          await channel.declareQueue(bound);
          names.push(bound.name);
        }
        return names;
      };
      const take = async (names: readonly string[]): Promise<string[][]> => {
        const taken: string[][] = [];
        for (const queueName of names) {
          const bodies: string[] = [];
          for (;;) {
            const delivery = await channel.get(queueName, { noAck: true });
            if (delivery === undefined) break;
            bodies.push(`${delivery.envelope.body.toString()}@${delivery.routingKey}`);
            expect(delivery.exchange).not.toBe('');
          }
          taken.push(bodies.sort());
        }
        return taken;
      };
      const exchangeOf = (type: string): Exchange => ({
        name: `x-${randomUUID()}`,
        type,
        durable: true,
        autoDelete: false,
      });

      it('direct: by the same key', async () => {
        const exchange = exchangeOf('direct');
        const names = await bind(exchange, ['a', 'b', 'a']);
        await channel.publish(envelope('1'), exchange.name, 'a');
        await channel.publish(envelope('2'), exchange.name, 'b');
        await channel.publish(envelope('3'), exchange.name, 'c');
        expect(await take(names)).toEqual([['1@a'], ['2@b'], ['1@a']]);
      });

      it('topic: by patterns', async () => {
        const exchange = exchangeOf('topic');
        const names = await bind(exchange, ['video.*', '#', 'video.#.done', '*.audio', 'video']);
        for (const [index, key] of ['video.audio', 'video', 'video.a.b.done', 'video.done', 'x'].entries()) {
          await channel.publish(envelope(String(index)), exchange.name, key);
        }
        expect(await take(names)).toEqual([
          ['0@video.audio', '3@video.done'],
          ['0@video.audio', '1@video', '2@video.a.b.done', '3@video.done', '4@x'],
          ['2@video.a.b.done', '3@video.done'],
          ['0@video.audio'],
          ['1@video'],
        ]);
      });

      it('several bindings of one queue', async () => {
        const exchange = exchangeOf('direct');
        const other = exchangeOf('topic');
        const bound = directQueue(`q-${randomUUID()}`, {
          exchange,
          routingKey: 'a',
          bindings: [
            { exchange, routingKey: 'b' },
            { exchange: other, routingKey: 'c.*' },
          ],
        });
        await channel.declareQueue(bound);
        await channel.publish(envelope('1'), exchange.name, 'a');
        await channel.publish(envelope('2'), exchange.name, 'b');
        await channel.publish(envelope('3'), other.name, 'c.d');
        await channel.publish(envelope('4'), other.name, 'a');
        expect(await take([bound.name])).toEqual([['1@a', '2@b', '3@c.d']]);
      });

      it('an exchange alone', async () => {
        const exchange = exchangeOf('direct');
        await channel.declareExchange(exchange);
        await channel.declareExchange(exchange);
        await channel.publish(envelope('nobody'), exchange.name, 'a');
      });

      it('tells whether anybody took what it was offered', async () => {
        await channel.declareQueue(queue);
        expect(await channel.offer(envelope('1'), '', queue.name)).toBe(true);
        if (!transport.can.fanout) return;
        const exchange = {
          name: `x-${randomUUID()}`,
          type: 'fanout',
          durable: false,
          autoDelete: false,
        } as const;
        await channel.declareExchange(exchange);
        const offer = (): Promise<boolean> => channel.offer(envelope('2'), exchange.name, '');
        expect(await Promise.all([offer(), offer()])).toEqual([false, false]);
        const listener = directQueue(`q-${randomUUID()}`, { exchange, routingKey: '', noAck: true });
        const other = await second();
        await other.declareQueue(listener);
        const inbox = new Inbox();
        await other.consume(listener, inbox.take);
        expect(await offer()).toBe(true);
        await inbox.arrived(1);
      });

      it('fanout: to every queue, in every process', async (context) => {
        if (!transport.can.fanout) context.skip();
        const exchange: Exchange = {
          name: `x-${randomUUID()}`,
          type: 'fanout',
          durable: false,
          autoDelete: false,
        };
        const other = await second();
        const [mine, theirs] = [new Inbox(), new Inbox()];
        for (const [target, inbox] of [
          [channel, mine],
          [other, theirs],
        ] as const) {
          const bound = directQueue(`q-${randomUUID()}`, {
            exchange,
            routingKey: '',
            durable: false,
            autoDelete: true,
            noAck: true,
          });
          await target.declareQueue(bound);
          await target.consume(bound, inbox.take);
        }
        await channel.publish(envelope('all'), exchange.name, '');
        await Promise.all([mine.arrived(1), theirs.arrived(1)]);
        expect([mine.bodies, theirs.bodies]).toEqual([['all'], ['all']]);
      });
    });

    describe('priority', () => {
      it('delivers the urgent ones first', async (context) => {
        if (!transport.can.priority) context.skip();
        const urgent = { ...queue, arguments: { 'x-max-priority': 10 } };
        await channel.declareQueue(urgent);
        for (const priority of [0, 5, 9, 3]) {
          await channel.publish(envelope(String(priority), { properties: { priority } }), '', queue.name);
        }
        await sizeBecomes(4);
        const inbox = new Inbox();
        await channel.prefetch(1);
        await channel.consume(urgent, (delivery) => {
          inbox.take(delivery);
          void delivery.ack();
        });
        await inbox.arrived(4);
        expect(inbox.bodies).toEqual(fixture.priorityOrder ?? ['9', '5', '3', '0']);
      });
    });

    describe('settling', () => {
      it('ack forgets, reject drops, requeue gives back', async () => {
        await channel.declareQueue(queue);
        await publishAll(['ack', 'drop', 'requeue']);
        const inbox = new Inbox();
        await channel.consume(queue, inbox.take);
        const [first, middle, last] = await inbox.arrived(3);
        await Promise.all([
          first?.ack(),
          middle?.reject({ requeue: false }),
          last?.reject({ requeue: true }),
        ]);
        const again = (await inbox.arrived(4))[3];
        expect(again).toMatchObject({ redelivered: true });
        expect(again?.envelope.body.toString()).toBe('requeue');
        await again?.ack();
        await settle();
        expect(inbox.deliveries).toHaveLength(4);
        await channel[Symbol.asyncDispose]();
        expect(await (await second()).size(queue.name)).toBe(0);
      });

      it('an ack counts that is given just before the connection is closed', async () => {
        const mine = await transport.connect(never());
        const closing = await mine.openChannel();
        await closing.declareQueue(queue);
        await publishAll(['1', '2', '3']);
        const inbox = new Inbox();
        await closing.consume(queue, inbox.take);
        const acks = (await inbox.arrived(3)).map((delivery) => delivery.ack());
        await mine[Symbol.asyncDispose]();
        await Promise.all(acks);
        expect(await channel.get(queue.name)).toBeUndefined();
      });

      it('ignores a second settling', async () => {
        await channel.declareQueue(queue);
        await publishAll(['1', '2']);
        const one = await channel.get(queue.name);
        await Promise.all([one?.ack(), one?.ack()]);
        await one?.ack();
        await one?.reject({ requeue: true });
        const two = await channel.get(queue.name);
        await two?.reject({ requeue: false });
        await two?.ack();
        await settle();
        await channel.declareQueue(queue);
        await sizeBecomes(0);
      });

      it('settles in any order, in one turn or in many', async () => {
        await channel.declareQueue(queue);
        const count = 60;
        await publishAll(Array.from({ length: count }, (_, index) => String(index)));
        const inbox = new Inbox();
        await channel.consume(queue, inbox.take);
        const deliveries = await inbox.arrived(count);
        const kept = [3, 17, 40, 41];
        for (const [step, start] of [5, 0, 2, 1, 4, 3].entries()) {
          const turn = deliveries.filter((_, index) => index % 6 === start && !kept.includes(index));
          const acks = turn.map((delivery, index) =>
            (index + step) % 4 === 0 ? delivery.reject({ requeue: false }) : delivery.ack(),
          );
          await Promise.all(acks);
        }
        await channel[Symbol.asyncDispose]();
        const other = await second();
        await expect.poll(() => other.size(queue.name)).toBe(kept.length);
        const back = new Inbox();
        await other.consume(queue, back.take);
        await back.arrived(kept.length);
        expect(back.bodies).toEqual(kept.map(String));
        expect(back.deliveries.every((delivery) => delivery.redelivered)).toBe(true);
      });

      it.each(['channel', 'connection'] as const)(
        'gives the unsettled back when the %s closes',
        async (what) => {
          await channel.declareQueue(queue);
          await publishAll(['1', '2', '3']);
          const inbox = new Inbox();
          await channel.consume(queue, inbox.take);
          const [, middle, last] = await inbox.arrived(3);
          await middle?.ack();
          await (what === 'channel' ? channel : connection)[Symbol.asyncDispose]();
          await Promise.all([last?.ack(), last?.reject({ requeue: true })]);
          const other = await second();
          await expect.poll(() => other.size(queue.name)).toBe(2);
          const back = new Inbox();
          await other.consume(queue, back.take);
          await back.arrived(2);
          expect(back.bodies).toEqual(['1', '3']);
          expect(back.deliveries.map((delivery) => delivery.redelivered)).toEqual([true, true]);
          await Promise.all(back.deliveries.map((delivery) => delivery.ack()));
        },
      );
    });

    describe('consumers', () => {
      it('get what is there and what comes', async () => {
        await channel.declareQueue(queue);
        await publishAll(['before']);
        const inbox = new Inbox();
        const consumer = await channel.consume(queue, inbox.take);
        expect(consumer.queue).toBe(queue.name);
        await inbox.arrived(1);
        await (await second()).publish(envelope('after'), '', queue.name);
        await inbox.arrived(2);
        expect(inbox.bodies).toEqual(['before', 'after']);
      });

      it('get nothing any more once disposed; what they hold can be settled', async () => {
        await channel.declareQueue(queue);
        const inbox = new Inbox();
        const consumer = await channel.consume(queue, inbox.take);
        await publishAll(['held']);
        const [held] = await inbox.arrived(1);
        await consumer[Symbol.asyncDispose]();
        await consumer[Symbol.asyncDispose]();
        await publishAll(['left']);
        await settle();
        expect(inbox.bodies).toEqual(['held']);
        await sizeBecomes(1);
        await held?.ack();
        await channel[Symbol.asyncDispose]();
        expect(await (await second()).size(queue.name)).toBe(1);
      });

      it('get nothing from the moment they are disposed, and lose nothing', async () => {
        await channel.declareQueue(queue);
        const count = 200;
        const inbox = new Inbox();
        let stopped: Promise<void> | undefined;
        const consumer = await channel.consume(queue, (delivery) => {
          inbox.take(delivery);
          if (inbox.deliveries.length === 10) stopped = Promise.resolve(consumer[Symbol.asyncDispose]());
        });
        await publishAll(Array.from({ length: count }, (_, index) => String(index)));
        await inbox.arrived(10);
        await stopped;
        await settle();
        expect(inbox.deliveries).toHaveLength(10);
        await sizeBecomes(count - 10);
      });

      it('without acknowledgement leave nothing behind and no limit holds them', async () => {
        const loose = { ...queue, noAck: true };
        await channel.declareQueue(loose);
        await channel.prefetch(1);
        await publishAll(['1', '2', '3']);
        const inbox = new Inbox();
        await channel.consume(loose, inbox.take);
        await inbox.arrived(3);
        await channel[Symbol.asyncDispose]();
        expect(await (await second()).size(queue.name)).toBe(0);
      });

      it('share a queue', async () => {
        await channel.declareQueue(queue);
        const other = await second();
        const [mine, theirs] = [new Inbox(), new Inbox()];
        await channel.prefetch(1);
        await other.prefetch(1);
        await channel.consume(queue, mine.take);
        await other.consume(queue, theirs.take);
        await publishAll(['1', '2']);
        await Promise.all([mine.arrived(1), theirs.arrived(1)]);
        expect([...mine.bodies, ...theirs.bodies].sort()).toEqual(['1', '2']);
      });

      it('learn that their queue was deleted', async () => {
        await channel.declareQueue(queue);
        const cancelled = new EventTarget();
        const heard = once(cancelled, 'cancel');
        const consumer = await channel.consume(
          queue,
          () => undefined,
          () => cancelled.dispatchEvent(new Event('cancel')),
        );
        const admin = own.own(await connection.openChannel());
        await admin.deleteQueue(queue.name);
        await heard;
        await consumer[Symbol.asyncDispose]();
        await channel.declareQueue(queue);
        await publishAll(['again']);
        await sizeBecomes(1);
      });
    });

    describe('prefetch', () => {
      it('limits the unsettled deliveries of the channel over all its consumers', async () => {
        const other = directQueue(`q-${randomUUID()}`);
        await channel.declareQueue(queue);
        await channel.declareQueue(other);
        await publishAll(['1', '2', '3'], queue);
        await publishAll(['4', '5', '6'], other);
        await channel.prefetch(2);
        const inbox = new Inbox();
        await channel.consume(queue, inbox.take);
        await channel.consume(other, inbox.take);
        await inbox.arrived(2);
        await settle();
        expect(inbox.deliveries).toHaveLength(2);

        await inbox.deliveries[0]?.ack();
        await inbox.arrived(3);
        await inbox.deliveries[1]?.reject({ requeue: false });
        await inbox.arrived(4);
        await settle();
        expect(inbox.deliveries).toHaveLength(4);

        await channel.prefetch(3);
        await inbox.arrived(5);
        await settle();
        expect(inbox.deliveries).toHaveLength(5);

        await channel.prefetch(0);
        await inbox.arrived(6);
        expect(new Set(inbox.bodies).size).toBe(6);
        await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
      });

      it('can be lowered below what is held', async () => {
        await channel.declareQueue(queue);
        await channel.prefetch(3);
        await publishAll(['1', '2', '3', '4', '5']);
        const inbox = new Inbox();
        await channel.consume(queue, inbox.take);
        await inbox.arrived(3);
        await channel.prefetch(1);
        await inbox.deliveries[0]?.ack();
        await inbox.deliveries[1]?.ack();
        await settle();
        expect(inbox.deliveries).toHaveLength(3);
        await inbox.deliveries[2]?.ack();
        await inbox.arrived(4);
        await settle();
        expect(inbox.deliveries).toHaveLength(4);
      });
    });

    describe('life', () => {
      it('says that we closed it', async () => {
        await channel[Symbol.asyncDispose]();
        await channel[Symbol.asyncDispose]();
        expect(await channel.closed).toBeUndefined();
        await connection[Symbol.asyncDispose]();
        await connection[Symbol.asyncDispose]();
        expect(await connection.closed).toBeUndefined();
      });

      it('closes its channels with it, and refuses further work', async () => {
        await channel.declareQueue(queue);
        const consumer = await channel.consume(queue, () => undefined);
        await connection[Symbol.asyncDispose]();
        expect(await channel.closed).toBeUndefined();
        await consumer[Symbol.asyncDispose]();
        const refused: (() => Promise<unknown>)[] = [
          () => channel.publish(envelope('x'), '', queue.name),
          () => channel.declareQueue(queue),
          () => channel.declareExchange({ name: 'x', type: 'direct', durable: true, autoDelete: false }),
          () => channel.deleteQueue(queue.name),
          () => channel.consume(queue, () => undefined),
          () => channel.prefetch(1),
          () => channel.get(queue.name),
          () => channel.size(queue.name),
          () => channel.purge(queue.name),
          () => connection.openChannel(),
        ];
        for (const call of refused) await expect(call()).rejects.toBeInstanceOf(OperationalError);
      });

      it('does not wait for other channels', async () => {
        const other = own.own(await connection.openChannel());
        await other[Symbol.asyncDispose]();
        await channel.declareQueue(queue);
        expect(await Promise.race([channel.closed, Promise.resolve('open')])).toBe('open');
      });

      it('does not connect when aborted', async () => {
        const reason = new Error('changed my mind');
        await expect(transport.connect(AbortSignal.abort(reason))).rejects.toBe(reason);
      });

      it('can be aborted while it connects', async () => {
        const controller = new AbortController();
        const reason = new Error('changed my mind');
        const connecting = transport.connect(controller.signal);
        controller.abort(reason);
        // A transport without a handshake may be connected already.
        const outcome = await connecting.catch((error: unknown) => error);
        if (outcome !== reason) await (outcome as Connection)[Symbol.asyncDispose]();
      });

      it('is not disturbed by an abort after it has connected', async () => {
        const controller = new AbortController();
        const other = own.own(await transport.connect(controller.signal));
        controller.abort(new Error('too late'));
        const otherChannel = own.own(await other.openChannel());
        await otherChannel.declareQueue(queue);
        expect(await otherChannel.size(queue.name)).toBe(0);
      });

      it('starts and stops 50 times at once, and leaves nothing open', async () => {
        await own.release();
        const before = handles();
        await Promise.all(
          Array.from({ length: 50 }, async (_, index) => {
            const other = await fixture.transport().connect(never());
            const otherChannel = await other.openChannel({ confirm: index % 2 === 0 });
            const bound = directQueue(`q-${randomUUID()}`, { autoDelete: true });
            await otherChannel.declareQueue(bound);
            await otherChannel.consume(bound, () => undefined);
            if (index % 3 === 0) await otherChannel[Symbol.asyncDispose]();
            await Promise.all([other[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
          }),
        );
        // Those of the tests before may still be closing.
        const left = (): unknown[] =>
          Object.entries(handles()).filter(([kind, count]) => count > (before[kind] ?? 0));
        await expect.poll(left, { timeout: 5_000 }).toEqual([]);
      });
    });

    describe('administration', () => {
      const refused = { ifUnused: false, ifEmpty: true };

      it('declares, counts, empties and deletes queues, and tells of those that are not there', async () => {
        const admin = connection.administer();
        await expect(admin.checkQueue(queue.name)).rejects.toThrow(OperationalError);
        expect(await admin.declareQueue(queue)).toEqual({ messages: 0, consumers: 0 });
        await channel.declareQueue(queue);
        await channel.publish(envelope('one'), '', queue.name);
        await expect.poll(() => admin.checkQueue(queue.name)).toMatchObject({ messages: 1 });
        await expect(admin.deleteQueue(queue.name, refused)).rejects.toThrow(/not empty/);
        expect(await admin.deleteQueue(queue.name, { ...refused, ifEmpty: false })).toBe(1);
        await expect(admin.checkQueue(queue.name)).rejects.toThrow(OperationalError);
      });

      it('makes exchanges, binds queues to them, and deletes them when nothing is bound', async () => {
        const admin = connection.administer();
        const exchange: Exchange = {
          name: `ex-${queue.name}`,
          type: 'topic',
          durable: true,
          autoDelete: false,
        };
        const unused = { ifUnused: true };
        await expect(admin.checkExchange(exchange.name)).rejects.toThrow(OperationalError);
        await admin.declareExchange(exchange);
        await admin.checkExchange(exchange.name);
        await channel.declareQueue(queue);
        await channel.declareExchange(exchange);
        await admin.bindQueue({ queue: queue.name, exchange: exchange.name, routingKey: 'a.*' });
        expect(await channel.offer(envelope('in'), exchange.name, 'a.b')).toBe(true);
        expect(await channel.offer(envelope('out'), exchange.name, 'b.b')).toBe(false);
        expect(await channel.size(queue.name)).toBe(1);
        await expect(admin.deleteExchange(exchange.name, unused)).rejects.toThrow(/in.use/);
        await admin.deleteQueue(queue.name, { ifUnused: false, ifEmpty: false });
        await admin.deleteExchange(exchange.name, unused);
        await expect(admin.checkExchange(exchange.name)).rejects.toThrow(OperationalError);
      });

      it('lists the bindings, where the broker tells them', async () => {
        await channel.declareQueue(queue);
        const found = await connection
          .administer()
          .bindings()
          .catch((error: unknown) => error);
        if (found instanceof OperationalError) expect(found.message).toContain('management plugin');
        else {
          const own = { queue: queue.name, exchange: queue.name, routingKey: queue.name };
          expect(found).toContainEqual(own);
        }
      });
    });
  });
}

/** What keeps a process alive, or would: sockets, pipes, watchers, by kind; timers come and go with the test runner. */
function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/Timeout|Immediate|CloseReq|FSReq|TickObject/.test(kind)) continue;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
