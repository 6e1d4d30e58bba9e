import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { writeTogether as writeAmqpTogether } from '../../../src/transport/amqp/write-together.ts';
import { writeTogether as writeRedisTogether } from '../../../src/transport/redis/write-together.ts';

/** A socket that notes what each system call would carry. */
function socket(): { readonly stream: Writable; readonly calls: string[] } {
  const calls: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _, done) => {
      calls.push(chunk);
      done();
    },
    writev: (chunks, done) => {
      calls.push(chunks.map(({ chunk }) => String(chunk)).join('+'));
      done();
    },
  });
  return { stream, calls };
}

describe('commands of Redis', () => {
  it('leave together, those of one turn', async () => {
    const { stream, calls } = socket();
    const write = writeRedisTogether({ stream } as never);
    for (const command of ['a', 'b', 'c']) {
      write();
      stream.write(command);
    }
    expect(calls).toEqual([]);
    await turn();
    expect(calls).toEqual(['a+b+c']);
    write();
    stream.write('d');
    await turn();
    // Nobody asked for it.
    stream.write('e');
    expect(calls).toEqual(['a+b+c', 'd', 'e']);
  });

  it('of a connection that was lost meanwhile harm nobody', async () => {
    const { stream, calls } = socket();
    const write = writeRedisTogether({ stream } as never);
    write();
    stream.write('a');
    stream.destroy();
    await turn();
    expect(calls).toEqual([]);
  });
});

describe('frames of RabbitMQ', () => {
  const muxer = (stream: Writable, frames: string[], fail = false) => ({
    _readIncoming: () => {
      for (const frame of frames) stream.write(frame);
      if (fail) throw new Error('no such frame');
    },
  });

  it('leave together, those that amqplib moves at once', () => {
    const { stream, calls } = socket();
    const connection = { stream, muxer: muxer(stream, ['method', 'header', 'body']) };
    writeAmqpTogether(connection);
    connection.muxer._readIncoming();
    connection.muxer._readIncoming();
    expect(calls).toEqual(['method+header+body', 'method+header+body']);
  });

  it('are not kept back by an error', () => {
    const { stream, calls } = socket();
    const connection = { stream, muxer: muxer(stream, ['method', 'body'], true) };
    writeAmqpTogether(connection);
    expect(() => connection.muxer._readIncoming()).toThrow('no such frame');
    expect(calls).toEqual(['method+body']);
  });

  it.each([{}, { stream: {} }, { stream: socket().stream, muxer: {} }])(
    'of an amqplib that is built otherwise go as they are (%#)',
    (connection) => {
      expect(() => writeAmqpTogether(connection)).not.toThrow();
    },
  );
});
