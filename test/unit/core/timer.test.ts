import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Timer } from '../../../src/core/timer.ts';

const DAY_MS = 86_400_000;

describe('Timer', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('runs calls in the order of their times, and of planning when these are equal', () => {
    const timer = new Timer();
    const ran: string[] = [];
    const delays = [50, 10, 30, 10, 40, 20, 10];
    for (const [index, delay] of delays.entries())
      timer.callAfter(delay, () => ran.push(`${delay}#${index}`));
    expect(timer.size).toBe(7);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(30);
    expect(ran).toEqual(['10#1', '10#3', '10#6', '20#5', '30#2']);
    vi.advanceTimersByTime(30);
    expect(ran.slice(5)).toEqual(['40#4', '50#0']);
    expect([timer.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('agrees with sorting for many calls, some of them cancelled', () => {
    const timer = new Timer();
    const ran: number[] = [];
    let seed = 7;
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const planned = Array.from({ length: 500 }, (_, id) => {
      const delay = Math.floor(random() * 300);
      return { id, delay, handle: timer.callAfter(delay, () => ran.push(id)) };
    });
    const kept = planned.filter(() => random() < 0.6);
    for (const each of planned) if (!kept.includes(each)) timer.cancel(each.handle);
    expect(timer.size).toBe(kept.length);
    vi.advanceTimersByTime(300);
    expect(ran).toEqual(kept.sort((a, b) => a.delay - b.delay || a.id - b.id).map(({ id }) => id));
  });

  it('keeps a delay of 25 days, which setTimeout alone would not', () => {
    const days = 25;
    const timer = new Timer();
    let ranAt = 0;
    const at = Date.now() + days * DAY_MS;
    timer.callAt(at, () => (ranAt = Date.now()));
    vi.advanceTimersByTime(days * DAY_MS - 1);
    expect(ranAt).toBe(0);
    vi.advanceTimersByTime(1);
    expect(ranAt).toBe(at);
  });

  it('notices within a minute that the system clock was set forward', () => {
    const timer = new Timer();
    let ran = false;
    timer.callAfter(DAY_MS, () => (ran = true));
    vi.setSystemTime(Date.now() + DAY_MS);
    vi.advanceTimersByTime(60_000);
    expect(ran).toBe(true);
  });

  it('runs what is overdue in the next turn, never at once', () => {
    const timer = new Timer();
    let ran = 0;
    timer.callAt(0, () => (ran += 1));
    expect(ran).toBe(0);
    vi.advanceTimersByTime(1);
    expect(ran).toBe(1);
  });

  it('lets a call that plans itself again for now take turns', () => {
    const timer = new Timer();
    let ran = 0;
    const again = (): void => {
      ran += 1;
      timer.callAfter(0, again);
    };
    again();
    vi.advanceTimersToNextTimer();
    expect(ran).toBe(2);
    timer.clear();
    expect([timer.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('goes on after a call that throws, and lets the error out', () => {
    const timer = new Timer();
    const ran: string[] = [];
    timer.callAfter(1, () => {
      throw new Error('broken');
    });
    timer.callAfter(1, () => ran.push('same time'));
    timer.callAfter(2, () => ran.push('later'));
    expect(() => vi.advanceTimersByTime(1)).toThrow('broken');
    vi.advanceTimersByTime(2);
    expect(ran).toEqual(['same time', 'later']);
  });

  it('takes cancelling twice, after the run, and from within a call', () => {
    const timer = new Timer();
    const ran: string[] = [];
    const first = timer.callAfter(1, () => {
      ran.push('first');
      second.cancel();
    });
    const second = timer.callAfter(1, () => ran.push('second'));
    timer.callAfter(1, () => ran.push('third'));
    vi.advanceTimersByTime(1);
    first.cancel();
    second.cancel();
    expect(ran).toEqual(['first', 'third']);
  });
});
