import { parseUrl } from '../../core/url.ts';
import type { TransportOptions } from '../connect.ts';

/** Where a RabbitMQ is, and as whom one goes there. */
export interface Server {
  readonly user: string;
  readonly password: string;
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly tls: boolean;
}

/** kombu's rules: everything may be missing; a virtual host of `/` is written `//`, `/%2f` or left out. */
export function readServer(url: string, { useSsl }: Pick<TransportOptions, 'useSsl'>): Server {
  const { scheme, user, password, host, port, path } = parseUrl(url);
  const tls = scheme === 'amqps' || useSsl !== false;
  return {
    user: user ?? 'guest',
    password: password ?? 'guest',
    host: host ?? 'localhost',
    port: port ?? (tls ? 5671 : 5672),
    vhost: decodeVhost(path) || '/',
    tls,
  };
}

function decodeVhost(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // A lone % is meant as itself, as in Python.
    return path;
  }
}

/** As in Celery's banner: `amqp://guest:**@localhost:5672//`. */
export function serverUrl({ user, host, port, vhost, tls }: Server): string {
  const address = host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'amqps' : 'amqp'}://${encodeURIComponent(user)}:**@${address}:${port}/${vhost}`;
}
