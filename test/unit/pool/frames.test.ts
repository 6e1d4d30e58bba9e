import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/core/errors.ts';
import type { Frame } from '../../../src/pool/frames.ts';
import { FrameReader, FrameWriter } from '../../../src/pool/frames.ts';

function bytes(length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index += 1) buffer[index] = (index * 7) % 251;
  return buffer;
}

async function encode(frames: readonly Frame[]): Promise<{ stream: Buffer; writes: number }> {
  const stream = new PassThrough({ highWaterMark: 1 << 30 });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const writer = new FrameWriter(stream);
  for (const { header, parts } of frames) writer.send(header, parts);
  await writer.sent();
  await new Promise((resolve) => setImmediate(resolve));
  return { stream: Buffer.concat(chunks), writes: chunks.length };
}

function decode(chunks: Iterable<Buffer>): Frame[] {
  const frames: Frame[] = [];
  // Chunks are copied: a reader that kept a view of one it should have copied would show here.
  const reader = new FrameReader((header, parts) => {
    frames.push({ header, parts: parts.map((part) => Buffer.from(part)) });
  });
  for (const chunk of chunks) {
    const copy = Buffer.from(chunk);
    reader.push(copy);
    copy.fill(0xff);
  }
  expect(reader.isInsideFrame).toBe(false);
  return frames;
}

function* slices(buffer: Buffer, length: number): Generator<Buffer> {
  for (let at = 0; at < buffer.length; at += length) yield buffer.subarray(at, at + length);
}

const SMALL: readonly Frame[] = [
  { header: 'a', parts: [] },
  { header: 'b ä€😀\u0000', parts: [bytes(3), bytes(0), bytes(200)] },
  { header: '', parts: [] },
  { header: 'c', parts: [bytes(0)] },
  { header: 'd', parts: Array.from({ length: 16 }, (_, index) => bytes(index)) },
];

const LARGE: readonly Frame[] = [
  { header: 'a', parts: [bytes(10), bytes(40_000), bytes(20), bytes(70_000), bytes(1)] },
  { header: 'b'.repeat(100_000), parts: [bytes(32 * 1024)] },
  ...SMALL,
];

describe('frames', () => {
  it.each([1, 2, 3, 5, 7, 8, 9, 11, 13, 72, 73, 1000])('survive chunks of %i bytes', async (length) => {
    const { stream } = await encode(SMALL);
    expect(decode(slices(stream, length))).toEqual(SMALL);
  });

  it.each([65_536, 4096, 31, 1 << 20])('survive large parts in chunks of %i bytes', async (length) => {
    const { stream } = await encode(LARGE);
    expect(decode(slices(stream, length))).toEqual(LARGE);
  });

  it('pass 100 MB', async () => {
    const body = Buffer.alloc(100 * 1024 * 1024, 'x');
    const { stream } = await encode([{ header: 'job', parts: [body] }]);
    const [frame] = decode(slices(stream, 65_536));
    expect(body.equals(frame?.parts[0] as Buffer)).toBe(true);
  });

  it('carry text as its bytes', async () => {
    const { stream } = await encode([{ header: 'x', parts: ['ä€😀', '', 'z'.repeat(100_000)] }]);
    const [frame] = decode(slices(stream, 1000));
    expect(frame?.parts.map(String)).toEqual(['ä€😀', '', 'z'.repeat(100_000)]);
  });

  it('of one turn leave as one write', async () => {
    const { writes } = await encode(SMALL);
    expect(writes).toBe(1);
  });

  it.each([
    ['text', Buffer.from('console output instead of frames')],
    ['a length beyond 2 GiB', Buffer.from([0x17, 0xce, 1, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f])],
    ['too many parts', Buffer.from([0x17, 0xce, 17, 0, 1, 0, 0, 0])],
  ])('refuse %s', (_, garbage) => {
    expect(() => decode([garbage])).toThrow(DecodeError);
  });

  it('refuse to be larger than 2 GiB, with the size', () => {
    const writer = new FrameWriter(new PassThrough());
    const part = { length: 2 ** 31 } as Buffer;
    expect(() => writer.send('', [part])).toThrow(/21474836\d\d bytes are too large/);
  });
});
