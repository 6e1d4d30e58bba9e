import { anything, boolean, integer, nullable, object, oneOf, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Redis as a result backend. */
export interface RedisSettings {
  /**
   * TLS of the Redis result backend: `true`, or an object with ssl_cert_reqs, ssl_ca_certs, ssl_certfile, ssl_keyfile.
   *
   * @defaultValue `null`
   */
  redis_backend_use_ssl: boolean | Readonly<Record<string, unknown>> | null;
  /**
   * Redis backend db for a bare `redis://`.
   *
   * @defaultValue `null`
   */
  redis_db: number | null;
  /**
   * Redis backend host when URL lacks it.
   *
   * @defaultValue `null`
   */
  redis_host: string | null;
  /**
   * Most connections of the Redis result backend in one process; it never opens more than two.
   *
   * @defaultValue `null`
   */
  redis_max_connections: number | null;
  /**
   * ACL user for the Redis result backend.
   *
   * @defaultValue `null`
   */
  redis_username: string | null;
  /**
   * Password for the Redis result backend.
   *
   * @defaultValue `null`
   */
  redis_password: string | null;
  /**
   * Redis backend port when URL lacks it.
   *
   * @defaultValue `null`
   */
  redis_port: number | null;
  /**
   * Seconds that the Redis result backend waits for an answer; 0 for ever.
   *
   * @defaultValue `120`
   */
  redis_socket_timeout: number;
  /**
   * Seconds that connecting to it may take; `null` is redis_socket_timeout.
   *
   * @defaultValue `null`
   */
  redis_socket_connect_timeout: number | null;
  /**
   * Try again also after such a timeout.
   *
   * @defaultValue `false`
   */
  redis_retry_on_timeout: boolean;
  /**
   * Enable TCP keepalive, Redis result backend.
   *
   * @defaultValue `false`
   */
  redis_socket_keepalive: boolean;
  /**
   * Seconds between PINGs on its connections; `null` is 25, 0 none.
   *
   * @defaultValue `null`
   */
  redis_backend_health_check_interval: number | null;
  /**
   * Provider of credentials for the Redis result backend.
   *
   * @defaultValue `null`
   */
  redis_backend_credential_provider: unknown;
  /**
   * CLIENT SETNAME value for backend connections.
   *
   * @defaultValue `null`
   */
  redis_client_name: string | null;
}

export const redisTable: Table<RedisSettings> = {
  redis_backend_use_ssl: {
    kind: nullable(oneOf<[boolean, Readonly<Record<string, unknown>>]>(boolean, object)),
    default: null,
    oldName: 'CELERY_REDIS_BACKEND_USE_SSL',
  },
  redis_db: { kind: nullable(integer(0)), default: null, oldName: 'CELERY_REDIS_DB' },
  redis_host: { kind: nullable(text), default: null, oldName: 'CELERY_REDIS_HOST' },
  redis_max_connections: {
    kind: nullable(integer(0)),
    default: null,
    oldName: 'CELERY_REDIS_MAX_CONNECTIONS',
  },
  redis_username: { kind: nullable(text), default: null, oldName: 'CELERY_REDIS_USERNAME' },
  redis_password: { kind: nullable(text), default: null, oldName: 'CELERY_REDIS_PASSWORD' },
  redis_port: { kind: nullable(integer(0, 65535)), default: null, oldName: 'CELERY_REDIS_PORT' },
  redis_socket_timeout: { kind: seconds, default: 120, oldName: 'CELERY_REDIS_SOCKET_TIMEOUT' },
  redis_socket_connect_timeout: {
    kind: nullable(seconds),
    default: null,
    oldName: 'CELERY_REDIS_SOCKET_CONNECT_TIMEOUT',
  },
  redis_retry_on_timeout: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_REDIS_RETRY_ON_TIMEOUT',
  },
  redis_socket_keepalive: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_REDIS_SOCKET_KEEPALIVE',
  },
  redis_backend_health_check_interval: {
    kind: nullable(integer(0)),
    default: null,
    oldName: null,
  },
  redis_backend_credential_provider: {
    kind: anything,
    default: null,
    oldName: null,
    since: '5.6',
    later: true,
  },
  redis_client_name: { kind: nullable(text), default: null, oldName: null, since: '5.6' },
};
