import { randomUUID } from 'node:crypto';
import { brotliCompressSync, constants, deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RawMessage } from '../support/bad-worker.ts';
import { BadWorker, goodMessage } from '../support/bad-worker.ts';
import { hasRabbitmq } from '../support/rabbitmq.ts';

interface BadMessage {
  readonly what: string;
  readonly message: (id: string) => RawMessage;
  /** First line of what the operator reads. */
  readonly log: string;
  /** What the caller gets; left out where the message does not say who that is. */
  readonly error?: { readonly name: string; readonly message: string };
}

function withHeaders(id: string, headers: Readonly<Record<string, unknown>>): RawMessage {
  const good = goodMessage(id);
  return { ...good, headers: { ...good.headers, ...headers } };
}

function without(id: string, name: string): RawMessage {
  const good = goodMessage(id);
  const entries = Object.entries(good.headers ?? {}).filter(([other]) => other !== name);
  return { ...good, headers: { ...Object.fromEntries(entries), mark: id } };
}

const unknownTask = (name: string): BadMessage => ({
  what: `unknown task ${name}`,
  message: (id) => goodMessage(id, name),
  log: `Received unregistered task of type '${name}'.`,
  error: { name: 'NotRegistered', message: name },
});

const invalid = (what: string, text: string, message: (id: string) => RawMessage): BadMessage => ({
  what,
  message,
  log: `Received invalid task message: ${text}`,
  error: { name: 'InvalidTaskError', message: text },
});

/** Nobody can be told. */
const anonymous = ({ what, message, log }: BadMessage): BadMessage => ({ what, message, log });

const wrongHeader = (name: string, value: unknown, text: string): BadMessage =>
  invalid(`header ${name}: ${JSON.stringify(value)}`, text, (id) =>
    withHeaders(id, { [name]: value, mark: id }),
  );

const expected = (name: string, shown: string, kind: string): string =>
  `the header '${name}' of the task message is ${shown}; expected ${kind}`;

const invalidBody = (what: string, body: string, text: string): BadMessage =>
  invalid(`body: ${what}`, text, (id) => ({ ...goodMessage(id), body }));

const undecodable = (
  what: string,
  spoil: Partial<RawMessage>,
  message: string,
  name = 'DecodeError',
): BadMessage => ({
  what: `body: ${what}`,
  message: (id) => {
    const good = goodMessage(id);
    return { ...good, ...spoil, headers: { ...good.headers, ...spoil.headers } };
  },
  log: `Can't decode message body: ${name}(`,
  error: { name, message },
});

const disallowed = (type: string, shown: string): BadMessage =>
  undecodable(
    type === '' ? 'no content type' : type,
    { body: Buffer.from([0x80, 2, 0x4b, 5, 0x2e]), contentType: type, contentEncoding: 'binary' },
    `Refusing to deserialize untrusted content of type ${shown}; accept_content allows: application/json, ` +
      "application/x-msgpack, application/x-yaml. Set task_serializer = 'json' (for results: result_serializer = 'json') in " +
      'the app that sends it.',
    'ContentDisallowed',
  );

const NOT_PARTS = 'the body of the task message is not [args, kwargs, embed]';
const NOT_TIME = ': expected ISO 8601, such as 2030-01-02T03:04:05+00:00';
const LIMITS = '[hard, soft] in seconds';

const MSGPACK = { contentType: 'application/x-msgpack', contentEncoding: 'binary' } as const;
const YAML = { contentType: 'application/x-yaml' } as const;

