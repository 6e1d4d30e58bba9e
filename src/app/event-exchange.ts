import type { ResolvedSettings } from '../settings/settings.ts';
import type { Exchange } from '../transport/topology.ts';
import type { Transport } from '../transport/transport.ts';

const REDIS_SCHEMES: ReadonlySet<string> = new Set(['redis', 'rediss', 'redis+socket', 'sentinel']);
const AMQP_SCHEMES: ReadonlySet<string> = new Set(['amqp', 'amqps', 'pyamqp']);

/**
 * The exchange of events, as Celery declares it: a topic exchange, on Redis one of fanout, whose channels carry the routing key.
 */
export function eventExchange(settings: ResolvedSettings, { scheme }: Transport): Exchange {
  return {
    name: settings.event_exchange,
    type: REDIS_SCHEMES.has(scheme) ? 'fanout' : 'topic',
    durable: true,
    autoDelete: false,
  };
}

/** Whether the workers of this broker know of each other (mingle, gossip): in Celery those of AMQP and Redis do. */
export function hasNeighbors({ scheme }: Transport): boolean {
  return AMQP_SCHEMES.has(scheme) || REDIS_SCHEMES.has(scheme);
}
