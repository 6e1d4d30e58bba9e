import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { Redis } from 'ioredis';
import { Rabbitmq } from '../../test/support/rabbitmq.ts';
import { RedisServer } from '../../test/support/redis.ts';
import type { BrokerName, Case } from './model.ts';
import { cpuOf, treeOf, type CpuUse } from './proc.ts';

/** Queue that all contenders with Celery's messages use. */
export const QUEUE = 'celery';
/** Queue that results sent as messages end in; nobody reads it. */
export const REPLIES = 'bench.replies';

/** A RabbitMQ and a Redis of the bench's own, started when first needed. */
export class Servers implements AsyncDisposable {
  #rabbitmq: { server: Rabbitmq; connection: ChannelModel; channel: ConfirmChannel } | undefined;
  #redis: { server: RedisServer; client: Redis } | undefined;

  /** Starts what a case needs. */
  async need({ broker, results }: Pick<Case, 'broker' | 'results'>): Promise<void> {
    if (broker === 'rabbitmq' && this.#rabbitmq === undefined) {
      const server = await Rabbitmq.start();
      const connection = await connect(server.url(), { noDelay: true });
      this.#rabbitmq = { server, connection, channel: await connection.createConfirmChannel() };
    }
    if ((broker === 'redis' || results === 'redis') && this.#redis === undefined) {
      const server = await RedisServer.start();
      this.#redis = { server, client: new Redis(server.url()) };
    }
  }

  get channel(): ConfirmChannel {
    if (this.#rabbitmq === undefined) throw new Error('RabbitMQ was not started');
    return this.#rabbitmq.channel;
  }

  get redis(): Redis {
    if (this.#redis === undefined) throw new Error('Redis was not started');
    return this.#redis.client;
  }

  url(name: BrokerName): string {
    const server = name === 'rabbitmq' ? this.#rabbitmq?.server : this.#redis?.server;
    if (server === undefined) throw new Error(`${name} was not started`);
    return server.url();
  }

  /** CPU used so far by the servers that this case uses. */
  cpu({ broker, results }: Case): CpuUse {
    const pids = [
      broker === 'rabbitmq' ? this.#rabbitmq?.server.pid : undefined,
      broker === 'redis' || results === 'redis' ? this.#redis?.server.pid : undefined,
    ];
    return cpuOf(pids.flatMap((pid) => (pid === undefined ? [] : treeOf(pid))));
  }

  /** Empties both. */
  async reset(): Promise<void> {
    if (this.#rabbitmq !== undefined) {
      const { channel } = this.#rabbitmq;
      await channel.deleteQueue(QUEUE);
      await channel.deleteQueue(REPLIES);
      await channel.assertQueue(QUEUE, { durable: true });
      await channel.assertQueue(REPLIES, { durable: false });
    }
    await this.#redis?.client.flushall();
  }

  /** Forgets what a killed worker on Redis still held; RabbitMQ puts it back by itself. */
  async forgetHeld(): Promise<void> {
    await this.#redis?.client.del('unacked', 'unacked_index', 'unacked_leases');
  }

  /** Messages that wait in the queue. */
  async depth(broker: BrokerName): Promise<number> {
    if (broker === 'redis') return this.redis.llen(QUEUE);
    return (await this.channel.checkQueue(QUEUE)).messageCount;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rabbitmq?.connection.close().catch(() => undefined);
    this.#redis?.client.disconnect();
    await this.#rabbitmq?.server[Symbol.asyncDispose]();
    await this.#redis?.server[Symbol.asyncDispose]();
  }
}
