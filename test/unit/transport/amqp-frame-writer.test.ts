import { describe, expect, it, test } from 'vitest';
import type { Envelope } from '../../../src/message/message.ts';
import { ByteWriter } from '../../../src/message/table-writer.ts';
import { encodeTable } from '../../../src/transport/amqp/fields.ts';
import { MessageWriter, type OutgoingMessage } from '../../../src/transport/amqp/frame-writer.ts';
import { amqpTable } from '../../support/amqp-table.ts';
import { defs, makeBodyFrame } from '../../support/amqplib.ts';

/** What a table of ours is byte for byte, but for the length in front. */
function written(table: Record<string, unknown>): Buffer {
  const bytes = new ByteWriter();
  bytes.table(table);
  return bytes.take().subarray(4);
}

describe('a table of headers is what amqplib writes', () => {
  test.each([
    [
      'text',
      { a: '', b: 'plain', c: 'größer', d: '😀', e: 'x'.repeat(5_000), f: 'ü'.repeat(41), g: '\ud800' },
    ],
    ['null and booleans', { a: null, b: true, c: false, d: undefined }],
    ['int32', { a: 0, b: 1, c: -1, d: 127, e: 300, f: 70_000, g: 2_147_483_647, h: -2_147_483_648 }],
    ['int64', { a: 2_147_483_648, b: Number.MAX_SAFE_INTEGER, c: 2n ** 63n - 1n, d: -(2n ** 63n), e: 5n }],
    ['doubles', { a: 0.5, b: -3e9, c: 1e300, d: Number.NaN, e: Number.POSITIVE_INFINITY, f: -0 }],
    ['dates', { a: new Date('2026-01-02T03:04:05.678Z') }],
    ['bytes', { a: Buffer.from([0, 255]), b: new Uint8Array([1, 2]) }],
    ['lists', { a: [], b: [1, 'x', null, [2.5]], c: [{ d: true }] }],
    ['tables', { a: {}, b: { c: { d: 1 } } }],
    ['names that mean something', { '!': 'x', a: { '!': 1 }, ['__proto__']: 'own', constructor: 'c' }],
    ['long names', { ['n'.repeat(255)]: 1, ['ü'.repeat(127)]: 2 }],
  ])('%s', (_, table) => {
    expect(written(table)).toEqual(amqpTable(encodeTable(table)));
  });

  test.each([
    ['a bigint of more than 64 bits', { a: 2n ** 63n }, /9223372036854775808 has more than 64 bits/],
    ['a name that is too long', { ['n'.repeat(256)]: 1 }, /has 256 bytes; at most 255/],
    ['a function', { a: () => 1 }, /a function cannot be a header/],
  ])('%s is refused, and the next is written whole', (_, table, message) => {
    const bytes = new ByteWriter();
    expect(() => {
      bytes.table(table);
    }).toThrow(message);
    bytes.clear();
    bytes.table({ a: 1 });
    expect(bytes.take().subarray(4)).toEqual(amqpTable({ a: { '!': 'int32', value: 1 } }));
  });
});

class Channel {
  readonly ch = 7;
  readonly frames: Buffer[] = [];
  readonly confirms: unknown[] = [];
  readonly connection;

