import { describe, expect, it } from 'vitest';
import { OperationalError } from '../../../src/core/errors.ts';
import type { Exchange } from '../../../src/transport/topology.ts';
import { envelope } from '../../support/messages.ts';
import type { Place } from './place.ts';

/** What `celery-ts amqp`, `list` and `migrate` do. */
export function administrationContract(at: Place): void {
  describe('administration', () => {
    const refused = { ifUnused: false, ifEmpty: true };

    it('declares, counts, empties and deletes queues, and tells of those that are not there', async () => {
      const { connection, channel, queue } = at;
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
      const { connection, channel, queue } = at;
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
      const { connection, channel, queue } = at;
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
}
