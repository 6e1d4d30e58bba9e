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
  const address = redisAddress(completed(url, settings), {
    useSsl: settings.redis_backend_use_ssl ?? false,
    transportOptions: settings.result_backend_transport_options,
    settings: { useSsl: 'redis_backend_use_ssl', transportOptions: 'result_backend_transport_options' },
  });
  const user = address.user ?? settings.redis_username ?? undefined;
  const password = address.password ?? settings.redis_password ?? undefined;
  return { ...address, user, password };
}

/** With the host, port and database of the settings where a URL has none. */
function completed(url: string, settings: ResolvedSettings): string {
  const [, start, who = '', place = '', rest = ''] =
    /^(rediss?:\/\/)([^/?#]*@)?([^/?#]*)(.*)$/i.exec(url) ?? [];
  if (start === undefined) return url;
  const { host, port, path } = parseUrl(url);
  const number = port ?? settings.redis_port;
  const server = host === undefined ? written(settings.redis_host ?? 'localhost') : place;
  const named = host !== undefined && port !== undefined;
  const bare = host === undefined && path === '' && settings.redis_db !== null;
  return [
    start + who + server,
    named || number === null ? '' : `:${String(number)}`,
    bare ? `/${String(settings.redis_db)}${rest.replace(/^\//, '')}` : rest,
  ].join('');
}

function written(host: string): string {
  return host.includes(':') ? `[${host}]` : encodeURIComponent(host);
}
