import { describe, expect, it } from 'vitest';
import { Inbox } from '../../support/messages.ts';
import { never, type Place } from './place.ts';

/** Acknowledging, rejecting, giving back. */
export function settlingContract(at: Place): void {
  describe('settling', () => {
    it('ack forgets, reject drops, requeue gives back', async () => {
      const { channel, queue, second, settle, publishAll } = at;
      await channel.declareQueue(queue);
      await publishAll(['ack', 'drop', 'requeue']);
      const inbox = new Inbox();
      await channel.consume(queue, inbox.take);
      const [first, middle, last] = await inbox.arrived(3);
      await Promise.all([first?.ack(), middle?.reject({ requeue: false }), last?.reject({ requeue: true })]);
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
      const { transport, channel, queue, publishAll } = at;
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
      const { channel, queue, settle, sizeBecomes, publishAll } = at;
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
      const { channel, queue, second, publishAll } = at;
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
        const { connection, channel, queue, second, publishAll } = at;
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
}
