import { randomUUID } from 'node:crypto';
import { workerContract } from '../contract/worker-suite.ts';

workerContract('memory://', () =>
  Promise.resolve({
    url: `memory://${randomUUID()}`,
    backend: `cache+memory://${randomUUID()}`,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);
