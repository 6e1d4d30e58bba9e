import { resolve } from 'node:path';
import { ImproperlyConfigured } from '../core/errors.ts';
import { parseUrl } from '../core/url.ts';

/**
 * The file that a URL names: `sqlite:///relative.db` from the working folder, `sqlite:////absolute.db`; as in SQLAlchemy the
 * path is taken as it is written and what follows `?` is for Python's driver.
 *
 * @throws {ImproperlyConfigured} when it names no file
 */
export function databasePath(url: string): string {
  const { host, path } = parseUrl(url);
  if (host !== undefined && host !== '') {
    throw new ImproperlyConfigured(
      `${url}: a SQLite URL has no host; write three slashes before a relative path and four before an absolute one ` +
        `(sqlite:///${host}${path === '' ? '' : `/${path}`})`,
    );
  }
  if (path === '' || path === '/' || path === ':memory:') {
    throw new ImproperlyConfigured(
      `${url}: the URL names no file (sqlite:///celery.db); for a broker inside one process use memory://, ` +
        'for results cache+memory://',
    );
  }
  return resolve(path);
}
