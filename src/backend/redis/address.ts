import { parseUrl } from '../../core/url.ts';
import { redisAddress, type RedisAddress } from '../../redis/address.ts';
import type { ResolvedSettings } from '../../settings/settings.ts';

/**
 * The Redis of a backend URL. As in Celery the `redis_host`, `redis_port`, `redis_username` and `redis_password` settings
 * say what the URL leaves out; `redis_db` counts only for a bare `redis://`.
 *
 * @throws {@link ImproperlyConfigured}, which never shows the password
 */
export function redisBackendAddress(url: string, settings: ResolvedSettings): RedisAddress {
  return redisAddress(completed(url, settings), {
    useSsl: settings.redis_backend_use_ssl ?? false,
    transportOptions: settings.result_backend_transport_options,
    settings: { useSsl: 'redis_backend_use_ssl', transportOptions: 'result_backend_transport_options' },
  });
}

function completed(url: string, settings: ResolvedSettings): string {
  const start = /^(rediss?):\/\//i.exec(url);
  if (start === null) return url;
  const { user, password, host, port, path } = parseUrl(url);
  const name = settings.redis_username ?? undefined;
  const secret = settings.redis_password ?? undefined;
  const who = `${part(user ?? name)}${password === undefined && secret === undefined ? '' : `:${part(password ?? secret)}`}`;
  const place = part(host ?? settings.redis_host ?? 'localhost').replaceAll('%3A', ':');
  const number = port ?? settings.redis_port;
  const bare = host === undefined && path === '';
  const query = url.includes('?') ? url.slice(url.indexOf('?')) : '';
  return [
    start[0],
    who === '' ? '' : `${who}@`,
    place.includes(':') ? `[${place}]` : place,
    number === null ? '' : `:${String(number)}`,
    `/${bare && settings.redis_db !== null ? String(settings.redis_db) : path}`,
    query,
  ].join('');
}

function part(text: string | undefined): string {
  return encodeURIComponent(text ?? '');
}
