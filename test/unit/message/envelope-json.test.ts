import { describe, expect, it } from 'vitest';

import { DecodeError } from '../../../src/core/errors.ts';
import { decodeEnvelope, encodeEnvelope } from '../../../src/message/envelope-json.ts';
import { decodeJson } from '../../../src/message/json.ts';
import type { Envelope } from '../../../src/message/message.ts';
import { decodeTaskBody, isTaskMessage, parseTaskHeaders } from '../../../src/message/protocol2.ts';
import { acceptedTypes, DEFAULT_LIMITS } from '../../../src/message/registry.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

interface Recorded {
  readonly case: string;
  readonly queue: string;
  readonly envelope: string;
}
interface Raw {
  readonly body: string;
  readonly headers: Record<string, unknown>;
  readonly properties: Record<string, unknown>;
}
const { cases } = wireFixture<{ cases: Recorded[] }>('messages-redis.json');
const accept = acceptedTypes(['json']);

describe("kombu's envelopes", () => {
  it.each(cases)('$case: read and written again it is the same', ({ envelope: text }) => {
    const { envelope, ...target } = decodeEnvelope(text);
    const expected = decodeJson(text) as Raw;
    const written = decodeJson(encodeEnvelope(envelope, target)) as Raw;
    // Properties that nobody reads are not kept.
    for (const name of ['message_id', 'type', 'app_id', 'timestamp', 'argsrepr', 'kwargsrepr'])
      Reflect.deleteProperty(expected.properties, name);
    expect(written).toEqual(expected);
    expect(Object.keys(written)).toEqual(Object.keys(expected));
    expect(Object.keys(written.headers)).toEqual(Object.keys(expected.headers));
    expect(Object.keys(written.properties)).toEqual(Object.keys(expected.properties));
  });

  const tasks = cases.filter(({ envelope: text }) => {
    const { envelope } = decodeEnvelope(text);
    const { compression = 'application/x-gzip' } = envelope.headers;
    return (
      envelope.contentType === 'application/json' &&
      compression === 'application/x-gzip' &&
      isTaskMessage(envelope)
    );
  });

  it('has enough tasks among them', () => {
    expect(tasks.length).toBeGreaterThan(120);
  });

  it.each(tasks)('$case: is a task', ({ envelope: text }) => {
    const { envelope } = decodeEnvelope(text);
    const { headers } = parseTaskHeaders(envelope.headers);
    expect(headers.id).toMatch(/^[0-9a-z-]+$/);
    const { args, kwargs } = decodeTaskBody(envelope, accept, DEFAULT_LIMITS);
    // The text of the arguments shows what they must be, wherever JavaScript has the same values.
    if (headers.argsrepr === '(4, 4)') expect(args).toEqual([4, 4]);
    expect(Object.keys(kwargs).length > 0).toBe(headers.kwargsrepr !== '{}');
  });
});

describe('envelopes', () => {
  const envelope: Envelope = {
    body: Buffer.from([0, 255, 10]),
    contentType: 'application/x-thing',
    contentEncoding: 'binary',
    headers: { big: 2n ** 60n, at: Buffer.from('x') },
    properties: {},
  };
  const target = { exchange: 'ex', routingKey: 'key', deliveryTag: 'tag-1' };

  it('carry any bytes and header values', () => {
    const text = encodeEnvelope(envelope, target);
    expect(JSON.parse(text)).toMatchObject({ body: 'AP8K', properties: { delivery_mode: 2, priority: 0 } });
    expect(decodeEnvelope(text)).toEqual({
      envelope: { ...envelope, properties: { deliveryMode: 2, priority: 0 } },
      ...target,
      redelivered: false,
    });
  });

  it.each([
    [{ headers: { redelivered: true } }, true],
    [{ properties: { delivery_tag: 't', delivery_info: { redelivered: true } } }, true],
    [{ headers: { redelivered: false } }, false],
    [{ headers: null }, false],
  ])('know from %j whether they were delivered before', (parts, redelivered) => {
    const text = JSON.stringify({ body: '', properties: { delivery_tag: 't' }, ...parts });
    expect(decodeEnvelope(text).redelivered).toBe(redelivered);
  });

  it('take a body that is text', () => {
    const text = JSON.stringify({ body: '[1, "å"]', properties: { delivery_tag: 't' } });
    expect(decodeEnvelope(text)).toMatchObject({
      envelope: { body: Buffer.from('[1, "å"]'), contentType: 'application/data', contentEncoding: 'utf-8' },
      exchange: '',
      routingKey: '',
    });
  });

  it.each([
    ['not JSON', 'cannot decode JSON'],
    ['[]', "'message' is missing or of the wrong kind"],
    ['{}', "'properties' is"],
    ['{"properties": {}, "body": ""}', "'delivery_tag' is"],
    ['{"properties": {"delivery_tag": "t"}}', "'body' is"],
    ['{"properties": {"delivery_tag": "t"}, "body": "", "headers": []}', "'headers' is"],
    ['{"properties": {"delivery_tag": "t", "delivery_info": 1}, "body": ""}', "'delivery_info' is"],
  ])('that are %s are refused', (text, message) => {
    expect(() => decodeEnvelope(text)).toThrow(DecodeError);
    expect(() => decodeEnvelope(text)).toThrow(message);
  });
});
