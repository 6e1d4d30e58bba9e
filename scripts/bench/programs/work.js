// What the tasks do, the same for every contender in JavaScript.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { done } from './counter.js';

/** About 5 ms of one core. */
export function burn() {
  let digest = Buffer.alloc(32);
  for (let round = 0; round < 2_500; round += 1) digest = createHash('sha256').update(digest).digest();
  return digest[0];
}

function counted(value) {
  done();
  return value;
}

export const tasks = {
  add: (x, y) => counted(x + y),
  cpu: () => counted(burn()),
  sleep: async () => {
    await sleep(50);
    return counted(50);
  },
  size: (text) => counted(text.length),
};
