import type { Envelope } from '../../message/message.ts';
import type { Subscription } from './store.ts';

/** Messages of one queue that a `take` hands over at most, so that nobody else waits long. */
export const TAKE_AT_MOST = 200;

/**
 * Shares the room of a `take` among its queues: an equal part for each, and what some do not use for the others.
 *
 * @param take takes up to `atMost` messages and returns how many there were
 */
export function fairShares(
  from: readonly Subscription[],
  { room, limit }: { readonly room: number; readonly limit: number },
  take: (subscription: Subscription, atMost: number) => number,
): void {
  for (const subscription of from) if (subscription.noAck) take(subscription, limit);
  let hungry = from.filter(({ noAck }) => !noAck);
  let left = Math.min(room, limit);
  while (left > 0 && hungry.length > 0) {
    const full: Subscription[] = [];
    for (const [index, subscription] of hungry.entries()) {
      const share = Math.ceil(left / (hungry.length - index));
      if (share === 0) break;
      const taken = take(subscription, share);
      left -= taken;
      if (taken === share) full.push(subscription);
    }
    hungry = full;
  }
}

/** When a message of this moment expires, in epoch milliseconds; undefined when it does not. */
export function expiresAtOf(envelope: Envelope): number | undefined {
  const { expiration } = envelope.properties;
  return expiration !== undefined && /^\d+$/.test(expiration) ? Date.now() + Number(expiration) : undefined;
}