const SPACES = Buffer.alloc(300_000_000, ' ');
const BOMBS: Readonly<Record<string, Buffer>> = {
  'application/x-gzip': deflateSync(SPACES),
  'application/x-brotli': brotliCompressSync(SPACES, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

const CASES: readonly BadMessage[] = [
  unknownTask('tasks.nosuch'),
  unknownTask('__proto__'),
  unknownTask('constructor'),
  undecodable('no JSON', { body: '[[1, 2' }, 'cannot decode JSON: '),
  undecodable('empty', { body: '' }, 'cannot decode JSON: '),
  undecodable('a NUL byte', { body: '\0' }, 'cannot decode JSON: '),
  undecodable('no UTF-8', { body: Buffer.from([0xff, 0xfe]) }, 'cannot decode JSON: the bytes are not UTF-8'),
  undecodable('10,000 open brackets', { body: '['.repeat(10_000) }, 'cannot decode JSON: '),
  undecodable('a broken dict', { body: '{"args": [1' }, 'cannot decode JSON: '),
  undecodable(
    'an unknown charset',
    { contentEncoding: 'utf-16' },
    'cannot read a body in the encoding utf-16; utf-8 is needed',
  ),
  undecodable(
    'an unknown compression',
    { headers: { compression: 'application/x-lzma' } },
    'cannot decompress a body compressed as application/x-lzma; there are: application/x-gzip, application/x-bz2, ' +
      'application/x-brotli, application/zstd',
  ),
  ...Object.entries({ zlib: 'x-gzip', bzip2: 'x-bz2', brotli: 'x-brotli', zstd: 'zstd' }).map(
    ([name, type]) =>
      undecodable(
        `not what its compression says: ${name}`,
        { headers: { compression: `application/${type}` } },
        `cannot decompress the body: the ${name} stream is damaged`,
      ),
  ),
  // Each would be 300 MB and more of spaces, and then [[1, 2], {}, {}].
  ...Object.entries(BOMBS).map(([type, body]) =>
    undecodable(
      `a bomb in ${type}`,
      { body, headers: { compression: type } },
      `a body of ${body.length} compressed bytes inflates to more than 268435456`,
    ),
  ),
  undecodable(
    'msgpack cut off',
    { ...MSGPACK, body: Buffer.from([0x93, 0x92, 1]) },
    'cannot decode msgpack: it ends too early',
  ),
  undecodable(
    'msgpack that announces four billion items',
    { ...MSGPACK, body: Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff, 1]) },
    'cannot decode msgpack: it ends too early',
  ),
  undecodable(
    'an unknown extension of msgpack',
    { ...MSGPACK, body: Buffer.from([0x93, 0xd4, 5, 0, 0x80, 0x80]) },
    'cannot decode msgpack: a value of the extension type 5, which is not known here',
  ),
  undecodable('YAML that is none', { ...YAML, body: '[[1, 2' }, 'cannot decode YAML: '),
  undecodable(
    "an object of Python's in YAML",
    { ...YAML, body: '[[!!python/object/apply:os.system ["true"]], {}, {}]' },
    'cannot decode YAML: Unresolved tag: tag:yaml.org,2002:python/object/apply:os.system',
  ),
  undecodable(
    'YAML whose aliases explode',
    {
      ...YAML,
      body: Array.from({ length: 9 }, (_, level) => {
        const item = level === 0 ? '1' : `*a${level - 1}`;
        return `a${level}: &a${level} [${Array(9).fill(item).join(', ')}]`;
      }).join('\n'),
    },
    'cannot decode YAML: Excessive alias count indicates a resource exhaustion attack',
  ),
  disallowed('application/x-python-serialize', 'pickle (application/x-python-serialize)'),
  undecodable(
    'application/data',
    { contentType: 'application/data' },
    'Refusing to deserialize untrusted content of type raw (application/data); accept_content allows: ' +
      'application/json, application/x-msgpack, application/x-yaml. If it is signed, call app.setupSecurity() here; else ' +
      "set task_serializer = 'json' in the app that sends it.",
    'ContentDisallowed',
  ),
  disallowed('text/html', 'text/html'),
  disallowed('', '(none)'),
  invalidBody('a number', '5', NOT_PARTS),
  invalidBody('four parts', '[[], {}, {}, {}]', NOT_PARTS),
  invalidBody('args as text', '["ab", {}, {}]', 'the args of the task message are not a list'),
  invalidBody('kwargs as a list', '[[], [1], {}]', 'the kwargs of the task message are not a dict'),
  invalidBody(
    'a callback that is none',
    '[[1, 2], {}, {"callbacks": [5]}]',
    "'callbacks' of the task message holds something that is not a signature",
  ),
  invalidBody('a dict whose args are text', '{"args": "ab"}', 'the args of the task message are not a list'),
  {
    what: 'no headers',
    message: (id) => ({ body: JSON.stringify([id]) }),
    log: 'Received and deleted unknown message.  Wrong destination?!?',
  },
  {
    what: 'no header task',
    message: (id) => without(id, 'task'),
    log: 'Received and deleted unknown message.  Wrong destination?!?',
  },
  anonymous(invalid('no header id', "the task message has no header 'id'", (id) => without(id, 'id'))),
  anonymous(wrongHeader('id', '', "the task message has no header 'id'")),
  anonymous(wrongHeader('id', 5, expected('id', '5', 'text'))),
  anonymous(wrongHeader('task', 5, "the header 'task' is not text")),
  wrongHeader('retries', 'many', expected('retries', "'many'", 'a number')),
  wrongHeader('timelimit', 'soon', expected('timelimit', "'soon'", LIMITS)),
  wrongHeader('timelimit', [1, 2, 3], expected('timelimit', '[1, 2, 3]', LIMITS)),
  wrongHeader('timelimit', ['a', null], expected('timelimit', "['a', None]", LIMITS)),
  wrongHeader('eta', 'tomorrow', `cannot read the time 'tomorrow'${NOT_TIME}`),
  wrongHeader('eta', 17, expected('eta', '17', 'text or null')),
  wrongHeader('expires', '2026-99-99T00:00:00', `cannot read the time '2026-99-99T00:00:00'${NOT_TIME}`),
  wrongHeader('group', [1], expected('group', '[1]', 'text or null')),
  wrongHeader('stamps', 'x', expected('stamps', "'x'", 'a table')),
];

