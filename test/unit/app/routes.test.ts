import { describe, expect, it } from 'vitest';
import { Broadcast, Exchange, ImproperlyConfigured, Queue, QueueNotFound } from '../../../src/index.ts';
import type { Settings } from '../../../src/index.ts';
import { Queues } from '../../../src/app/queues.ts';
import { Router } from '../../../src/app/routes.ts';
import type { RoutedCall, RoutedOptions } from '../../../src/app/routes.ts';
import { resolveSettings } from '../../../src/settings/resolve.ts';

function route(settings: Settings, options: RoutedOptions = {}, name = 'proj.add'): RoutedCall {
  const resolved = resolveSettings([{ origin: 'test', values: settings }]);
  const router = new Router(resolved, new Queues(resolved));
  return router.route({ name, args: [], kwargs: {}, options, task: undefined });
}

/** What is declared and where it is published, in one line: `queue@exchange(type)/key -> exchange:key`. */
function shown({ target }: RoutedCall): string {
  const { queue, declareExchange } = target;
  const declared =
    queue === undefined
      ? (declareExchange?.name ?? 'nothing')
      : `${queue.name}@${queue.exchange?.name ?? ''}(${queue.exchange?.type ?? ''})/${queue.routingKey}`;
  return `${declared} -> '${target.exchange}':${target.routingKey}`;
}

const topic = new Queue('feed_tasks', new Exchange('feeds', 'topic'), 'feed.#');

describe('as captured from Celery', () => {
  it.each<[string, Settings, RoutedOptions, string]>([
    ['delay-4-4', {}, {}, "celery@celery(direct)/celery -> '':celery"],
    ['default-queue-renamed', { task_default_queue: 'jobs' }, {}, "jobs@jobs(direct)/jobs -> '':jobs"],
    ['queue-video', {}, { queue: 'video' }, "video@video(direct)/video -> '':video"],
    ['routing-key-only', {}, { routingKey: 'some.key' }, "celery@celery(direct)/celery -> '':celery"],
    [
      'exchange-and-key',
      {},
      { exchange: 'media', routingKey: 'media.video' },
      "celery@celery(direct)/celery -> 'media':media.video",
    ],
    [
      'routes-dict',
      { task_routes: { 'proj.add': { queue: 'math', routing_key: 'math.add' } } },
      {},
      "math@math(direct)/math -> '':math",
    ],
    [
      'routes-glob',
      { task_routes: { 'proj.*': { queue: 'projq', priority: 6 } } },
      {},
      "projq@projq(direct)/projq -> '':projq",
    ],
    [
      'queues-topic',
      { task_queues: [new Queue('default', { routingKey: 'task.#' }), topic], task_default_queue: 'default' },
      { queue: 'feed_tasks' },
      "feed_tasks@feeds(topic)/feed.# -> 'feeds':feed.#",
    ],
    [
      'queue-object-topic',
      {},
      { queue: new Queue('feeds', new Exchange('feeds', 'topic'), 'feed.#'), routingKey: 'feed.import' },
      "feeds@feeds(topic)/feed.# -> 'feeds':feed.import",
    ],
    [
      'queue-object-fanout',
      {},
      { queue: new Queue('news', new Exchange('newsx', 'fanout'), '') },
      "news@newsx(fanout)/ -> 'newsx':celery",
    ],
    [
      'broadcast-queue',
      { task_queues: [new Broadcast('bcast')] },
      { queue: 'bcast' },
      "bcast -> 'bcast':celery",
    ],
  ])('%s', (_, settings, options, expected) => {
    expect(shown(route(settings, options))).toBe(expected);
  });

  it('fills in what the route says of the message', () => {
    const { options } = route({ task_routes: { 'proj.*': { queue: 'projq', priority: 6 } } });
    expect(options).toMatchObject({ priority: 6 });
  });
});

