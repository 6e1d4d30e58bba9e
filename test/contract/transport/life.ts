import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OperationalError } from '../../../src/core/errors.ts';
import type { Connection } from '../../../src/transport/transport.ts';
import { directQueue, envelope } from '../../support/messages.ts';
import { never, type Place } from './place.ts';

/** Connecting and closing. */
export function lifeContract(at: Place): void {
  describe('life', () => {
    it('says that we closed it', async () => {
      const { connection, channel } = at;
      await channel[Symbol.asyncDispose]();
      await channel[Symbol.asyncDispose]();
      expect(await channel.closed).toBeUndefined();
      await connection[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
      expect(await connection.closed).toBeUndefined();
    });

    it('closes its channels with it, and refuses further work', async () => {
      const { connection, channel, queue } = at;
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
      const { own, connection, channel, queue } = at;
      const other = own.own(await connection.openChannel());
      await other[Symbol.asyncDispose]();
      await channel.declareQueue(queue);
      expect(await Promise.race([channel.closed, Promise.resolve('open')])).toBe('open');
    });

    it('does not connect when aborted', async () => {
      const { transport } = at;
      const reason = new Error('changed my mind');
      await expect(transport.connect(AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    it('can be aborted while it connects', async () => {
      const { transport } = at;
      const controller = new AbortController();
      const reason = new Error('changed my mind');
      const connecting = transport.connect(controller.signal);
      controller.abort(reason);
      // A transport without a handshake may be connected already.
      const outcome = await connecting.catch((error: unknown) => error);
      if (outcome !== reason) await (outcome as Connection)[Symbol.asyncDispose]();
    });

    it('is not disturbed by an abort after it has connected', async () => {
      const { transport, own, queue } = at;
      const controller = new AbortController();
      const other = own.own(await transport.connect(controller.signal));
      controller.abort(new Error('too late'));
      const otherChannel = own.own(await other.openChannel());
      await otherChannel.declareQueue(queue);
      expect(await otherChannel.size(queue.name)).toBe(0);
    });

    it('starts and stops 50 times at once, and leaves nothing open', async () => {
      const { fixture, own } = at;
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
