// A worker of celery-node. It prints two lines for each task, which is its INFO: silenced here.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { tasks } from './work.js';

const { broker, backend, peers } = JSON.parse(process.env.BENCH);
const { createWorker } = createRequire(join(peers, 'package.json'))('celery-node');
const print = console.info;
console.info = () => undefined;
const worker = createWorker(broker, backend ?? broker);
// It has no "no results".
if (backend === null) worker.backend.storeResult = () => Promise.resolve();
for (const [name, run] of Object.entries(tasks)) worker.register(`tasks.${name}`, run);
void worker.isReady().then(() => print('bench ready.'));
void worker.start();
