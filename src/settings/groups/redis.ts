import { anything, boolean, integer, nullable, object, oneOf, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Redis as a result backend. */
export interface RedisSettings {
  /**
   * TLS object for the Redis result backend.
   *
   * @defaultValue `null`
   */
  redis_backend_use_ssl: boolean | Readonly<Record<string, unknown>> | null;
  /**
   * Redis backend db when URL lacks it.
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
   * Connection pool size of the Redis result backend.
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
   * Read/write timeout seconds, Redis result backend.
   *
   * @defaultValue `120`
   */
  redis_socket_timeout: number;
  /**
   * Connect timeout seconds, Redis result backend.
   *
   * @defaultValue `null`
   */
  redis_socket_connect_timeout: number | null;
  /**
   * Retry Redis commands after socket timeout.
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
   * Seconds of idleness before PING on backend connection.
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
    later: true,
  },
  redis_db: { kind: nullable(integer(0)), default: null, oldName: 'CELERY_REDIS_DB', later: true },
  redis_host: { kind: nullable(text), default: null, oldName: 'CELERY_REDIS_HOST', later: true },
  redis_max_connections: {
    kind: nullable(integer(0)),
    default: null,
    oldName: 'CELERY_REDIS_MAX_CONNECTIONS',
    later: true,
  },
  redis_username: { kind: nullable(text), default: null, oldName: 'CELERY_REDIS_USERNAME', later: true },
  redis_password: { kind: nullable(text), default: null, oldName: 'CELERY_REDIS_PASSWORD', later: true },
  redis_port: { kind: nullable(integer(0, 65535)), default: null, oldName: 'CELERY_REDIS_PORT', later: true },
  redis_socket_timeout: { kind: seconds, default: 120, oldName: 'CELERY_REDIS_SOCKET_TIMEOUT', later: true },
  redis_socket_connect_timeout: {
    kind: nullable(seconds),
    default: null,
    oldName: 'CELERY_REDIS_SOCKET_CONNECT_TIMEOUT',
    later: true,
  },
  redis_retry_on_timeout: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_REDIS_RETRY_ON_TIMEOUT',
    later: true,
  },
  redis_socket_keepalive: {
    kind: boolean,
    default: false,
    oldName: 'CELERY_REDIS_SOCKET_KEEPALIVE',
    later: true,
  },
  redis_backend_health_check_interval: {
    kind: nullable(integer(0)),
    default: null,
    oldName: null,
    later: true,
  },
  redis_backend_credential_provider: {
    kind: anything,
    default: null,
    oldName: null,
    since: '5.6',
    later: true,
  },
  redis_client_name: { kind: nullable(text), default: null, oldName: null, since: '5.6', later: true },
};
