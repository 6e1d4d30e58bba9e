import { describe, expect, it } from 'vitest';
import { BROKERS } from '../support/chaos/broker.ts';
import { stopRounds } from '../support/chaos/stops.ts';
import { hasRabbitmq } from '../support/rabbitmq.ts';
import { hasRedis } from '../support/redis.ts';

const has = { redis: hasRedis, rabbitmq: hasRabbitmq };
const print = (line: string): void => void process.stdout.write(`${line}\n`);

// `npm run soak` does the same for longer.
describe('a broker that stops and starts again', () => {
  for (const broker of BROKERS) {
    it.runIf(has[broker])(
      `${broker}: the worker takes up every queue, remote control and results; nothing is lost`,
      { timeout: 300_000 },
      async () => {
        const counts = await stopRounds({ broker, rounds: 2, stopMs: 3000, print });
        print(`${broker}: ${JSON.stringify(counts)}`);
        expect(counts.rounds).toBe(2);
        // Redis answers an acknowledgement. RabbitMQ does not: one that it had read but not written down when it was killed is lost.
        expect(counts.duplicates).toBeLessThanOrEqual(broker === 'redis' ? 0 : 3);
        expect(counts.tasks).toBeGreaterThanOrEqual(26);
      },
    );
  }
});
