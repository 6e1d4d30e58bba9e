import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { directQueue, envelope, Inbox } from '../../support/messages.ts';
import type { Place } from './place.ts';

/** Who is given which messages, and how many of them. */
export function consumersContract(at: Place): void {
  describe('consumers', () => {
    it('get what is there and what comes', async () => {
      const { channel, queue, second, publishAll } = at;
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
      const { channel, queue, second, settle, sizeBecomes, publishAll } = at;
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
      const { channel, queue, settle, sizeBecomes, publishAll } = at;
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
      const { channel, queue, second, publishAll } = at;
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
      const { channel, queue, second, publishAll } = at;
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
      const { own, connection, channel, queue, sizeBecomes, publishAll } = at;
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
      const { channel, queue, settle, publishAll } = at;
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

    it('beyond what a broker can count holds nothing back', async () => {
      const { channel, queue, publishAll } = at;
      await channel.declareQueue(queue);
      await channel.prefetch(1);
      await publishAll(['1', '2', '3']);
      const inbox = new Inbox();
      await channel.consume(queue, inbox.take);
      await inbox.arrived(1);
      await channel.prefetch(100_000);
      await inbox.arrived(3);
      await Promise.all(inbox.deliveries.map((delivery) => delivery.ack()));
    });

    it('can be lowered below what is held', async () => {
      const { channel, queue, settle, publishAll } = at;
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
}