describe('task_routes', () => {
  const to = (settings: Settings['task_routes'], name: string): string | undefined =>
    route({ task_routes: settings ?? null }, {}, name).target.queue?.name;

  it.each<[string, Settings['task_routes'], Record<string, string>]>([
    ['a map of names', { 'a.b': 'x' }, { 'a.b': 'x', 'a.bc': 'celery' }],
    ['an exact name before patterns', { 'a.*': 'any', 'a.b': 'x' }, { 'a.b': 'x', 'a.c': 'any' }],
    ['patterns in their order', { '*.b': 'first', 'a.*': 'second' }, { 'a.b': 'first', 'a.c': 'second' }],
    ['? and [] in globs', { 'a.?[!x]*': 'q' }, { 'a.bc': 'q', 'a.bx': 'celery', 'a.b': 'celery' }],
    ['? alone is a letter of the name', { 'a.?': 'q' }, { 'a.b': 'celery', 'a.?': 'q' }],
    [
      'regular expressions in a Map',
      new Map([[/^(video|image)\./, 'media']]),
      { 'video.cut': 'media', 'a.video': 'celery' },
    ],
    [
      'a list of pairs in a list',
      [
        [
          ['web.*', 'web'],
          [/feed/, { queue: 'feeds' }],
        ],
      ],
      { 'web.x': 'web', 'a.feed': 'feeds' },
    ],
    [
      'a function',
      (name: string) => (name.startsWith('a.') ? { queue: 'fn' } : null),
      { 'a.b': 'fn', 'b.b': 'celery' },
    ],
    [
      'a list: the first that answers',
      [{ 'a.b': 'one' }, () => undefined, { 'a.*': 'two' }, () => 'three'],
      { 'a.b': 'one', 'a.c': 'two', z: 'three' },
    ],
    ['a stateful expression', new Map([[/a/g, 'q']]), { a: 'q' }],
  ])('%s', (_, routes, expected) => {
    for (const [name, queue] of Object.entries(expected)) {
      expect([name, to(routes, name)]).toEqual([name, queue]);
    }
  });

  it('gives a function the call', () => {
    const seen: unknown[] = [];
    const settings = resolveSettings([
      { origin: 'test', values: { task_routes: (...call: unknown[]) => void seen.push(call) } },
    ]);
    new Router(settings, new Queues(settings)).route({
      name: 'n',
      args: [1],
      kwargs: { k: 2 },
      options: { priority: 3 },
      task: undefined,
    });
    expect(seen).toEqual([['n', [1], { k: 2 }, { priority: 3 }, undefined]]);
  });

  it.each<[string, RoutedOptions, string, unknown]>([
    ['a queue of the call', { queue: 'mine' }, 'mine', 6],
    ['a priority of the call', { priority: 1 }, 'routed', 1],
    ['null leaves it to the route', { queue: null, priority: null }, 'routed', 6],
  ])('%s', (_, options, queue, priority) => {
    const routed = route({ task_routes: { 'proj.add': { queue: 'routed', priority: 6 } } }, options);
    expect([routed.target.queue?.name, routed.options.priority]).toEqual([queue, priority]);
  });

  it('may name an exchange alone', () => {
    const settings: Settings = {
      task_routes: { 'proj.add': { exchange: 'media', exchange_type: 'topic', routing_key: 'v' } },
    };
    expect(shown(route(settings))).toBe("nothing -> 'media':v");
  });

  it('translates its options', () => {
    const { options } = route({
      task_routes: {
        'proj.add': {
          queue: 'q',
          delivery_mode: 'transient',
          time_limit: 3,
          retry_policy: { max_retries: 1 },
        },
      },
    });
    expect(options).toMatchObject({ deliveryMode: 1, timeLimit: 3, retryPolicy: { maxRetries: 1 } });
  });

  it('refuses options it does not know, from a function too', () => {
    expect(() => route({ task_routes: () => ({ que: 'x' }) as never })).toThrow(ImproperlyConfigured);
  });
});

describe('Queues', () => {
  const queues = (settings: Settings): Queues =>
    new Queues(resolveSettings([{ origin: 'test', values: settings }]));

  it('reads the object form', () => {
    const [media, plain] = queues({
      task_queues: {
        media: {
          exchange: 'm',
          exchange_type: 'topic',
          binding_key: 'media.#',
          max_priority: 5,
          message_ttl: 1.5,
        },
        plain: {},
      },
    }).all();
    expect(media).toMatchObject({
      name: 'media',
      exchange: { name: 'm', type: 'topic', durable: true },
      routingKey: 'media.#',
      arguments: { 'x-max-priority': 5, 'x-message-ttl': 1500 },
    });
    expect(plain).toMatchObject({ exchange: { name: 'celery' }, routingKey: 'plain' });
  });

  it('fills up a Queue from the settings', () => {
    const [queue] = queues({
      task_queues: [new Queue('q')],
      task_default_routing_key: 'rk',
      task_queue_max_priority: 10,
    }).all();
    expect(queue).toMatchObject({
      exchange: { name: 'celery' },
      routingKey: 'rk',
      arguments: { 'x-max-priority': 10 },
    });
  });

  it('makes quorum queues', () => {
    const made = queues({ task_default_queue_type: 'quorum', task_create_missing_queue_type: 'quorum' });
    expect([made.all()[0]?.arguments, made.get('other').arguments]).toEqual([
      { 'x-queue-type': 'quorum' },
      { 'x-queue-type': 'quorum' },
    ]);
  });

  it('does not consume what it made for a call', () => {
    const made = queues({});
    made.get('video');
    expect(made.consumeFrom.map(({ name }) => name)).toEqual(['celery']);
  });

  it.each<[string, string[], string[], string[]]>([
    ['all', [], [], ['a', 'b']],
    ['-Q b,new', ['b', 'new'], [], ['b', 'new']],
    ['-X a', [], ['a'], ['b']],
    ['-Q a,b -X b', ['a', 'b'], ['b'], ['a']],
    ['-Q by its alias', ['second'], [], ['b']],
  ])('%s', (_, select, deselect, expected) => {
    const selected = queues({ task_queues: [new Queue('a'), new Queue('b', { alias: 'second' })] });
    selected.select(select);
    selected.deselect(deselect);
    expect(selected.consumeFrom.map(({ name }) => name)).toEqual(expected);
  });

  it('refuses unknown queues when they may not be made', () => {
    const closed = queues({ task_create_missing_queues: false });
    expect(() => closed.get('video')).toThrow(QueueNotFound);
    expect(() => closed.select(['video'])).toThrow(ImproperlyConfigured);
    expect(() => route({ task_create_missing_queues: false }, { queue: 'video' })).toThrow(
      /'video'.*task_create_missing_queues/,
    );
  });

  it('has the properties of kombu.Queue', () => {
    const given = queues({
      task_queues: [
        new Queue('q', new Exchange('x', { type: 'topic', durable: false, deliveryMode: 1 }), 'k', {
          exclusive: true,
          expires: 2,
          maxLength: 3,
          queueArguments: { 'x-single-active-consumer': true },
        }),
      ],
    }).get('q');
    expect(given).toMatchObject({
      exchange: { name: 'x', type: 'topic', durable: false, autoDelete: false, deliveryMode: 1 },
      exclusive: true,
      autoDelete: true,
      arguments: { 'x-expires': 2000, 'x-max-length': 3, 'x-single-active-consumer': true },
    });
  });
});
