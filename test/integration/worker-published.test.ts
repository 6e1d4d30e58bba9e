import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { deferred } from '../../src/core/async.ts';
import { Releasers } from '../../src/core/lifecycle.ts';
import { isoUtc } from '../../src/core/time.ts';
import { decodeJson } from '../../src/message/json.ts';
import type { Envelope } from '../../src/message/message.ts';
import { startWorker } from '../../src/testing/worker.ts';
import {
  ADDED_HEADERS,
  envelopeOf,
  recordedView,
  sentView,
  type View,
  without,
  workerCases,
} from '../support/recorded-tasks.ts';

/** What the worker of these recordings did and ours does not do, or cannot be shown here; that their messages are read right is tested beside. */
const WITHOUT_TWIN: Readonly<Record<string, string>> = {
  'chord-body': 'several messages come before one goes; see test/interop/chords.test.ts',
  'chord-error': 'the same',
  'chord-unlock': 'the same; none of our backends has to be asked again and again',
  'retry-expires': '5.2.6 rejects a task that expires instead of sending its next run; see below',
};

interface Message extends View {
  readonly body: unknown;
}

/** Where we differ from Celery 5.2.6 and mean to. `to` changes what was recorded into what we send. */
const DIFFERENCES: readonly {
  readonly reason: string;
  readonly cases: readonly string[];
  readonly to: (recorded: Message, arrived: View) => Message;
}[] = [
  {
    reason: 'who called the task waits for its callbacks: they answer to that process, not to the worker',
    cases: ['link', 'errback', 'retry-headers'],
    to: (recorded, arrived) => ({
      ...recorded,
      properties: { ...recorded.properties, reply_to: arrived.properties.reply_to },
    }),
  },
  {
    reason: 'an empty rest of a chain is written as none',
    cases: ['group-in-chain'],
    to: (recorded) => {
      const [args, kwargs, embed] = recorded.body as [unknown, unknown, { chain: unknown }];
      return { ...recorded, body: [args, kwargs, { ...embed, chain: null }] };
    },
  },
  {
    reason:
      'what replaces a task answers to who waits for that one, and 5.6 counts replacements in the headers',
    cases: ['replace'],
    to: (recorded, arrived) => ({
      ...recorded,
      headers: { ...recorded.headers, ...ADDED_HEADERS, replaced_task_nesting: 1 },
      properties: {
        ...without(recorded.properties, ['replaced_task_nesting']),
        reply_to: arrived.properties.reply_to,
      },
    }),
  },
  {
    reason: "the user's own headers belong to every run of the task; 5.2.6 loses them",
    cases: ['retry-headers'],
    to: (recorded, { headers }) =>
      recorded.headers.retries === 0
        ? recorded
        : { ...recorded, headers: { ...recorded.headers, 'x-tenant': headers['x-tenant'] } },
  },
  {
    reason:
      'over Redis, kombu also keeps what a retry was called with in the properties, where nobody looks for it',
    cases: ['retry', 'autoretry', 'retry-queue', 'retry-headers'],
    to: (recorded) => ({
      ...recorded,
      properties: without(recorded.properties, ['origin', 'replaced_task_nesting']),
    }),
  },
  {
    reason: 'the broker of this test, like Redis, gives the message the priority 0 before the worker has it',
    cases: ['retry-queue'],
    to: (recorded) => ({ ...recorded, properties: { ...recorded.properties, priority: 0 } }),
  },
  {
    reason: 'JavaScript has no tuples: args are shown as one, however they were given',
    cases: ['other-service'],
    to: (recorded) => ({ ...recorded, headers: { ...recorded.headers, argsrepr: '(1,)' } }),
  },
];

class OrderError extends Error {
  override readonly name = 'OrderError';
}

/** The tasks of the recordings. */
function makeApp(settings: Readonly<Record<string, unknown>>): Celery {
  const app = new Celery('proj', {
    broker: `memory://${randomUUID()}`,
    backend: `cache+memory://${randomUUID()}`,
    ...settings,
  });
  app.markConfigured();
  const add = app.task('proj.add', (x: number, y: number) => x + y);
  app.task('proj.mul', (x: number, y: number) => x * y);
  app.task('proj.replace_with', { bind: true }, (self, x: number, y: number) => self.replace(add.s(x, y)));
  app.task('proj.tail', (result: unknown, note: unknown = null) => [result, note]);
  app.task('proj.on_error', (id: string) => `errback for ${id}`);
  app.task('proj.fail', (_kind: string, message: string) => {
    throw new TypeError(message);
  });
  app.task(
    'proj.flaky',
    { bind: true, maxRetries: 2 },
    (self, failTimes: number = 1, countdown: number = 0.2, message: string = 'try again') => {
      if (self.request.retries < failTimes) throw self.retry({ exc: new OrderError(message), countdown });
      return self.request.retries;
    },
  );
  const autoretry = { autoretryFor: [OrderError], retryBackoff: 2, retryJitter: false, maxRetries: 5 };
  app.task('proj.autoretry', autoretry, (message: string) => {
    throw new OrderError(message);
  });
  app.task('proj.spawn', async (n: number) => {
    for (let i = 0; i < n; i++) await add.delay(i, i);
  });
  app.task('proj.sendother', async () => {
    await app.sendTask('other.service.task', [1], { kwargs: { k: 'v' }, queue: 'other' });
  });
  return app;
}

