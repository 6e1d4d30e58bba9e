import type { ExchangeInfo, QueueInfo } from '../../app/control-replies.ts';
import type { Exchange, Queue } from '../../transport/topology.ts';

const DEFAULT_EXCHANGE: Exchange = { name: '', type: 'direct', durable: true, autoDelete: false };

/** A queue as kombu writes it down. */
export function queueInfo(queue: Queue, alias: string | undefined): QueueInfo {
  const { arguments: declared = {} } = queue;
  return {
    name: queue.name,
    exchange: exchangeInfo(queue.exchange ?? DEFAULT_EXCHANGE),
    routing_key: queue.routingKey,
    queue_arguments: queue.arguments ?? null,
    binding_arguments: queue.bindingArguments ?? null,
    consumer_arguments: queue.consumerArguments ?? null,
    durable: queue.durable,
    exclusive: queue.exclusive,
    auto_delete: queue.autoDelete,
    no_ack: queue.noAck ?? false,
    alias: alias ?? null,
    bindings: (queue.bindings ?? []).map(({ exchange, routingKey }) => ({
      exchange: exchangeInfo(exchange),
      routing_key: routingKey,
      arguments: null,
      unbind_arguments: null,
    })),
    no_declare: queue.noDeclare ?? null,
    expires: toSeconds(numberOf(declared['x-expires'])),
    message_ttl: toSeconds(numberOf(declared['x-message-ttl'])),
    max_length: numberOf(declared['x-max-length']),
    max_length_bytes: numberOf(declared['x-max-length-bytes']),
    max_priority: numberOf(declared['x-max-priority']),
  };
}

function exchangeInfo(exchange: Exchange): ExchangeInfo {
  return {
    name: exchange.name,
    type: exchange.type,
    arguments: exchange.arguments ?? null,
    durable: exchange.durable,
    passive: false,
    auto_delete: exchange.autoDelete,
    delivery_mode: exchange.deliveryMode ?? null,
    no_declare: exchange.noDeclare ?? false,
  };
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function toSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
