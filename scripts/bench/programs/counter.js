// Counts the tasks that this process has run, for the bench to read: a file of three doubles, the count and the milliseconds
// since 1970 of the first and the last. Written at most every 10 ms, so that counting does not disturb what is counted.
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const file = openSync(join(process.env.BENCH_COUNTERS, String(process.pid)), 'w');
const state = new Float64Array(3);
let armed = false;

/** Called at the end of each task. */
export function done() {
  state[2] = performance.timeOrigin + performance.now();
  if (state[0] === 0) state[1] = state[2];
  state[0] += 1;
  if (armed) return;
  armed = true;
  setTimeout(() => {
    armed = false;
    writeSync(file, state, 0, state.byteLength, 0);
  }, 10);
}