interface Sent {
  readonly envelope: Envelope;
  readonly exchange: string;
  readonly routingKey: string;
}

/** Gives a real worker the message, and returns what that worker sent until the last of `count` messages, or until its end. */
async function published(
  { routingKey, envelope }: Pick<Sent, 'routingKey' | 'envelope'>,
  count: number,
  settings: Readonly<Record<string, unknown>>,
): Promise<readonly Sent[]> {
  const own = new Releasers();
  try {
    const app = makeApp(settings);
    own.push(() => app.close());
    const sent: Sent[] = [];
    const enough = deferred<undefined>();
    const publish = app.producer.publish.bind(app.producer);
    app.producer.publish = (envelope, target, options) => {
      sent.push({ envelope, exchange: target.exchange, routingKey: target.routingKey });
      if (sent.length === count) enough.resolve(undefined);
      return publish(envelope, target, options);
    };
    const worker = await startWorker(app, { queues: ['celery', 'video'] });
    const connection = own.own(await app.transport().connect(new AbortController().signal));
    await (await connection.openChannel()).publish(envelope, '', routingKey);
    if (count > 0) await enough.promise;
    else await app.AsyncResult(String(envelope.headers.id)).get({ timeout: 5, propagate: false });
    await worker.stop();
    return sent;
  } finally {
    await own[Symbol.asyncDispose]();
  }
}

/** Ids that did not arrive are numbered as they appear, of times and origins only the form counts. */
function comparable(messages: readonly Message[], arrived: string): unknown {
  const fresh: string[] = [];
  const text = JSON.stringify(
    messages.map(({ headers, ...rest }) => ({
      ...rest,
      headers: {
        ...headers,
        eta: typeof headers.eta === 'string' ? headers.eta.replace(/\d/g, '0') : headers.eta,
        origin: String(headers.origin).replace(/^gen\d+@.+$/, 'gen@host'),
      },
    })),
  );
  return decodeJson(
    text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
      if (arrived.includes(id)) return id;
      if (!fresh.includes(id)) fresh.push(id);
      return `id ${fresh.indexOf(id)}`;
    }),
  );
}

function withBody(view: View, { body }: Envelope): Message {
  return { ...view, body: decodeJson(body.toString()) };
}

describe('what the worker publishes is what the worker of Python Celery published', () => {
  const twins = workerCases.filter(({ case: name }) => WITHOUT_TWIN[name] === undefined);

  it('has enough cases', () => {
    expect(twins).toHaveLength(28);
    expect(workerCases).toHaveLength(twins.length + 2 * Object.keys(WITHOUT_TWIN).length);
  });

  it.concurrent.each(twins)('$broker: $case', async ({ case: name, broker, config, messages }) => {
    const [first, ...others] = messages;
    if (first === undefined || others.some(({ by }) => by === 'client'))
      throw new Error('one comes, others go');
    const arrived = recordedView(first);
    const differences = DIFFERENCES.filter(({ cases }) => cases.includes(name));
    const expected = others.map((recorded) => {
      const view = recordedView(recorded);
      const headers = { ...view.headers, ...(isNextRun(view, arrived) ? {} : ADDED_HEADERS) };
      const message = withBody({ ...view, headers }, envelopeOf(recorded).envelope);
      return differences.reduce((changed, { to }) => to(changed, arrived), message);
    });
    const sent = await published(envelopeOf(first), others.length, config ?? {});
    const known = JSON.stringify([arrived, envelopeOf(first).envelope.body.toString()]);
    expect(
      comparable(
        sent.map((message) => withBody(sentView(message, broker), message.envelope)),
        known,
      ),
    ).toEqual(comparable(expected, known));
  });
});

describe('a task that expires', () => {
  const cases = workerCases.filter(({ case: name }) => name === 'retry-expires');

  it.each(cases)('$broker: its next run expires when it does', async ({ messages: [first] }) => {
    if (first === undefined) throw new Error('one comes');
    // The recorded time is over.
    const expires = isoUtc(Date.now() + 300_000);
    const { routingKey, envelope } = envelopeOf(first);
    const headers: Record<string, unknown> = { ...envelope.headers, expires };
    const startMs = Date.now();
    const [next] = await published({ routingKey, envelope: { ...envelope, headers } }, 1, {});
    expect(next?.envelope.headers).toMatchObject({ id: headers.id, retries: 1, expires });
    const leftMs = Number(next?.envelope.properties.expiration);
    expect(leftMs).toBeLessThanOrEqual(300_000);
    expect(leftMs).toBeGreaterThanOrEqual(300_000 - (Date.now() - startMs) - 1000);
  });

  it.each(cases)(
    '$broker: neither runs nor comes again when its time is over',
    async ({ messages: [first] }) => {
      if (first === undefined) throw new Error('one comes');
      expect(await published(envelopeOf(first), 0, {})).toEqual([]);
    },
  );
});

/** It has the headers that came, of whatever version: what it does not know, it does not change. */
function isNextRun({ headers }: View, arrived: View): boolean {
  return headers.id === arrived.headers.id;
}
