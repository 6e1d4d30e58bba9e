import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../src/transport/topology.ts';
import { directQueue, envelope, Inbox } from '../../support/messages.ts';
import type { Place } from './place.ts';

/** Which queues a message reaches, and in which order it leaves them. */
export function routingContract(at: Place): void {
  describe('routing', () => {
    const bind = async (exchange: Exchange, keys: readonly string[]): Promise<string[]> => {
      const names: string[] = [];
      for (const key of keys) {
        const bound = directQueue(`q-${randomUUID()}`, { exchange, routingKey: key });
        await at.channel.declareQueue(bound);
        names.push(bound.name);
      }
      return names;
    };
    const take = async (names: readonly string[]): Promise<string[][]> => {
      const taken: string[][] = [];
      for (const queueName of names) {
        const bodies: string[] = [];
        for (;;) {
          const delivery = await at.channel.get(queueName, { noAck: true });
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
      const { channel } = at;
      const exchange = exchangeOf('direct');
      const names = await bind(exchange, ['a', 'b', 'a']);
      await channel.publish(envelope('1'), exchange.name, 'a');
      await channel.publish(envelope('2'), exchange.name, 'b');
      await channel.publish(envelope('3'), exchange.name, 'c');
      expect(await take(names)).toEqual([['1@a'], ['2@b'], ['1@a']]);
    });

    it('topic: by patterns', async () => {
      const { channel } = at;
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
      const { channel } = at;
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
      const { channel } = at;
      const exchange = exchangeOf('direct');
      await channel.declareExchange(exchange);
      await channel.declareExchange(exchange);
      await channel.publish(envelope('nobody'), exchange.name, 'a');
    });

    it('tells whether anybody took what it was offered', async () => {
      const { transport, channel, queue, second } = at;
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
      const { transport, channel, second } = at;
      if (!transport.can.fanout) context.skip('this broker has no fanout exchanges');
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
      const { fixture, transport, channel, queue, sizeBecomes } = at;
      if (!transport.can.priority) context.skip('this broker knows no priorities');
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
}
