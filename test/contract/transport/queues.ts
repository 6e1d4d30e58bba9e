import { describe, expect, it } from 'vitest';
import { envelope } from '../../support/messages.ts';
import type { Place } from './place.ts';

/** Declaring, counting, emptying and deleting queues. */
export function queuesContract(at: Place): void {
  describe('queues', () => {
    it('declares the same queue and exchange any number of times', async () => {
      const { channel, queue, second, sizeBecomes } = at;
      await channel.declareQueue(queue);
      await channel.publish(envelope('kept'), '', queue.name);
      await channel.declareQueue(queue);
      await (await second()).declareQueue(queue);
      await sizeBecomes(1);
    });

    it('counts, purges and deletes', async () => {
      const { channel, queue, sizeBecomes, publishAll } = at;
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
      const { channel, queue, sizeBecomes } = at;
      expect(await channel.size(queue.name)).toBe(0);
      expect(await channel.purge(queue.name)).toBe(0);
      await channel.deleteQueue(queue.name);
      await channel.declareQueue(queue);
      await channel.publish(envelope('after'), '', queue.name);
      await sizeBecomes(1);
    });

    it('takes one message at a time', async () => {
      const { channel, queue, second, publishAll } = at;
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
}
