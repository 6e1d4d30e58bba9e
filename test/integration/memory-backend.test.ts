import { randomUUID } from 'node:crypto';
import { memoryBackend } from '../../src/backend/memory.ts';
import { backendContract } from '../contract/backend-suite.ts';

backendContract('memory', ({ resultExpiresS = 86_400 }) => {
  const url = `cache+memory://${randomUUID()}`;
  const options = { resultExpiresS, serializer: 'json' };
  return Promise.resolve({
    client: memoryBackend(url, options),
    worker: memoryBackend(url, options),
    dispose: () => Promise.resolve(),
  });
});
