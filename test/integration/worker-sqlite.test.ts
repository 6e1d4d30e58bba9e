import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { workerContract } from '../contract/worker-suite.ts';

workerContract('sqlite:///', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-worker-'));
  return {
    url: `sqlite:///${folder}/broker.db`,
    backend: `sqlite:///${folder}/results.db`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});