/** Keys that mean something else where code is careless, as JSON text. */
const KEYS = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}},"toString":3}';
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const REJECTED = /^\[.*(ERROR|CRITICAL|WARNING)\/MainProcess\] (Received |Can't decode)/;

describe.each(['RabbitMQ', 'SQLite'] as const)('messages from strangers on %s', (kind) => {
  describe.skipIf(kind === 'RabbitMQ' && !hasRabbitmq)('one worker', { timeout: 90_000 }, () => {
    let worker: BadWorker;

    beforeAll(async () => {
      worker = await BadWorker.start(kind);
    });
    afterAll(() => worker[Symbol.asyncDispose]());

    it.each(CASES)('$what', async ({ message, log, error }) => {
      const id = randomUUID();
      const before = worker.records(REJECTED).length;
      await worker.between(() => worker.publish(message(id)));
      if (error !== undefined) {
        const got = await worker.error(id);
        expect(got.name).toBe(error.name);
        expect(got.message.startsWith(error.message), got.message).toBe(true);
      }
      // The result is there a moment before the line in the log.
      await worker.worker.waitFor(() => worker.records(REJECTED).length > before);
      const records = worker.records(REJECTED).slice(before);
      expect(records).toHaveLength(1);
      expect(worker.worker.output).toContain(id);
      expect(records[0]).toContain(`/MainProcess] ${log}`);
      expect(records[0]).not.toContain('    at ');
    });

    it.each([
      ['a list', `[[${KEYS}], {}, {}]`, '{}'],
      ['a dict', `[[${KEYS}], ${KEYS}, {}]`, KEYS],
      ['a body of protocol 1', `{"args": [${KEYS}], "kwargs": ${KEYS}, "__proto__": {"task": 1}}`, KEYS],
    ])('keys of prototypes are data, in %s and in headers', async (_, body, kwargs) => {
      const id = randomUUID();
      const good = goodMessage(id, 'tasks.keys');
      const mine = JSON.parse(`{"mine":${KEYS},"__proto__":{"polluted":4}}`) as object;
      await worker.between(() => worker.publish({ ...good, headers: { ...good.headers, ...mine }, body }));
      expect(await worker.app.AsyncResult(id).get({ timeout: 20 })).toEqual({
        polluted: [null, null, null, null],
        own: ['__proto__', 'constructor', 'toString'],
        json: KEYS,
        rest: '[]',
        kwargs,
        headers: `{"mine":${KEYS},"__proto__":{"polluted":4}}`,
        plain: true,
      });
    });

    it('lists within lists: 1,000 are read, 100,000 refused in words', async () => {
      const [few, many] = [randomUUID(), randomUUID()];
      const nested = (id: string, levels: number): RawMessage => ({
        ...goodMessage(id, 'tasks.depth'),
        body: `[[${deep(levels)}], {}, {}]`,
      });
      await worker.publish(nested(few, 1000));
      await worker.between(() => worker.publish(nested(many, 100_000)));
      expect(await worker.app.AsyncResult(few).get({ timeout: 20 })).toBe(1000);
      expect(await worker.error(many)).toMatchObject({
        name: 'DecodeError',
        message: 'cannot decode JSON: it is nested too deeply',
      });
    });

    it('NUL bytes and half a character in text', async () => {
      const id = randomUUID();
      await worker.publish({ ...goodMessage(id), body: '[["a\\u0000b", "\\ud800"], {}, {}]' });
      expect(await worker.app.AsyncResult(id).get({ timeout: 20 })).toBe('a\0b\ud800');
    });

    it('a header of 1 MB arrives, or is refused to who sends it', async () => {
      const headers = { mine: 'h'.repeat(1e6) };
      const sent = worker.app.sendTask<{ headers: string }>('tasks.keys', [{}], { headers });
      if (kind === 'RabbitMQ') {
        await expect(sent).rejects.toThrow(
          /^A message cannot be sent over AMQP: its headers have 100\d{4} bytes; the broker takes 131072 at most$/,
        );
      } else {
        expect((await (await sent).get({ timeout: 20 })).headers).toBe(JSON.stringify(headers));
      }
      await worker.between(() => Promise.resolve());
    });

    it('100 MB in an argument', async () => {
      const large = worker.app.sendTask<number>('tasks.length', ['x'.repeat(100e6)]);
      await worker.between(() => large);
      expect(await (await large).get({ timeout: 60 })).toBe(100e6);
    });

    it.runIf(kind === 'RabbitMQ')('more than RabbitMQ takes is refused to who sends it, once', async () => {
      const [large, good] = await Promise.allSettled([
        worker.app.sendTask<number>('tasks.length', ['x'.repeat(140e6)]),
        worker.app.sendTask<number>('tasks.add', [1, 2]),
      ]);
      expect(large).toMatchObject({
        reason: {
          name: 'EncodeError',
          message:
            'A message cannot be sent over AMQP: message size 140000070 is larger than configured max size 134217728',
        },
      });
      expect(good.status === 'fulfilled' && (await good.value.get({ timeout: 20 }))).toBe(3);
    });

    it('ends with an empty queue, each bad message seen once', async () => {
      expect(await worker.stop()).toMatchObject({ code: 0, left: 0 });
      // And the list that was nested too deeply.
      expect(worker.records(REJECTED)).toHaveLength(CASES.length + 1);
      expect(worker.records(/^\[.*(ERROR|CRITICAL|WARNING)\//)).toHaveLength(CASES.length + 1);
    });
  });
});
