import { expect, it } from 'vitest';
import { maskSecrets } from '../../../src/settings/mask.ts';

it('hides what Celery hides, at any depth', () => {
  const schedule = new Date(0);
  expect(
    maskSecrets({
      broker_url: 'amqp://u:pw@h//;amqp://u:pw@h2//',
      broker_read_url: ['amqp://u:pw@h//'],
      broker_password: null,
      security_key: '/etc/key.pem',
      database_url: 'postgresql://u:pw@h/d',
      broker_transport_options: { api_token: 'x', nested: [{ secret: 1, url: 'redis://:pw@h/0' }] },
      beat_schedule: { e: { task: 't', schedule } },
      task_serializer: 'json',
      worker_concurrency: 2,
    }),
  ).toEqual({
    broker_url: 'amqp://u:********@h//;amqp://u:********@h2//',
    broker_read_url: ['amqp://u:********@h//'],
    broker_password: '********',
    security_key: '********',
    database_url: '********',
    broker_transport_options: {
      api_token: '********',
      nested: [{ secret: '********', url: 'redis://:********@h/0' }],
    },
    beat_schedule: { e: { task: 't', schedule } },
    task_serializer: 'json',
    worker_concurrency: 2,
  });
});