  constructor(frameMax = 131_072) {
    this.connection = {
      frameMax,
      channels: { 7: { buffer: { write: (bytes: Buffer) => this.#take(bytes) } } },
      sentSinceLastCheck: false,
      sendContent: (_channel: number, body: Buffer) => this.#take(makeBodyFrame(7, body)),
    };
  }

  #take(bytes: Buffer): boolean {
    this.frames.push(bytes);
    return this.frames.length < 3;
  }

  sendMessage(): void {
    throw new Error('called on an open channel');
  }

  pushConfirmCallback(confirm: unknown): void {
    this.confirms.push(confirm);
  }
}

const ENVELOPE: Envelope = {
  body: Buffer.from('[[1], {}, null]'),
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  headers: { lang: 'js', task: 'tasks.add', retries: 0, eta: null, timelimit: [null, null] },
  properties: {},
};

function message(envelope: Partial<Envelope> = {}, target: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    envelope: { ...ENVELOPE, ...envelope },
    exchange: 'ex',
    routingKey: 'key',
    mandatory: false,
    ...target,
  };
}

function framesOfAmqplib({ envelope, exchange, routingKey, mandatory, messageId }: OutgoingMessage): Buffer {
  const { body, headers, properties, contentType, contentEncoding } = envelope;
  const options = { ...properties, contentType, contentEncoding, messageId, headers: encodeTable(headers) };
  return Buffer.concat([
    defs.encodeMethod(defs.BasicPublish, 7, { exchange, routingKey, mandatory, immediate: false }),
    defs.encodeProperties(defs.BasicProperties, 7, body.length, options),
    ...(body.length === 0 ? [] : [makeBodyFrame(7, body)]),
  ]);
}

describe('a message is what amqplib writes', () => {
  const all = {
    correlationId: 'c',
    replyTo: 'r',
    deliveryMode: 2,
    priority: 9,
    expiration: '60000',
  } as const;
  test.each([
    ['without properties', message()],
    ['with all properties', message({ properties: all }, { mandatory: true, messageId: 'id' })],
    [
      'with some',
      message({ properties: { deliveryMode: 1, replyTo: 'r' } }, { exchange: '', routingKey: '' }),
    ],
    ['without a body', message({ body: Buffer.alloc(0) })],
    ['with a large body', message({ body: Buffer.alloc(50_000, 1) })],
    ['with large headers', message({ headers: { argsrepr: 'x'.repeat(60_000) } })],
  ])('%s', (_, sent) => {
    const channel = new Channel();
    const confirm = (): void => undefined;
    new MessageWriter(channel).send(sent, confirm);
    expect(Buffer.concat(channel.frames)).toEqual(framesOfAmqplib(sent));
    expect(channel.confirms).toEqual([confirm]);
    expect(channel.connection.sentSinceLastCheck).toBe(true);
  });

  it('of any size, the first of its channel', () => {
    // Wherever the memory for it ends, and is made larger.
    for (let size = 3_500; size < 4_500; size += 1) {
      for (const sent of [
        message({ body: Buffer.alloc(size, 1) }),
        message({ headers: { text: 'x'.repeat(size), n: 1, d: 0.5, l: 5n, b: true, z: null, t: {} } }),
      ]) {
        const channel = new Channel();
        new MessageWriter(channel).send(sent, undefined);
        expect(Buffer.concat(channel.frames).equals(framesOfAmqplib(sent)), String(size)).toBe(true);
      }
    }
  });

  it('without a confirm waits for none, and tells when the socket is full', () => {
    const channel = new Channel();
    const writer = new MessageWriter(channel);
    expect([1, 2, 3].map(() => writer.send(message(), undefined))).toEqual([true, true, false]);
    expect(channel.confirms).toEqual([]);
  });

  it('refuses headers that fit into no frame, and writes none of them', () => {
    const channel = new Channel(4_096);
    const writer = new MessageWriter(channel);
    expect(() => writer.send(message({ headers: { a: 'x'.repeat(5_000) } }), undefined)).toThrow(
      /its headers have 5\d\d\d bytes; the broker takes 4096 at most/,
    );
    writer.send(message(), undefined);
    expect(Buffer.concat(channel.frames)).toEqual(framesOfAmqplib(message()));
  });

  it('throws what amqplib says of a closed channel', () => {
    const channel = new Channel();
    const writer = new MessageWriter(channel);
    channel.sendMessage = () => {
      throw new Error('Channel closed');
    };
    expect(() => writer.send(message(), undefined)).toThrow('Channel closed');
    expect(channel.frames).toEqual([]);
  });

  const sendMessage = (): void => undefined;
  test.each([
    ['nothing', {}],
    ['no connection', { ch: 1, sendMessage }],
    ['no channels', { ch: 1, sendMessage, connection: { frameMax: 0 } }],
    ['no buffer', { ch: 0, sendMessage, connection: { frameMax: 0, channels: [{}] } }],
  ])('refuses an amqplib whose channel has %s of what it needs', (_, channel) => {
    expect(() => new MessageWriter(channel)).toThrow('This version of amqplib cannot be used');
  });
});
