import { boolean, choice, integer, nullable, number, object, oneOf, seconds, text, urls } from '../kinds.ts';
import { failoverStrategy } from '../shapes.ts';
import type { Table } from '../spec.ts';
import type { FailoverStrategy } from '../types.ts';

/** How the broker is reached. */
export interface BrokerSettings {
  /**
   * URL of the broker; several for failover as a list or joined by `;`. `null` is `amqp://guest@localhost:5672//`.
   *
   * @defaultValue `null`
   */
  broker_url: string | readonly string[] | null;
  /**
   * Separate URL for consuming connections.
   *
   * @defaultValue `null`
   */
  broker_read_url: string | readonly string[] | null;
  /**
   * Separate URL for publishing connections.
   *
   * @defaultValue `null`
   */
  broker_write_url: string | readonly string[] | null;
  /**
   * Force transport name apart from the URL scheme.
   *
   * @defaultValue `null`
   */
  broker_transport: string | null;
  /**
   * Options for the transport of the broker.
   *
   * @defaultValue `{}`
   */
  broker_transport_options: Readonly<Record<string, unknown>>;
  /**
   * Seconds to wait for a connection to the broker to open.
   *
   * @defaultValue `4`
   */
  broker_connection_timeout: number | null;
  /**
   * Connect again after the broker connection was lost.
   *
   * @defaultValue `true`
   */
  broker_connection_retry: boolean;
  /**
   * The same for the first connection; `null` follows `broker_connection_retry`.
   *
   * @defaultValue `null`
   */
  broker_connection_retry_on_startup: boolean | null;
  /**
   * Attempts to reconnect before giving up; `null` goes on for ever.
   *
   * @defaultValue `100`
   */
  broker_connection_max_retries: number | null;
  /**
   * Also treat channel errors as recoverable in the consumer loop.
   *
   * @defaultValue `false`
   */
  broker_channel_error_retry: boolean;
  /**
   * Order in which several brokers are tried: `round-robin`, `shuffle` or a function; `null` is round-robin.
   *
   * @defaultValue `null`
   */
  broker_failover_strategy: FailoverStrategy | null;
  /**
   * Seconds between heartbeats asked of an AMQP broker; 0 or `null` for none.
   *
   * @defaultValue `120`
   */
  broker_heartbeat: number | null;
  /**
   * Checks per heartbeat interval.
   *
   * @defaultValue `3`
   */
  broker_heartbeat_checkrate: number;
  /**
   * AMQP SASL mechanism (null means PLAIN via library).
   *
   * @defaultValue `null`
   */
  broker_login_method: string | null;
  /**
   * Queue type for RabbitMQ delay ladder: quorum or classic.
   *
   * @defaultValue `'quorum'`
   */
  broker_native_delayed_delivery_queue_type: 'quorum' | 'classic';
  /**
   * Max pooled publisher connections; 0/null disables pooling.
   *
   * @defaultValue `10`
   */
  broker_pool_limit: number | null;
  /**
   * `true`, or TLS options for the broker connection.
   *
   * @defaultValue `false`
   */
  broker_use_ssl: boolean | Readonly<Record<string, unknown>>;
  /**
   * Legacy: broker host when URL is absent.
   *
   * @defaultValue `null`
   */
  broker_host: string | null;
  /**
   * Legacy: broker port.
   *
   * @defaultValue `null`
   */
  broker_port: number | null;
  /**
   * Legacy: broker user.
   *
   * @defaultValue `null`
   */
  broker_user: string | null;
  /**
   * Legacy: broker password.
   *
   * @defaultValue `null`
   */
  broker_password: string | null;
  /**
   * Legacy: broker virtual host.
   *
   * @defaultValue `null`
   */
  broker_vhost: string | null;
  /**
   * Seconds to wait for a pooled connection.
   *
   * @defaultValue `null`
   */
  broker_pool_acquire_timeout: number | null;
}

export const brokerTable: Table<BrokerSettings> = {
  broker_url: { kind: nullable(urls), default: null, oldName: 'BROKER_URL' },
  broker_read_url: { kind: nullable(urls), default: null, oldName: 'BROKER_READ_URL', later: true },
  broker_write_url: { kind: nullable(urls), default: null, oldName: 'BROKER_WRITE_URL', later: true },
  broker_transport: { kind: nullable(text), default: null, oldName: 'BROKER_TRANSPORT', later: true },
  broker_transport_options: { kind: object, default: {}, oldName: 'BROKER_TRANSPORT_OPTIONS' },
  broker_connection_timeout: { kind: nullable(seconds), default: 4, oldName: 'BROKER_CONNECTION_TIMEOUT' },
  broker_connection_retry: { kind: boolean, default: true, oldName: 'BROKER_CONNECTION_RETRY' },
  broker_connection_retry_on_startup: {
    kind: nullable(boolean),
    default: null,
    oldName: 'BROKER_CONNECTION_RETRY_ON_STARTUP',
    since: '5.3',
  },
  broker_connection_max_retries: {
    kind: nullable(integer(0)),
    default: 100,
    oldName: 'BROKER_CONNECTION_MAX_RETRIES',
  },
  broker_channel_error_retry: {
    kind: boolean,
    default: false,
    oldName: 'BROKER_CHANNEL_ERROR_RETRY',
    since: '5.3',
    later: true,
  },
  broker_failover_strategy: {
    kind: nullable(failoverStrategy),
    default: null,
    oldName: 'BROKER_FAILOVER_STRATEGY',
  },
  broker_heartbeat: { kind: nullable(seconds), default: 120, oldName: 'BROKER_HEARTBEAT' },
  broker_heartbeat_checkrate: {
    kind: number(0),
    default: 3,
    oldName: 'BROKER_HEARTBEAT_CHECKRATE',
    later: true,
  },
  broker_login_method: { kind: nullable(text), default: null, oldName: 'BROKER_LOGIN_METHOD', later: true },
  broker_native_delayed_delivery_queue_type: {
    kind: choice('quorum', 'classic'),
    default: 'quorum',
    oldName: 'BROKER_NATIVE_DELAYED_DELIVERY_QUEUE_TYPE',
    since: '5.5',
    later: true,
  },
  broker_pool_limit: { kind: nullable(integer(0)), default: 10, oldName: 'BROKER_POOL_LIMIT', later: true },
  broker_use_ssl: {
    kind: oneOf<[boolean, Readonly<Record<string, unknown>>]>(boolean, object),
    default: false,
    oldName: 'BROKER_USE_SSL',
  },
  broker_host: { kind: nullable(text), default: null, oldName: 'BROKER_HOST', later: true },
  broker_port: { kind: nullable(integer(0, 65535)), default: null, oldName: 'BROKER_PORT', later: true },
  broker_user: { kind: nullable(text), default: null, oldName: 'BROKER_USER', later: true },
  broker_password: { kind: nullable(text), default: null, oldName: 'BROKER_PASSWORD', later: true },
  broker_vhost: { kind: nullable(text), default: null, oldName: 'BROKER_VHOST', later: true },
  broker_pool_acquire_timeout: {
    kind: nullable(seconds),
    default: null,
    oldName: null,
    since: '5.7',
    later: true,
  },
};
