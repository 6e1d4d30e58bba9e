import { describe, expect, it } from 'vitest';

import { DecodeError } from '../../../src/core/errors.ts';
import { decodeJson } from '../../../src/message/json.ts';
import {
  buildControlReply,
  buildControlRequest,
  parseControlReply,
  parseControlRequest,
} from '../../../src/message/pidbox.ts';
import { wireFixture } from '../../support/wire-fixtures.ts';

interface Recorded {
  readonly case: string;
  readonly exchange: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}
const { cases } = wireFixture<{ cases: Recorded[] }>('control-amqp.json');
const requests = cases.filter(({ exchange }) => exchange === 'celery.pidbox');
const replies = cases.filter(({ exchange }) => exchange === 'reply.celery.pidbox');

describe('control messages of Python Celery', () => {
  it('are enough', () => {
    expect([requests.length > 40, replies.length > 60]).toEqual([true, true]);
  });

  it.each(requests)(
    '$case: the request read and written again is the same',
    ({ headers, properties, text }) => {
      const body = decodeJson(text);
      const expires = Number(headers.expires);
      const message = buildControlRequest(parseControlRequest(body), {
        serializer: 'json',
        clock: Number(headers.clock),
        expiresMs: expires === 0 ? undefined : expires * 1000,
      });
      expect(decodeJson(message.body.toString())).toEqual(body);
      expect(message.headers).toEqual({ ...headers, expires: expect.closeTo(expires, 3) as number });
      expect(message.properties).toEqual({
        deliveryMode: properties.delivery_mode,
        priority: properties.priority,
      });
    },
  );

  it.each(replies)('$case: the reply read and written again is the same', ({ headers, properties, text }) => {
    const body = decodeJson(text);
    const reply = parseControlReply(body, headers);
    const message = buildControlReply(reply, { serializer: 'json', clock: reply.clock ?? -1 });
    expect(decodeJson(message.body.toString())).toEqual(body);
    expect(message.headers).toEqual(headers);
    expect(message.properties).toEqual({
      deliveryMode: properties.delivery_mode,
      priority: properties.priority,
    });
  });
});

describe('control requests', () => {
  const none = {
    ...{
      method: 'ping',
      arguments: {},
      destination: null,
      pattern: null,
      matcher: null,
      ticket: null,
      replyTo: null,
    },
  };

  it.each([
    [{ method: 'ping' }, none],
    [
      { method: 'ping', destination: 'w@h', unknown: 1 },
      { ...none, destination: ['w@h'] },
    ],
    [
      { method: 'ping', destination: ['w@h', 5] },
      { ...none, destination: ['w@h'] },
    ],
    [{ method: 'ping', reply_to: { exchange: 'x' }, ticket: 5, arguments: [] }, none],
  ])('are read from %j', (body, request) => {
    expect(parseControlRequest(body)).toEqual(request);
  });

  it.each([null, [], 'ping', {}, { method: 1 }])('are not made of %j', (body) => {
    expect(() => parseControlRequest(body)).toThrow(DecodeError);
  });

  it('say 0 when nobody waits', () => {
    const { headers, body } = buildControlRequest(none, { serializer: 'json', clock: 3 });
    expect(headers).toEqual({ clock: 3, expires: 0 });
    expect(body.toString()).toBe(
      '{"method":"ping","arguments":{},"destination":null,"pattern":null,"matcher":null}',
    );
  });
});

describe('control replies', () => {
  it('may be nothing', () => {
    const message = buildControlReply(
      { node: 'w@h', reply: undefined, ticket: 'T' },
      { serializer: 'json', clock: 1 },
    );
    expect(message.body.toString()).toBe('{"w@h":null}');
  });

  it.each([null, {}, { a: 1, b: 2 }, 'x'])('are not made of %j', (body) => {
    expect(() => parseControlReply(body, {})).toThrow(DecodeError);
  });
});
