import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OperationalError } from '../../../src/core/errors.ts';
import { envelope, Inbox } from '../../support/messages.ts';
import type { Place } from './place.ts';

/** What becomes of messages on their way. */
export function messagesContract(at: Place): void {
  describe('messages', () => {
    it('arrive as they were sent', async () => {
      const { channel, queue, second } = at;
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
      const { channel, queue } = at;
      await channel.declareQueue(queue);
      await channel.publish(envelope(body, { contentEncoding: 'binary' }), '', queue.name);
      const got = await channel.get(queue.name);
      expect(got?.envelope.body.equals(body)).toBe(true);
      await got?.ack();
    });

    it('keep their order', async () => {
      const { channel, queue, publishAll } = at;
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
      const { channel, queue, second, sizeBecomes } = at;
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
      const { own, connection, channel, queue, sizeBecomes } = at;
      await channel.declareQueue(queue);
      const loose = own.own(await connection.openChannel({ confirm: false }));
      await Promise.all(
        Array.from({ length: 300 }, (_, index) => loose.publish(envelope(String(index)), '', queue.name)),
      );
      await sizeBecomes(300);
    });

    it('to a missing queue do no harm', async () => {
      const { channel, queue, sizeBecomes } = at;
      await channel.publish(envelope('nowhere'), '', `missing-${randomUUID()}`);
      await channel.declareQueue(queue);
      await channel.publish(envelope('here'), '', queue.name);
      await sizeBecomes(1);
    });

    it('to a missing exchange are refused', async () => {
      const { own, connection, channel, queue, sizeBecomes } = at;
      const missing = own.own(await connection.openChannel());
      await expect(
        missing.publish(envelope('nowhere'), `missing-${randomUUID()}`, 'key'),
      ).rejects.toBeInstanceOf(OperationalError);
      await channel.declareQueue(queue);
      await channel.publish(envelope('here'), '', queue.name);
      await sizeBecomes(1);
    });

    it('that were published in time are dropped when they expire', async (context) => {
      const { transport, channel, queue, sizeBecomes } = at;
      if (!transport.can.expiration) context.skip('this broker drops no message by itself');
      await channel.declareQueue(queue);
      await channel.publish(envelope('late', { properties: { expiration: '1' } }), '', queue.name);
      await sizeBecomes(0);
      expect(await channel.get(queue.name)).toBeUndefined();
    });
  });
}
