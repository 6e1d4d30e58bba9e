import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { AckBook } from '../../../src/transport/amqp/acks.ts';

/** A book with deliveries 1 to `count`; collects the frames written. */
function book(count: number): { acks: AckBook; frames: string[] } {
  const frames: string[] = [];
  const acks = new AckBook((tag, multiple) => frames.push(`${String(tag)}${multiple ? '+' : ''}`));
  for (let tag = 1; tag <= count; tag += 1) acks.delivered(tag);
  return { acks, frames };
}

describe('AckBook', () => {
  it.each([
    [[1], ['1']],
    [[1, 2, 3], ['3+']],
    [[3, 1, 2], ['3+']],
    [
      [2, 3],
      ['2', '3'],
    ],
    [
      [1, 2, 4],
      ['2+', '4'],
    ],
    [
      [5, 1],
      ['1', '5'],
    ],
    [[1, 2, 3, 4, 5], ['5+']],
  ])('acks of %j in one turn leave as %j', async (tags, expected) => {
    const { acks, frames } = book(5);
    await Promise.all(tags.map((tag) => acks.ack(tag)));
    expect(frames).toEqual(expected);
  });

  it('never covers what is still open, nor what was rejected or has its gap closed later', async () => {
    const { acks, frames } = book(6);
    await Promise.all([acks.ack(2), acks.ack(3)]);
    acks.settled(1);
    await acks.ack(4);
    acks.settled(5);
    acks.delivered(9);
    await Promise.all([acks.ack(9), acks.ack(6)]);
    expect(frames).toEqual(['2', '3', '4', '9+']);
  });

  it('writes nothing before the turn ends, and at once when told', async () => {
    const { acks, frames } = book(3);
    const first = acks.ack(1);
    await Promise.resolve();
    expect(frames).toEqual([]);
    acks.flush();
    expect(frames).toEqual(['1']);
    await first;
    await acks.ack(2);
    expect(frames).toEqual(['1', '2']);
  });

  it('waits a moment for others while most of the window is left, and for none when enough have come', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { acks, frames } = book(40);
    acks.setWindow(40);
    const first = acks.ack(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(frames).toEqual([]);
    vi.advanceTimersByTime(1);
    await first;
    expect(frames).toEqual(['1']);
    const many = Array.from({ length: 10 }, (_, at) => acks.ack(at + 2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(frames).toEqual(['1', '11+']);
    await Promise.all(many);
  });

  it('says of acks that were not written that they failed', async () => {
    const { acks, frames } = book(3);
    const acked = [acks.ack(1), acks.ack(3)];
    acks.fail(new Error('the channel is gone'));
    expect(await Promise.allSettled(acked)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    expect(frames).toEqual([]);
  });
});
