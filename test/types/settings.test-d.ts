import { expectTypeOf, test } from 'vitest';
import { Celery, defineConfig, Queue } from '../../src/index.ts';

test('defineConfig knows the settings', () => {
  defineConfig({
    broker_url: 'pyamqp://',
    task_routes: { 'tasks.add': 'low-priority', 'feed.*': { queue: 'feeds', routing_key: 'feed.x' } },
    task_annotations: { 'tasks.add': { rate_limit: '10/m' } },
    task_queues: [new Queue('default', { routingKey: 'task.#' })],
  });
  // @ts-expect-error -- task_serializer
  defineConfig({ task_serialiser: 'json' });
  // @ts-expect-error -- a number
  defineConfig({ worker_concurrency: 'two' });
  // @ts-expect-error -- camelCase is for options
  defineConfig({ taskSerializer: 'json' });
  // @ts-expect-error -- rate_limit
  defineConfig({ task_annotations: { 'tasks.add': { ratelimit: '10/m' } } });
});

test('the constructor and conf know them too', () => {
  const app = new Celery('x', {
    broker: 'memory://',
    backend: 'cache+memory://',
    task_default_queue: 'jobs',
  });
  // @ts-expect-error -- it is spelt broker
  new Celery('x', { brokr: 'memory://' });
  app.conf.task_serializer = 'json';
  app.conf.update({ enable_utc: true, timezone: 'Europe/Oslo' });
  expectTypeOf(app.conf.task_default_queue).toEqualTypeOf<string>();
  // @ts-expect-error -- it takes a boolean
  app.conf.task_acks_late = 'yes';
  // @ts-expect-error -- no such setting
  app.conf.task_ack_late = true;
  // @ts-expect-error -- no such setting
  app.conf.update({ task_ack_late: true });
  // @ts-expect-error -- no such setting
  app.configFromObject({ task_ack_late: true });
  app.configFromObject('celeryconfig');
});
