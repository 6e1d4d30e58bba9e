import type { Envelope } from '../../src/message/message.ts';
import type { Queue } from '../../src/transport/topology.ts';
import type { Delivery } from '../../src/transport/transport.ts';

/** A queue like those that Celery makes: durable, with a direct exchange of its own name. */
export function directQueue(name: string, more: Partial<Queue> = {}): Queue {
  return {
    name,
    exchange: { name, type: 'direct', durable: true, autoDelete: false },
    routingKey: name,
    durable: true,
    exclusive: false,
    autoDelete: false,
    ...more,
  };
}

export function envelope(body: string | Buffer, more: Partial<Envelope> = {}): Envelope {
  return {
    body: Buffer.from(body),
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    headers: {},
    properties: { deliveryMode: 2 },
    ...more,
  };
}

/** Collects the deliveries of a consumer so that a test can await the n-th. */
export class Inbox {
  readonly deliveries: Delivery[] = [];
  readonly #waiting: { count: number; resolve: () => void }[] = [];

  readonly take = (delivery: Delivery): void => {
    this.deliveries.push(delivery);
    for (const waiter of this.#waiting) if (this.deliveries.length >= waiter.count) waiter.resolve();
  };

  /** Resolves when `count` deliveries have come since the beginning. */
  async arrived(count: number): Promise<Delivery[]> {
    if (this.deliveries.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.deliveries;
  }

  get bodies(): string[] {
    return this.deliveries.map((delivery) => delivery.envelope.body.toString());
  }
}
