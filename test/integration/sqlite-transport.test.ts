import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteTransport } from '../../src/transport/sqlite/transport.ts';
import { transportContract } from '../contract/transport-suite.ts';

transportContract('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-ts-'));
  const url = `sqlite:///${join(folder, 'broker.db')}`;
  return {
    transport: () => sqliteTransport(url, { transportOptions: {} }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});
