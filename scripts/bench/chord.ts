// What chords cost by their size, from the first call to the body's result: node --import tsx scripts/bench/chord.ts [SIZE…]
//
// One process holds the client and a worker with the solo pool, so that its memory is that of both; Redis is another one.
import { Redis } from 'ioredis';
import { Celery } from '../../src/app/celery.ts';
import { chord } from '../../src/app/compose.ts';
import { startWorker } from '../../src/testing/worker.ts';
import { RedisServer } from '../../test/support/redis.ts';

const given = process.argv.slice(2).map(Number);
const sizes = given.length > 0 ? given : [1_000, 10_000];

const seconds = (fromMs: number): string => `${((performance.now() - fromMs) / 1000).toFixed(2)} s`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

async function measure(app: Celery, size: number): Promise<string> {
  const header = Array.from({ length: size }, (_, index) => app.signature('add', [index, 1]));
  const startMs = performance.now();
  const result = await chord(header, app.signature('total')).delay();
  const sent = seconds(startMs);
  const total = await result.get({ timeout: 600 });
  const took = seconds(startMs);
  if (total !== (size * (size + 1)) / 2)
    throw new Error(`The chord of ${String(size)} gave ${String(total)}`);
  return `sent in ${sent}, ended after ${took}, this process ${megabytes(process.memoryUsage().rss)}`;
}

await using redis = await RedisServer.start();
const raw = new Redis(redis.port);
for (const [name, url] of [
  ['redis', redis.url()],
  ['memory', undefined],
] as const) {
  await using app = new Celery('bench', { broker: url ?? 'memory://', backend: url ?? 'cache+memory://' });
  app.markConfigured();
  app.task('add', (x: number, y: number) => x + y);
  app.task('total', (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0));
  await using worker = await startWorker(app);
  for (const size of sizes) {
    console.log(`${name}, ${String(size)} members: ${await measure(app, size)}`);
    if (name === 'redis') {
      const memory = /used_memory_peak:(\d+)/.exec(await raw.info('memory'))?.[1] ?? '0';
      console.log(`  Redis ${megabytes(Number(memory))} at most, ${String(await raw.dbsize())} keys left`);
    }
  }
  await worker.stop();
}
raw.disconnect();
