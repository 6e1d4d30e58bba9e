import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { EncodeError, OperationalError } from '../../../src/core/errors.ts';
import type { OnConfirm, OutgoingMessage } from '../../../src/transport/amqp/frame-writer.ts';
import { Publisher } from '../../../src/transport/amqp/publisher.ts';
import { envelope } from '../../support/messages.ts';

/** What is behind a Publisher: takes `room` messages until it drains, and confirms when told. */
class Pipe extends EventEmitter {
  readonly written: string[] = [];
  readonly confirms: ((error: unknown) => void)[] = [];
  room: number;
  failure: Error | undefined;

  constructor(room: number) {
    super();
    this.room = room;
  }

  send({ routingKey }: OutgoingMessage, confirm: OnConfirm | undefined): boolean {
    if (this.failure !== undefined) throw this.failure;
    this.written.push(routingKey);
    if (confirm !== undefined) this.confirms.push(confirm);
    this.room -= 1;
    return this.room > 0;
  }

  drain(room: number): void {
    this.room = room;
    this.emit('drain');
  }
}

const explain = (error: unknown): OperationalError => new OperationalError((error as Error).message);

function setup(room: number, confirm: boolean) {
  const pipe = new Pipe(room);
  const publisher = new Publisher(pipe, pipe, confirm, explain);
  const done: string[] = [];
  const publish = (key: string): Promise<void> =>
    publisher.publish(envelope('x'), '', key).then(() => void done.push(key));
  return { pipe, publisher, publish, done };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Publisher', () => {
  it('writes no more than there is room for, then goes on in order', async () => {
    const { pipe, publish } = setup(2, true);
    const all = ['a', 'b', 'c', 'd', 'e'].map(publish);
    expect(pipe.written).toEqual(['a', 'b']);
    pipe.drain(2);
    expect(pipe.written).toEqual(['a', 'b', 'c', 'd']);
    all.push(publish('f'));
    expect(pipe.written).toHaveLength(4);
    pipe.drain(9);
    expect(pipe.written).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    for (const confirm of pipe.confirms) confirm(null);
    await Promise.all(all);
  });

  it('with confirms resolves each when the broker has it, in whatever order', async () => {
    const { pipe, publish, done } = setup(9, true);
    const [first, second] = [publish('a'), publish('b')];
    await turn();
    expect(done).toEqual([]);
    pipe.confirms[1]?.(null);
    await second;
    expect(done).toEqual(['b']);
    pipe.confirms[0]?.(new Error('message nacked'));
    await expect(first).rejects.toThrow(/refused the message/);
  });

  it('without confirms resolves when the socket has taken it', async () => {
    const { pipe, publish, done } = setup(2, false);
    const all = ['a', 'b', 'c'].map(publish);
    await turn();
    expect(done).toEqual(['a']);
    pipe.drain(9);
    await Promise.all(all);
    expect(done).toEqual(['a', 'b', 'c']);
  });

  it.each([true, false])('rejects what has not left when it ends (confirm: %s)', async (confirm) => {
    const { pipe, publisher, publish } = setup(1, confirm);
    const [written, waiting] = [publish('a'), publish('b')];
    const refused = expect(waiting).rejects.toThrow('gone');
    publisher.end(new OperationalError('gone'));
    await refused;
    if (confirm) pipe.confirms[0]?.(new Error('channel closed'));
    await expect(written).rejects.toBeInstanceOf(OperationalError);
  });

  it.each([
    [new RangeError('too large'), EncodeError],
    [new Error('Channel closed'), OperationalError],
  ])('puts a failure to write into words: %s', async (error, kind) => {
    const { pipe, publish } = setup(9, true);
    pipe.failure = error;
    await expect(publish('a')).rejects.toBeInstanceOf(kind);
    pipe.failure = undefined;
    const next = publish('b');
    pipe.confirms[0]?.(null);
    await next;
  });
});
