import { expect, it } from 'vitest';
import { ResultCache } from '../../../src/backend/result-cache.ts';
import { resultMeta } from '../../contract/backend-suite.ts';

const add = (cache: ResultCache, id: string): void => cache.add(id, resultMeta(id, 'SUCCESS', 1));

it('keeps the 10,000 latest results that nobody asked for, and those that are waited for beside them', () => {
  const cache = new ResultCache();
  cache.expect('waited');
  add(cache, 'waited');
  for (let index = 0; index < 10_001; index += 1) add(cache, String(index));
  expect(cache.get('0')).toBeUndefined();
  expect(cache.get('1')?.status).toBe('SUCCESS');
  expect(cache.get('waited')?.status).toBe('SUCCESS');
});

it('keeps what was read as one of the others, and forgets what it is told to', () => {
  const cache = new ResultCache();
  cache.expect('read');
  add(cache, 'read');
  expect(cache.get('read')?.status).toBe('SUCCESS');
  for (let index = 0; index < 10_000; index += 1) add(cache, String(index));
  expect(cache.get('read')).toBeUndefined();
  cache.forget('9');
  expect(cache.get('9')).toBeUndefined();
});
