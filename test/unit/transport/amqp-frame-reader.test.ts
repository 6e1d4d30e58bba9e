import { describe, expect, it, test } from 'vitest';
import { readFrames } from '../../../src/transport/amqp/frame-reader.ts';
import { defs, makeBodyFrame } from '../../support/amqplib.ts';

const MOST = 131_072;
const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);

function delivery(channel: number, body: Buffer): Buffer {
  const fields = { consumerTag: 'c', deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
  const frames = [
    defs.encodeMethod(defs.BasicDeliver, channel, fields),
    defs.encodeProperties(defs.BasicProperties, channel, body.length, { contentType: 'text/plain' }),
  ];
  for (let at = 0; at < body.length; at += MOST) {
    frames.push(makeBodyFrame(channel, body.subarray(at, at + MOST)));
  }
  return Buffer.concat(frames);
}

/** What `readFrames` touches of amqplib's connection; it gives what amqplib is left to read as it is. */
class Connection {
  rest = Buffer.alloc(0);
  readonly maxFrameSize = MOST;
  recvSinceLastCheck = false;
  readonly chunks: Buffer[];
  readonly stream = { read: (): Buffer | null => this.chunks.shift() ?? null };

  constructor(bytes: Buffer, size: number) {
    this.chunks = [];
    for (let at = 0; at < bytes.length; at += size) this.chunks.push(bytes.subarray(at, at + size));
    readFrames(this);
  }

  recvFrame(): unknown {
    return { left: this.rest };
  }
}

interface Frame {
  readonly channel?: number;
  readonly size?: number;
  readonly content?: Buffer;
  readonly left?: Buffer;
}

function framesOf(bytes: Buffer, chunk: number): Frame[] {
  const connection = new Connection(bytes, chunk);
  const frames: Frame[] = [];
  for (;;) {
    const frame = connection.recvFrame() as Frame | false;
    if (frame === false) return frames;
    frames.push(frame);
  }
}

/** The bodies of messages, put together as amqplib does, and the other frames. */
function read(bytes: Buffer, chunk: number): unknown[] {
  const found: unknown[] = [];
  let gathered: Buffer[] = [];
  let missing = 0;
  for (const frame of framesOf(bytes, chunk)) {
    if (frame.left !== undefined) found.push(frame.left.toString('hex'));
    missing += frame.size ?? 0;
    if (frame.content === undefined) continue;
    gathered.push(frame.content);
    missing -= frame.content.length;
    if (missing > 0) continue;
    found.push([frame.channel, Buffer.concat(gathered).toString('latin1')]);
    gathered = [];
  }
  return found;
}

describe('deliveries are read, wherever their bytes are cut', () => {
  const small = Buffer.from('[[2, 3], {}, {}]');
  const large = Buffer.alloc(300_001, 'abcdefg');
  const bytes = Buffer.concat([
    delivery(1, small),
    HEARTBEAT,
    delivery(2, large),
    delivery(1, small),
    HEARTBEAT,
  ]);
  const expected = [
    [1, small.toString()],
    HEARTBEAT.toString('hex'),
    [2, large.toString()],
    [1, small.toString()],
    HEARTBEAT.toString('hex'),
  ];

  test.each([100, 4_096, 65_536, 131_072, 1_000_000])('into chunks of %d bytes', (chunk) => {
    expect(read(bytes, chunk)).toEqual(expected);
  });

  it('at every byte', () => {
    const short = Buffer.concat([delivery(1, small), HEARTBEAT, delivery(2, small)]);
    const whole = read(short, short.length);
    expect(whole).toHaveLength(3);
    for (let size = 1; size < short.length; size += 1) expect(read(short, size), String(size)).toEqual(whole);
  });

  it('and a large body is passed on as it arrives', () => {
    const sizes = framesOf(delivery(1, large), 65_536).flatMap(({ content }) => content?.length ?? []);
    expect(sizes.length).toBeGreaterThan(4);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536);
  });
});

describe('what is no frame is refused', () => {
  it('a body that goes on after its end', () => {
    const bytes = delivery(1, Buffer.alloc(1_000, 'x'));
    bytes[bytes.length - 1] = 0;
    expect(() => framesOf(bytes, 700)).toThrow('a frame goes on after its end');
  });

  it('a frame that is larger than agreed', () => {
    const bytes = makeBodyFrame(1, Buffer.alloc(MOST + 1));
    expect(() => framesOf(bytes, 65_536)).toThrow(
      `a frame of ${MOST + 1} bytes; at most ${MOST} were agreed`,
    );
  });
});
