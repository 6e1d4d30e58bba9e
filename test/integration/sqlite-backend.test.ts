import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteBackend } from '../../src/backend/sqlite.ts';
import { backendContract } from '../contract/backend-suite.ts';

backendContract('sqlite', async ({ resultExpiresS = 86_400 }) => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
  const url = `sqlite:///${join(folder, 'results.db')}`;
  const options = { resultExpiresS, serializer: 'json', acceptContent: ['json'] };
  return {
    client: sqliteBackend(url, options),
    worker: sqliteBackend(url, options),
    dispose: () => rm(folder, { recursive: true }),
  };
});
