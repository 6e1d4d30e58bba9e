// The CPU-bound task without any queue: what one process can do at best.
import { tasks } from './work.js';

for (let left = Number(process.argv[2]); left > 0; left -= 1) {
  tasks.cpu();
  if (left % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
}
