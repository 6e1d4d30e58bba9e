// A worker of BullMQ: in this process, or its sandbox of child processes.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { process as run } from './bullmq-processor.js';

const { broker, concurrency, sandbox, peers } = JSON.parse(process.env.BENCH);
const { Worker } = createRequire(join(peers, 'package.json'))('bullmq');
const processor = sandbox ? join(import.meta.dirname, 'bullmq-processor.js') : run;
const worker = new Worker('bench', processor, { connection: { url: broker }, concurrency });
worker.on('error', (error) => console.error(error));
await worker.waitUntilReady();
console.log('bench ready.');
process.on('SIGTERM', () => process.exit());
