import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { ImproperlyConfigured } from '../../../src/core/errors.ts';
import { databasePath } from '../../../src/sqlite/url.ts';

it.each([
  ['sqlite:///celery.db', resolve('celery.db')],
  ['sqlite:///data/celery.db', resolve('data/celery.db')],
  ['sqlite:////var/lib/celery.db', '/var/lib/celery.db'],
  ['sqla+sqlite:///celery.db', resolve('celery.db')],
  ['sqlite:///a%20b.db', resolve('a%20b.db')],
  ['sqlite:///celery.db?timeout=5', resolve('celery.db')],
])('%s is %s', (url, path) => {
  expect(databasePath(url)).toBe(path);
});

it.each([
  ['sqlite://', /names no file.*memory:\/\//],
  ['sqlite:///', /names no file/],
  ['sqlite:///:memory:', /names no file/],
  ['sqlite://celery.db', /three slashes.*sqlite:\/\/\/celery\.db/],
])('%s is refused', (url, text) => {
  expect(() => databasePath(url)).toThrow(ImproperlyConfigured);
  expect(() => databasePath(url)).toThrow(text);
});
