import { DecodeError, ImproperlyConfigured } from '../../core/errors.ts';
import { KnownTexts } from '../../message/known-texts.ts';

/**
 * amqplib decodes each frame into objects, with views of the bytes before, in and behind it, and each header of a message into a
 * value. What a worker gets by the thousand, deliveries, is read here instead, and the headers are left as bytes for whoever
 * asks for them (`message/amqp-table.ts`), which also reads the types that amqplib does not know. All other frames are amqplib's.
 */

const METHOD = 1;
const CONTENT_HEADER = 2;
const BODY = 3;
const FRAME_END = 0xce;
const FRAME_HEADER_BYTES = 7;
const FRAME_BYTES = FRAME_HEADER_BYTES + 1;

const BASIC_DELIVER = (60 << 16) | 60;
const BASIC_CLASS = 60;

/** The table of headers of a message, as it arrived. */
export class HeaderTable {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** The parts of amqplib's connection that are touched; `rest` is the frame that it reads next. */
interface FrameReader {
  rest: Buffer;
  readonly maxFrameSize: number;
  recvSinceLastCheck: boolean;
  readonly stream: { read(): Buffer | null };
  recvFrame(): unknown;
}

/** Makes an open connection of amqplib read deliveries in this way. */
export function readFrames(connection: unknown): void {
  if (!isFrameReader(connection)) {
    throw new ImproperlyConfigured(
      'This version of amqplib cannot be used: install the one that celery-ts asks for.',
    );
  }
  const recvFrame = connection.recvFrame.bind(connection);
  const incoming = new Incoming(connection.rest);
  connection.recvFrame = () => {
    for (;;) {
      const frame = incoming.next(connection.maxFrameSize);
      if (Buffer.isBuffer(frame)) {
        connection.rest = frame;
        return recvFrame();
      }
      if (frame !== undefined) return frame;
      const chunk = connection.stream.read();
      if (chunk === null) return false;
      connection.recvSinceLastCheck = true;
      incoming.add(chunk);
    }
  };
}

/** What has arrived and is not read yet. */
class Incoming {
  readonly #names = new KnownTexts();
  #bytes: Buffer;
  #at = 0;
  /** The frame of a body that is passed on in the pieces in which it arrives: a large one is copied once less for that. */
  #body: { readonly channel: number; left: number } | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  add(chunk: Buffer): void {
    const isEmpty = this.#at === this.#bytes.length;
    this.#bytes = isEmpty ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** The next frame in amqplib's form, or the bytes of one that amqplib reads; undefined while too few have arrived. */
  next(most: number): object | undefined {
    if (this.#body !== undefined) return this.#piece(this.#body, most);
    const start = this.#at;
    const size = frameSize(this.#bytes, start, most);
    if (size === undefined) return undefined;
    if (size > this.#bytes.length - start) return this.#begin(size, most);
    this.#at += size;
    return readDelivery(this.#bytes, start, size, this.#names) ?? this.#bytes.subarray(start, this.#at);
  }

  /** A frame that has not arrived to its end. */
  #begin(size: number, most: number): object | undefined {
    if (this.#bytes[this.#at] !== BODY) return undefined;
    this.#body = { channel: this.#bytes.readUInt16BE(this.#at + 1), left: size - FRAME_BYTES };
    this.#at += FRAME_HEADER_BYTES;
    return this.#piece(this.#body, most);
  }

  #piece(body: { readonly channel: number; left: number }, most: number): object | undefined {
    const start = this.#at;
    if (start === this.#bytes.length) return undefined;
    if (body.left === 0) {
      if (this.#bytes[start] !== FRAME_END) throw new DecodeError('a frame goes on after its end');
      this.#at += 1;
      this.#body = undefined;
      return this.next(most);
    }
    const content = this.#bytes.subarray(start, start + body.left);
    this.#at += content.length;
    body.left -= content.length;
    return { channel: body.channel, content };
  }
}

function isFrameReader(value: unknown): value is FrameReader {
  const { rest, recvFrame, stream } = value as Partial<FrameReader>;
  return Buffer.isBuffer(rest) && typeof recvFrame === 'function' && typeof stream?.read === 'function';
}

/** Bytes of the whole frame at `at`; undefined while too few are there to tell. */
function frameSize(bytes: Buffer, at: number, most: number): number | undefined {
  if (bytes.length - at < FRAME_HEADER_BYTES) return undefined;
  const size = bytes.readUInt32BE(at + 3);
  if (most > 0 && size > most) throw new DecodeError(`a frame of ${size} bytes; at most ${most} were agreed`);
  return size + FRAME_BYTES;
}

/** The frame in amqplib's form; undefined for one that amqplib reads. */
function readDelivery(bytes: Buffer, start: number, size: number, names: KnownTexts): unknown {
  const payload = start + FRAME_HEADER_BYTES;
  const end = start + size - 1;
  // amqplib says what is wrong with it.
  if (bytes[end] !== FRAME_END) return undefined;
  const channel = bytes.readUInt16BE(start + 1);
  switch (bytes[start]) {
    case METHOD: {
      const id = end - payload < 4 ? 0 : bytes.readUInt32BE(payload);
      return id === BASIC_DELIVER
        ? { id, channel, fields: deliverFields(bytes, payload + 4, names) }
        : undefined;
    }
    case CONTENT_HEADER: {
      const id = bytes.readUInt16BE(payload);
      if (id !== BASIC_CLASS) return undefined;
      const bodyBytes = Number(bytes.readBigInt64BE(payload + 4));
      return { id, channel, size: bodyBytes, fields: properties(bytes, payload + 12, names) };
    }
    case BODY:
      return { channel, content: bytes.subarray(payload, end) };
    default:
      return undefined;
  }
}

function deliverFields(bytes: Buffer, start: number, names: KnownTexts): object {
  const tagEnd = start + 1 + bytes.readUInt8(start);
  const exchangeAt = tagEnd + 9;
  const exchangeEnd = exchangeAt + 1 + bytes.readUInt8(exchangeAt);
  const keyEnd = exchangeEnd + 1 + bytes.readUInt8(exchangeEnd);
  return {
    consumerTag: names.text(bytes, start + 1, tagEnd),
    deliveryTag: bytes.readUInt32BE(tagEnd) * 2 ** 32 + bytes.readUInt32BE(tagEnd + 4),
    redelivered: (bytes.readUInt8(tagEnd + 8) & 1) !== 0,
    exchange: names.text(bytes, exchangeAt + 1, exchangeEnd),
    routingKey: names.text(bytes, exchangeEnd + 1, keyEnd),
  };
}

/** Properties of a message under amqplib's names, those that are missing undefined; `headers` is a `HeaderTable`. */
function properties(bytes: Buffer, start: number, names: KnownTexts): object {
  const flags = bytes.readUInt16BE(start);
  let at = start + 2;
  const has = (bit: number): boolean => (flags & (1 << bit)) !== 0;
  const skip = (count: number): number => (at += count) - count;
  const text = (isKnown: boolean): string => {
    const length = bytes.readUInt8(skip(1));
    const from = skip(length);
    return isKnown ? names.text(bytes, from, at) : bytes.toString('utf8', from, at);
  };
  return {
    contentType: has(15) ? text(true) : undefined,
    contentEncoding: has(14) ? text(true) : undefined,
    headers: has(13) ? table() : undefined,
    deliveryMode: has(12) ? bytes.readUInt8(skip(1)) : undefined,
    priority: has(11) ? bytes.readUInt8(skip(1)) : undefined,
    correlationId: has(10) ? text(false) : undefined,
    replyTo: has(9) ? text(true) : undefined,
    expiration: has(8) ? text(false) : undefined,
    messageId: has(7) ? text(false) : undefined,
    timestamp: has(6) ? Number(bytes.readBigUInt64BE(skip(8))) : undefined,
    type: has(5) ? text(false) : undefined,
    userId: has(4) ? text(false) : undefined,
    appId: has(3) ? text(false) : undefined,
    clusterId: has(2) ? text(false) : undefined,
  };
  function table(): HeaderTable {
    const length = bytes.readUInt32BE(skip(4));
    return new HeaderTable(bytes.subarray(skip(length), at));
  }
}
