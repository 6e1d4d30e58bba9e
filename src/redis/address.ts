import { ImproperlyConfigured } from '../core/errors.ts';
import { didYouMean } from '../core/nearest.ts';
import { tlsOptions, type TlsParameters } from '../core/tls.ts';
import { maskUrl, parseUrl, type ServerUrl } from '../core/url.ts';

/** Where a Redis is, and as whom to use it. */
export interface RedisAddress {
  /** Printable: the password masked, as in Celery's banner. */
  readonly url: string;
  readonly place: RedisPlace;
  /** Number of the database. */
  readonly db: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Undefined: without TLS. */
  readonly tls: TlsParameters | undefined;
}

/** A server's port, its socket file, or those who know which server is the master now. */
export type RedisPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly { readonly host: string; readonly port: number }[];
      readonly masterName: string;
      /** Credentials of the Sentinels themselves; those of the URL are the master's. */
      readonly user: string | undefined;
      readonly password: string | undefined;
      readonly tls: TlsParameters | undefined;
    };

export interface RedisAddressOptions {
  /** `broker_use_ssl` or `redis_backend_use_ssl`. */
  readonly useSsl: boolean | Readonly<Record<string, unknown>>;
  /** `broker_transport_options` or `result_backend_transport_options`: `master_name` and `sentinel_kwargs` are read. */
  readonly transportOptions: Readonly<Record<string, unknown>>;
  /** The names of both settings, for messages. */
  readonly settings: { readonly useSsl: string; readonly transportOptions: string };
}

/** Schemes of `redisAddress`. */
export const REDIS_SCHEMES = ['redis', 'rediss', 'redis+socket', 'socket', 'sentinel'] as const;

const PORT = 6379;
const SENTINEL_PORT = 26379;

/**
 * Reads `redis://user:password@host:6379/0`, `rediss://…?ssl_cert_reqs=required`,
 * `redis+socket://user:password@/path?virtual_host=0` (also `socket://`) or `sentinel://host:26379/0;sentinel://…`.
 *
 * @throws {@link ImproperlyConfigured}, which never shows the password
 */
export function redisAddress(url: string, options: RedisAddressOptions): RedisAddress {
  const urls = url.split(';').map((each) => parseUrl(each));
  const [first, ...others] = urls;
  if (first === undefined) throw new ImproperlyConfigured('No Redis URL was given.');
  if (others.length > 0 && !urls.every(({ scheme }) => scheme === 'sentinel')) {
    throw new ImproperlyConfigured(`${maskUrl(url)}: only sentinel:// URLs can be joined to one Redis`);
  }
  const place = placeOf(urls, first, options);
  const db = databaseOf(first, url);
  return {
    url: display(first, place),
    place,
    db,
    user: first.user,
    password: first.password,
    tls: tlsOf(first, options),
  };
}

function placeOf(urls: readonly ServerUrl[], first: ServerUrl, options: RedisAddressOptions): RedisPlace {
  switch (first.scheme) {
    case 'redis':
    case 'rediss':
      return { kind: 'tcp', host: first.host ?? 'localhost', port: first.port ?? PORT };
    case 'redis+socket':
    case 'socket':
      return { kind: 'socket', path: socketPath(first) };
    case 'sentinel':
      return sentinelPlace(urls, options);
    default:
      throw new ImproperlyConfigured(
        `${first.scheme}:// is not a Redis URL; the schemes are ${REDIS_SCHEMES.join(', ')}`,
      );
  }
}

function socketPath({ scheme, host, path }: ServerUrl): string {
  if (host === undefined && path !== '') return `/${decode(path)}`;
  throw new ImproperlyConfigured(
    `${scheme}:// takes an absolute path after three slashes, such as ${scheme}:///run/redis/redis.sock?virtual_host=0`,
  );
}

function sentinelPlace(
  urls: readonly ServerUrl[],
  { transportOptions, settings }: RedisAddressOptions,
): RedisPlace {
  const { master_name: masterName, sentinel_kwargs: given } = transportOptions;
  if (typeof masterName !== 'string' || masterName === '') {
    throw new ImproperlyConfigured(
      `sentinel:// needs the name of the master: ${settings.transportOptions} = { master_name: '…' }`,
    );
  }
  const { username, password, ssl, ...rest } = (given ?? {}) as Readonly<Record<string, unknown>>;
  const parameters = Object.fromEntries(Object.entries(rest).filter(([name]) => name.startsWith('ssl_')));
  const withTls = ssl === true || Object.keys(parameters).length > 0;
  return {
    kind: 'sentinel',
    sentinels: urls.map(({ host, port }) => ({ host: host ?? 'localhost', port: port ?? SENTINEL_PORT })),
    masterName,
    user: typeof username === 'string' ? username : undefined,
    password: typeof password === 'string' ? password : undefined,
    tls: withTls ? tlsOptions(parameters, `${settings.transportOptions}.sentinel_kwargs`) : undefined,
  };
}

/** The path, or `?virtual_host=` where the path is that of a socket; none is database 0. */
function databaseOf({ scheme, path, query }: ServerUrl, url: string): number {
  const { virtual_host: named } = query;
  const text = named ?? (scheme.endsWith('socket') ? '' : decode(path));
  const number = text.replace(/^\/+/, '').replace(/\/+$/, '');
  if (number === '') return 0;
  if (/^\d{1,9}$/.test(number)) return Number(number);
  throw new ImproperlyConfigured(
    `${maskUrl(url)}: a Redis database is a whole number from 0 on, not '${number}'`,
  );
}

function tlsOf(
  { scheme, query }: ServerUrl,
  { useSsl, settings }: RedisAddressOptions,
): TlsParameters | undefined {
  const parameters: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (name === 'virtual_host') continue;
    if (!name.startsWith('ssl_')) throw unknownParameter(name, settings.transportOptions);
    parameters[name] = value;
  }
  const inUrl = scheme === 'rediss' || Object.keys(parameters).length > 0;
  if (!inUrl && useSsl === false) return undefined;
  return { ...tlsOptions(useSsl, settings.useSsl), ...tlsOptions(parameters, 'the URL') };
}

const PARAMETERS = [
  'virtual_host',
  ...['ssl_cert_reqs', 'ssl_ca_certs', 'ssl_certfile', 'ssl_keyfile', 'ssl_check_hostname'],
];

function unknownParameter(name: string, setting: string): ImproperlyConfigured {
  return new ImproperlyConfigured(
    `Unknown parameter ${name} in the Redis URL.${didYouMean(name, PARAMETERS)} It takes ${PARAMETERS.join(', ')}; ` +
      `everything else goes into ${setting}.`,
  );
}

/** As kombu prints it: `redis://:**@localhost:6379/0`; a missing database is a slash. */
function display({ scheme, user, password, host, port, path }: ServerUrl, place: RedisPlace): string {
  const secret = password === undefined ? '' : ':**';
  const who = user === undefined && secret === '' ? '' : `${encodeURIComponent(user ?? '')}${secret}@`;
  if (place.kind === 'socket') return `${scheme}://${who}${place.path}`;
  const name = host ?? 'localhost';
  const address = name.includes(':') ? `[${name}]` : name;
  const number = port ?? (place.kind === 'sentinel' ? SENTINEL_PORT : PORT);
  return `${scheme}://${who}${address}:${String(number)}/${path === '' ? '/' : path}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone % is meant as itself, as in Python's unquote.
    return text;
  }
}
