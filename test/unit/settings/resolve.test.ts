import { describe, expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import {
  castSetting,
  changedSettings,
  resolveSettings,
  unsupportedSettings,
} from '../../../src/settings/resolve.ts';
import { defineConfig } from '../../../src/settings/settings.ts';

function layer(values: Readonly<Record<string, unknown>>, origin = 'celeryconfig.ts') {
  return { origin, values };
}

function problems(values: Readonly<Record<string, unknown>>): string[] {
  try {
    resolveSettings([layer(values)]);
  } catch (error) {
    expect(error).toBeInstanceOf(ImproperlyConfigured);
    return (error as Error).message.split('\n').map((line) => line.replace(/^celeryconfig\.ts: /, ''));
  }
  return [];
}

describe('resolveSettings', () => {
  it('takes the strongest layer, skips what is undefined, and freezes', () => {
    const settings = resolveSettings([
      layer({ task_serializer: 'pickle', broker_url: 'amqp://file//', timezone: 'Europe/Oslo' }),
      layer({ task_serializer: 'json', timezone: undefined }, 'app.conf'),
      layer({ broker_url: 'sqlite:///x.db' }, 'environment'),
    ]);
    expect(settings).toMatchObject({
      task_serializer: 'json',
      broker_url: 'sqlite:///x.db',
      timezone: 'Europe/Oslo',
      worker_prefetch_multiplier: 4,
    });
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('gives short forms the form that the code uses', () => {
    const settings = resolveSettings([
      layer({
        imports: 'tasks',
        accept_content: new Set(['json', 'yaml']),
        task_publish_retry_policy: { max_retries: null },
        worker_redirect_stdouts_level: 'info',
      }),
    ]);
    expect(settings.imports).toEqual(['tasks']);
    expect(settings.accept_content).toEqual(['json', 'yaml']);
    expect(settings.task_publish_retry_policy).toEqual({
      max_retries: null,
      interval_start: 0,
      interval_step: 0.2,
      interval_max: 1,
    });
    expect(settings.worker_redirect_stdouts_level).toBe('INFO');
  });

  it('takes every form of the structured settings', () => {
    const route = (): undefined => undefined;
    const queue = { name: 'q', exchange: { name: 'e' }, routingKey: 'k' };
    const values = defineConfig({
      broker_url: ['amqp://a:b@h1//', 'amqp://h2//'],
      broker_use_ssl: { ca: 'x' },
      broker_failover_strategy: (urls) => urls,
      result_expires: null,
      task_routes: [
        { 'tasks.add': 'math', 'feed.*': { queue, priority: 3, routing_key: 'x' } },
        new Map<string | RegExp, string>([[/^web\./, 'web']]),
        [
          ['a.*', { queue: 'a' }],
          [/b/, 'b'],
        ],
        route,
      ],
      task_queues: {
        default: { exchange: 'e', binding_key: 'k', queue_arguments: { 'x-queue-type': 'quorum' } },
      },
      task_annotations: [{ '*': { rate_limit: '10/s' } }, { annotate: () => ({ time_limit: 1 }) }],
      task_default_rate_limit: 2.5,
      beat_schedule: {
        e: { task: 't', schedule: { isDue: () => ({ due: false, nextSeconds: 1 }) }, args: [1] },
      },
    });
    expect(problems(values)).toEqual([]);
    for (const task_routes of [route, new Map([['a', 'b']]), { a: 'b' }, null])
      expect(problems({ task_routes })).toEqual([]);
    for (const task_queues of [[queue], null, {}]) expect(problems({ task_queues })).toEqual([]);
  });

  it('names all problems of all layers, one a line, with their origin', () => {
    const resolve = () =>
      resolveSettings([
        layer({ task_serialiser: 'json', worker_concurrency: 'four' }),
        layer({ task_acks_late: 1 }, 'app.conf'),
      ]);
    expect(resolve).toThrow(
      new ImproperlyConfigured(
        'celeryconfig.ts: task_serialiser is not a setting of Celery. Did you mean task_serializer?\n' +
          'celeryconfig.ts: worker_concurrency takes an integer, got "four"\n' +
          'app.conf: task_acks_late takes true or false, got 1',
      ),
    );
  });

  it.each<[string, unknown, string]>([
    ['xyzzy', 1, 'xyzzy is not a setting of Celery.'],
    ['taskRoutes', {}, 'taskRoutes is not a setting of Celery. Did you mean task_routes?'],
    ['CELERY_TASK_SERIALIZER', 'json', 'CELERY_TASK_SERIALIZER is an old name: write task_serializer'],
    ['CELERYD_CONCURRENCY', 2, 'CELERYD_CONCURRENCY is an old name: write worker_concurrency'],
    ['BROKER_URL', 'x', 'BROKER_URL is an old name: write broker_url'],
    ['TASK_ROUTES', {}, 'TASK_ROUTES is an old name: write task_routes'],
    ['CELERY_BROKER_URL', 'x', 'CELERY_BROKER_URL is an old name: write broker_url'],
    ['task_route', () => 1, 'task_route is not a setting of Celery. Did you mean task_routes?'],
    ['worker_concurrency', 0, 'worker_concurrency takes an integer of at least 1, got 0'],
    ['worker_concurrency', 1.5, 'worker_concurrency takes an integer, got 1.5'],
    ['task_default_priority', 256, 'task_default_priority takes an integer from 0 to 255, got 256'],
    ['task_time_limit', NaN, 'task_time_limit takes a number of seconds, got NaN'],
    ['task_time_limit', -1, 'task_time_limit takes a number of seconds of at least 0, got -1'],
    ['task_time_limit', 5n, 'task_time_limit takes a number of seconds, got 5'],
    ['result_expires', '1d', 'result_expires takes a number of seconds, got "1d"'],
    ['task_serializer', null, 'task_serializer takes a string, got null'],
    ['enable_utc', 'yes', 'enable_utc takes true or false, got "yes"'],
    ['accept_content', ['json', 1], 'accept_content takes a list of strings, got ["json",1]'],
    [
      'timezone',
      'Europe/Olso',
      'timezone takes the name of a time zone such as "Europe/Oslo", got "Europe/Olso"',
    ],
    [
      'task_default_queue_type',
      'stream',
      'task_default_queue_type takes "classic" or "quorum", got "stream"',
    ],
    [
      'worker_redirect_stdouts_level',
      'loud',
      'worker_redirect_stdouts_level takes DEBUG, INFO, WARNING, ERROR, CRITICAL, got "loud"',
    ],
    [
      'task_publish_retry_policy',
      { max_retires: 1 },
      'task_publish_retry_policy.max_retires is not known. Did you mean max_retries?',
    ],
    [
      'task_routes',
      5,
      'task_routes takes an object of task names and routes, a function or a list of these, got 5',
    ],
    ['task_routes', { 'a.b': { qeue: 'x' } }, 'task_routes["a.b"].qeue is not known. Did you mean queue?'],
    [
      'task_routes',
      [{ a: { priority: 'high' } }],
      'task_routes[0]["a"].priority takes an integer, got "high"',
    ],
    [
      'task_routes',
      [
        ['a.*', 'a'],
        ['b.*', { queue: 'b' }],
      ],
      'task_routes takes an object of task names and routes, a function or a list of these, got ' +
        `[["a.*","a"],["b.*",{"queue":"b"}]]. Put the pairs in a list of their own: [[['feed.*', 'feeds'], ['web.*', 'web']]]`,
    ],
    [
      'task_routes',
      [[[1, 'q']]],
      'task_routes[0][0] takes a pair of a task name, glob or RegExp and a route, got [1,"q"]',
    ],
    [
      'task_routes',
      new Map([[/x/, 1]]),
      'task_routes[/x/] takes a queue name or an object with queue, exchange, routing_key, priority, …, got 1',
    ],
    ['task_queues', ['a'], 'task_queues[0] takes a Queue or an Exchange, got "a"'],
    [
      'task_queues',
      { a: { max_priority: 300 } },
      'task_queues["a"].max_priority takes an integer from 0 to 255, got 300',
    ],
    [
      'task_annotations',
      { a: { rateLimit: '1/s' } },
      'task_annotations["a"].rateLimit is not known. Did you mean rate_limit?',
    ],
    [
      'task_annotations',
      { a: { rate_limit: '10/x' } },
      'task_annotations["a"].rate_limit takes a rate such as "10/s", "10/m" or "10/h", or a number per second, got "10/x"',
    ],
    [
      'beat_schedule',
      { a: { task: 't' } },
      'beat_schedule["a"] takes an object with task and schedule, got {"task":"t"}. schedule is missing.',
    ],
  ])('%s: %o', (name, value, problem) => {
    expect(problems({ [name]: value })).toEqual([problem]);
  });

  it('shows no secrets in its errors', () => {
    const secret = 'hush';
    const all = problems({
      broker_url: `amqp://u:${secret}/x@h/`,
      redis_password: [secret],
      security_key_password: { secret },
      task_routes: `amqp://u:${secret}@h/`,
      result_backend: [`redis://:${secret}@h/0`],
    });
    expect(all).toHaveLength(5);
    expect(all.join('\n')).not.toContain(secret);
    expect(all[0]).toMatch(/^broker_url takes a URL .* got "amqp:\/\/u:\*\*@h\/"\. .*port is not a number/);
  });

  it('shortens what it shows and stands values that cannot be shown', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(problems({ task_serializer: cycle })).toEqual([
      'task_serializer takes a string, got an object that cannot be shown',
    ]);
    expect(problems({ worker_concurrency: 'x'.repeat(1e6) })[0]?.length).toBeLessThan(200);
    expect(problems({ task_serializer: function mine() {} })).toEqual([
      'task_serializer takes a string, got the function mine',
    ]);
  });

  it('leaves exports alone that are no settings', () => {
    expect(
      problems({ helper: () => 1, Router: class Router extends Map {}, __esModule: true, _private: 1 }),
    ).toEqual([]);
  });

  it('is not misled by names of Object.prototype', () => {
    expect(
      problems(JSON.parse('{"__proto__": {"x": 1}, "constructor": 1}') as object as Record<string, unknown>),
    ).toEqual(['constructor is not a setting of Celery.']);
  });
});

describe('what the layers set', () => {
  const layers = [
    layer({ cassandra_table: 'h', task_serializer: 'json', task_protocol: 2, beat_schedule: {} }),
    layer({ cassandra_table: 'other', worker_timer: 'x', timezone: undefined }, 'app.conf'),
  ];

  it('without the defaults', () => {
    expect(changedSettings(layers)).toEqual({
      cassandra_table: 'other',
      task_serializer: 'json',
      task_protocol: 2,
      beat_schedule: {},
      worker_timer: 'x',
    });
  });

  it('that nothing reads yet, unless it is the default anyway', () => {
    expect(unsupportedSettings(layers)).toEqual(['cassandra_table', 'worker_timer']);
  });
});

describe('castSetting', () => {
  it.each<[string, string, unknown]>([
    ['worker_concurrency', '4', 4],
    ['worker_concurrency', 'four', 'four'],
    ['worker_concurrency', 'none', null],
    ['task_time_limit', '1.5', 1.5],
    ['task_time_limit', '', null],
    ['broker_heartbeat_checkrate', '', ''],
    ['task_acks_late', 'Yes', true],
    ['task_acks_late', '0', false],
    ['task_acks_late', 'maybe', 'maybe'],
    ['accept_content', 'json, yaml', ['json', 'yaml']],
    ['broker_url', 'amqp://a//;amqp://b//', 'amqp://a//;amqp://b//'],
    ['broker_use_ssl', 'true', true],
    ['broker_use_ssl', '{"ca":"x"}', { ca: 'x' }],
    ['task_routes', '{"a":"b"}', { a: 'b' }],
    ['task_routes', '{broken', '{broken'],
    ['task_default_delivery_mode', '2', 2],
    ['task_default_delivery_mode', 'Transient', 'transient'],
    ['worker_redirect_stdouts_level', 'info', 'info'],
    ['unknown', 'x', 'x'],
  ])('%s=%s', (name, text, value) => {
    expect(castSetting(name, text)).toEqual(value);
  });
});
