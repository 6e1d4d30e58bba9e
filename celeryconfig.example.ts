/**
 * A configuration to begin with: copy it to `celeryconfig.ts` beside the module of your app, and keep what you need.
 *
 * Names and meaning are those of https://docs.celeryq.dev/en/stable/userguide/configuration.html; times are seconds. What
 * `app.conf` says goes before this file, the environment (`CELERY_BROKER_URL`, …) and the command line before both.
 */
import { defineConfig } from 'celery-ts';

export default defineConfig({
  // Where tasks are sent. For RabbitMQ: 'pyamqp://guest@localhost//'.
  broker_url: 'sqlite:///celery.db',
  // Where results are kept. Over RabbitMQ: 'rpc://'.
  result_backend: 'sqlite:///celery.db',
  result_expires: 3600,

  task_serializer: 'json',
  accept_content: ['json'],
  timezone: 'Europe/Oslo',
  enable_utc: true,

  // Which queue a task goes to: by name, by glob ('feed.*'), or as a function.
  task_routes: {
    'tasks.add': 'low-priority',
    'feed.*': { queue: 'feeds', priority: 5 },
  },

  // Options of tasks, overridden from outside their code.
  task_annotations: {
    'tasks.add': { rate_limit: '10/m' },
  },

  // Run a task again when its worker dies: for tasks that may run twice.
  task_acks_late: true,
  task_reject_on_worker_lost: true,

  worker_concurrency: 2,
  worker_prefetch_multiplier: 1,
});
