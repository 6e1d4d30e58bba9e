import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { Releasers } from '../../../src/core/lifecycle.ts';
import type { Queue } from '../../../src/transport/topology.ts';
import type { Channel, Connection, Transport } from '../../../src/transport/transport.ts';
import { directQueue, envelope, Inbox } from '../../support/messages.ts';

/** A broker that the suite may fill with queues of its own names. */
export interface TransportFixture extends AsyncDisposable {
  /** A Transport of that broker; each call may give another one. */
  transport(): Transport;
  /** In which order messages of the priorities 0, 5, 9, 3, sent in this order, are delivered. Default: the highest first. */
  readonly priorityOrder?: readonly string[];
}

export const never = (): AbortSignal => new AbortController().signal;

/** What each test of the suite has at hand; all but the first two are new for every test, and closed after it. */
export class Place {
  fixture!: TransportFixture;
  transport!: Transport;
  /** Releases after the test what is given to it. */
  own!: Releasers;
  connection!: Connection;
  channel!: Channel;
  /** Not declared yet. */
  queue!: Queue;

  /** Starts the broker before all tests of the `describe` around it, and connects before each. */
  constructor(setup: () => Promise<TransportFixture>) {
    beforeAll(async () => {
      this.fixture = await setup();
      this.transport = this.fixture.transport();
    });
    afterAll(() => this.fixture[Symbol.asyncDispose]());
    beforeEach(async () => {
      this.own = new Releasers();
      this.connection = this.own.own(await this.transport.connect(never()));
      this.channel = this.own.own(await this.connection.openChannel());
      this.queue = directQueue(`q-${randomUUID()}`);
    });
    afterEach(() => this.own.release());
  }

  /** A channel of another connection. */
  readonly second = async (): Promise<Channel> => {
    const other = this.own.own(await this.fixture.transport().connect(never()));
    return this.own.own(await other.openChannel());
  };

  /** Resolves when everything that the broker had sent before this call has arrived here. */
  readonly settle = async (): Promise<void> => {
    const marker = directQueue(`marker-${randomUUID()}`, { noAck: true });
    const probe = this.own.own(await this.connection.openChannel());
    await probe.declareQueue(marker);
    const inbox = new Inbox();
    await probe.consume(marker, inbox.take);
    for (let round = 1; round <= 3; round += 1) {
      await probe.publish(envelope('marker'), '', marker.name);
      await inbox.arrived(round);
    }
    await probe.deleteQueue(marker.name);
    await probe[Symbol.asyncDispose]();
  };

  /** The queue's size once it has become what is expected: brokers count a little later than they confirm. */
  readonly sizeBecomes = async (size: number, name = this.queue.name): Promise<void> => {
    await expect.poll(() => this.channel.size(name), { timeout: 5_000 }).toBe(size);
  };

  readonly publishAll = (bodies: readonly string[], to = this.queue): Promise<unknown> =>
    Promise.all(bodies.map((body) => this.channel.publish(envelope(body), '', to.name)));
}
