import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/interop-cluster.ts';
import { python } from '../support/python.ts';
import { hasRabbitmq, Rabbitmq } from '../support/rabbitmq.ts';
import { hasRedis, RedisServer } from '../support/redis.ts';
import {
  OUR_COMMANDS,
  OUR_COMMANDS_ON_RESULTS,
  prioritized,
  PRIORITY_ORDER,
  PYTHON_COMMANDS,
} from './operator-cases.ts';
import { PYTHON_CLIENT } from './python-client-cases.ts';
import { TYPESCRIPT_CLIENT } from './typescript-client-cases.ts';

const PAIRS = [
  { broker: 'rabbitmq', backend: 'rpc', resultSerializer: 'json' },
  { broker: 'rabbitmq', backend: 'redis', resultSerializer: 'msgpack' },
  { broker: 'redis', backend: 'redis', resultSerializer: 'json' },
  { broker: 'redis', backend: 'rpc', resultSerializer: 'yaml' },
] as const;

describe.runIf(hasRabbitmq && hasRedis && python !== undefined)(
  'one cluster with Python',
  { timeout: 25_000 },
  () => {
    let rabbitmq: Rabbitmq;
    let redis: RedisServer;
    beforeAll(async () => {
      [rabbitmq, redis] = await Promise.all([Rabbitmq.start(), RedisServer.start()]);
    });
    afterAll(async () => {
      await Promise.all([rabbitmq[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
    });

    describe.each(PAIRS)(
      '$broker and $backend ($resultSerializer)',
      ({ broker, backend, resultSerializer }) => {
        let cluster: Cluster;
        // What passes through the broker alone is shown once for each.
        const isFirstOfBroker = PAIRS.find((pair) => pair.broker === broker)?.backend === backend;
        beforeAll(async () => {
          const db = PAIRS.findIndex((pair) => pair.broker === broker && pair.backend === backend);
          cluster = await Cluster.start({
            broker: broker === 'redis' ? redis.url(db) : await rabbitmq.vhost(`pair-${String(db)}`),
            backend: backend === 'redis' ? redis.url(db) : 'rpc://',
            resultSerializer,
          });
        });
        afterAll(() => cluster[Symbol.asyncDispose]());

        describe.each(PYTHON_CLIENT)('Python client, TypeScript worker: %s', (_, cases) => {
          it.each(cases)('%s', async (_, program, expected) => {
            expect(await cluster.py(program)).toEqual(expected);
          });
        });

        it.each(isFirstOfBroker ? PYTHON_COMMANDS : [])(
          'Python’s commands, TypeScript worker: %s',
          async (_, program, expected) => {
            expect(await cluster.py(program)).toEqual(expected);
          },
        );

        it.each(isFirstOfBroker ? OUR_COMMANDS : [])(
          'our commands, Python worker: %s',
          async (_, run, expected) => {
            expect(await run(cluster)).toEqual(expected);
          },
        );

        it.each(backend === 'rpc' ? [] : OUR_COMMANDS_ON_RESULTS)(
          'our commands, Python’s results: %s',
          async (_, run, expected) => {
            expect(await run(cluster)).toEqual(expected);
          },
        );

        it.each(isFirstOfBroker ? PRIORITY_ORDER : [])('priorities: %s', async (_, run) => {
          expect(await run(cluster)).toEqual(prioritized(broker));
        });

        it.runIf(isFirstOfBroker)('`celery events --dump` sees our tasks', async () => {
          const dump = cluster.celery('events', '--dump');
          // A heartbeat: it listens.
          await dump.waitFor(/^ts@interop .* heartbeat/m);
          const { id } = await cluster.client.sendTask('ts.add', [1, 2]);
          const seenOf = (stdout: string) => stdout.split('\n').filter((line) => line.includes(id));
          await dump.waitFor((stdout) => seenOf(stdout).some((line) => line.includes(' task succeeded: ')));
          const seen = seenOf(dump.stdout);
          expect(seen).toEqual([
            expect.stringMatching(/^ts@interop \[.*\] task received: ts\.add\(/),
            expect.stringMatching(/^ts@interop \[.*\] task started: ts\.add\(/),
            expect.stringMatching(/^ts@interop \[.*\] task succeeded: ts\.add\(/),
          ]);
        });

        describe.each(TYPESCRIPT_CLIENT)('TypeScript client, Python worker: %s', (_, cases) => {
          it.each(cases)('%s', async (_, run, expected) => {
            expect(await run(cluster)).toEqual(expected);
          });
        });

        it.runIf(broker === 'rabbitmq' && backend === 'rpc')(
          'Python’s beat sends to our worker',
          async () => {
            const beat = cluster.celery('beat', '-s', cluster.project.path('schedule'));
            const beats = () =>
              cluster.notes().filter((note) => JSON.stringify(note) === '["ts.note",["beat","tick"]]');
            await expect.poll(() => beats().length, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
            beat.kill('SIGTERM');
          },
        );
      },
    );
  },
);
