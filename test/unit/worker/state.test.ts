import { describe, expect, it } from 'vitest';
import type { Request } from '../../../src/worker/request.ts';
import { WorkerState } from '../../../src/worker/state.ts';

/** All that a verdict is remembered by. */
function request(id: string): Request {
  const known: Pick<Request, 'id'> & { headers: object } = { id, headers: { retries: 0 } };
  return known as unknown as Request;
}

/** Verdicts that a worker remembers, see `MISSED_MAX`. */
const MOST = 10_000;

describe('verdicts that may not have arrived', () => {
  it('are those given last, when there were more than are remembered', () => {
    const state = new WorkerState();
    for (let at = 0; at < MOST + 50; at += 1) state.given(request(`given-${at}`), 'ack');
    state.sessionLost();
    for (let at = 0; at < 50; at += 1) state.remember(request(`ended-${at}`), 'ack');
    const known = (at: number): boolean => state.missed(`given-${at}`, 0) === 'ack';
    expect(Array.from({ length: 50 }, (_, at) => known(MOST + at))).not.toContain(false);
    expect(known(75)).toBe(false);
    expect(known(150)).toBe(true);
    expect(state.missed('ended-0', 0)).toBe('ack');
  });

  it('are forgotten with the next loss, and when they went back to the queue', () => {
    const state = new WorkerState();
    state.given(request('a'), 'drop');
    state.given(request('b'), 'requeue');
    state.sessionLost();
    expect(state.missed('a', 0)).toBe('drop');
    expect(state.missed('a', 0)).toBeUndefined();
    expect(state.missed('b', 0)).toBeUndefined();
    state.sessionLost();
    expect(state.missed('a', 0)).toBeUndefined();
  });
});
