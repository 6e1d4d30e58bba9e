import { describe, expect, it } from 'vitest';
import { BROKERS } from '../support/chaos/broker.ts';
import { storm } from '../support/chaos/storm.ts';
import { python } from '../support/python.ts';
import { hasRabbitmq } from '../support/rabbitmq.ts';
import { hasRedis } from '../support/redis.ts';

const TASKS = 1000;
const has = { redis: hasRedis, rabbitmq: hasRabbitmq };
const print = (line: string): void => void process.stdout.write(`${line}\n`);

// `npm run soak -- storm` does the same with 5,000 tasks.
describe.skipIf(python === undefined)('Python and TypeScript workers that are killed each second', () => {
  for (const broker of BROKERS) {
    it.runIf(has[broker])(
      `${broker}: every task of their queue runs, and nothing is left`,
      { timeout: 400_000 },
      async () => {
        const counts = await storm({ broker, tasks: TASKS, taskMs: 40, print });
        print(`${broker}: ${JSON.stringify(counts)}`);
        // `afterAck` is measured on Redis only, which tells all its commands.
        expect(counts).toMatchObject({ distinct: TASKS, left: 0, afterAck: 0 });
        expect(counts.kills.python + counts.kills.typescript).toBeGreaterThan(1);
        expect(counts.endedAlone.typescript).toBe(0);
        expect(counts.cuts).toBeGreaterThan(0);
      },
    );
  }
});
