import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { startWorker } from '../../src/testing/index.ts';

function makeApp(broker = `memory://${randomUUID()}`): Celery {
  const app = new Celery('tests', {
    broker,
    backend: `cache+memory://${randomUUID()}`,
    broker_connection_retry: false,
  });
  app.markConfigured();
  return app;
}

test('a worker in the process of the tests runs their tasks', async () => {
  await using app = makeApp();
  const add = app.task('tasks.add', (x: number, y: number) => x + y);
  await using worker = await startWorker(app, { hostname: 'tests@here' });
  expect(worker.hostname).toBe('tests@here');
  const result = await add.delay(4, 4);
  expect(await result.get({ timeout: 20 })).toBe(8);
  await worker.stop();
  await worker.stop('cold');
});

test('only its queues are consumed', async () => {
  await using app = makeApp();
  const add = app.task('tasks.add', (x: number, y: number) => x + y);
  await using worker = await startWorker(app, { queues: ['video'] });
  const other = await add.delay(1, 1);
  const result = await add.applyAsync([1, 2], { queue: 'video' });
  expect(await result.get({ timeout: 20 })).toBe(3);
  expect(await other.state()).toBe('PENDING');
  await worker.stop();
});

test('a broker out of reach is said', async () => {
  await using app = makeApp('amqp://127.0.0.1:1//');
  await expect(startWorker(app)).rejects.toMatchObject({ name: 'OperationalError' });
});

test('starting can be given up', async () => {
  await using app = makeApp('amqp://127.0.0.1:1//');
  app.conf.broker_connection_retry = true;
  await expect(startWorker(app, { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
    name: 'TimeoutError',
  });
});
