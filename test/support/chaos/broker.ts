import { Redis } from 'ioredis';
import { Rabbitmq } from '../rabbitmq.ts';
import { RedisServer } from '../redis.ts';

/** A broker of its own that a test may cut off, stop and kill. */
export interface ChaosBroker extends AsyncDisposable {
  readonly name: BrokerName;
  readonly port: number;
  /** @param port of the server, or of a proxy before it */
  url(port: number): string;
  /** Messages in these queues, those that somebody holds included. */
  messages(queues: readonly string[]): Promise<number>;
  /** Ways to make it stand still, used in turns; each returns how to make it go on. */
  readonly stops: readonly (readonly [how: string, stop: () => Promise<() => Promise<void>>])[];
}

export const BROKERS = ['rabbitmq', 'redis'] as const;
export type BrokerName = (typeof BROKERS)[number];

export function startBroker(name: BrokerName): Promise<ChaosBroker> {
  return name === 'redis' ? redis() : rabbitmq();
}

async function redis(): Promise<ChaosBroker> {
  const server = await RedisServer.start({ persistent: true });
  return {
    name: 'redis',
    port: server.port,
    url: (port) => `redis://127.0.0.1:${port}/0`,
    async messages(queues) {
      const client = new Redis(server.url());
      try {
        const lists = queues.flatMap((queue) =>
          ['', '\x06\x163', '\x06\x166', '\x06\x169'].map((step) => queue + step),
        );
        const waiting = await Promise.all(lists.map((list) => client.llen(list)));
        return waiting.reduce((sum, size) => sum + size, await client.hlen('unacked'));
      } finally {
        client.disconnect();
      }
    },
    stops: [
      [
        'SIGSTOP',
        async () => {
          server.freeze();
          return async () => server.thaw();
        },
      ],
      [
        'killed',
        async () => {
          await server.kill();
          return () => server.up();
        },
      ],
    ],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function rabbitmq(): Promise<ChaosBroker> {
  const server = await Rabbitmq.start();
  return {
    name: 'rabbitmq',
    port: server.port,
    url: (port) => `amqp://guest:guest@127.0.0.1:${port}/%2F`,
    async messages(queues) {
      const lines = (await server.ctl('list_queues', 'name', 'messages')).trim().split('\n');
      const counts = lines.map((line) => line.split('\t'));
      return counts.reduce((sum, [name = '', count]) => sum + (queues.includes(name) ? Number(count) : 0), 0);
    },
    stops: [
      [
        'stopped',
        async () => {
          await server.stop();
          return () => server.up();
        },
      ],
      [
        'killed',
        async () => {
          await server.kill();
          return () => server.up();
        },
      ],
    ],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
