import { integer, nullable, object, oneOf, seconds, text, textOrTexts } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Cassandra as a result backend. */
export interface CassandraSettings {
  /**
   * Row time-to-live in seconds.
   *
   * @defaultValue `null`
   */
  cassandra_entry_ttl: number | null;
  /**
   * Keyspace holding the results table.
   *
   * @defaultValue `null`
   */
  cassandra_keyspace: string | null;
  /**
   * Contact port, 9042 when unset.
   *
   * @defaultValue `null`
   */
  cassandra_port: number | string | null;
  /**
   * Read consistency level, LOCAL_QUORUM when unset.
   *
   * @defaultValue `null`
   */
  cassandra_read_consistency: string | null;
  /**
   * List of contact host names.
   *
   * @defaultValue `null`
   */
  cassandra_servers: readonly string[] | null;
  /**
   * Not read; use `cassandra_secure_bundle_path`.
   *
   * @defaultValue `null`
   */
  cassandra_bundle_path: string | null;
  /**
   * Table (column family) for results.
   *
   * @defaultValue `null`
   */
  cassandra_table: string | null;
  /**
   * Write consistency level, LOCAL_QUORUM when unset.
   *
   * @defaultValue `null`
   */
  cassandra_write_consistency: string | null;
  /**
   * Class name within cassandra.auth to log in.
   *
   * @defaultValue `null`
   */
  cassandra_auth_provider: string | null;
  /**
   * Keyword arguments for that auth provider.
   *
   * @defaultValue `null`
   */
  cassandra_auth_kwargs: Readonly<Record<string, unknown>> | null;
  /**
   * Extra keyword arguments for the Cluster object.
   *
   * @defaultValue `{}`
   */
  cassandra_options: Readonly<Record<string, unknown>>;
  /**
   * Secure connect bundle (Astra); replaces server list.
   *
   * @defaultValue `null`
   */
  cassandra_secure_bundle_path: string | null;
}

export const cassandraTable: Table<CassandraSettings> = {
  cassandra_entry_ttl: {
    kind: nullable(seconds),
    default: null,
    oldName: 'CASSANDRA_ENTRY_TTL',
    later: true,
  },
  cassandra_keyspace: { kind: nullable(text), default: null, oldName: 'CASSANDRA_KEYSPACE', later: true },
  cassandra_port: {
    kind: nullable(oneOf<[number, string]>(integer(0, 65535), text)),
    default: null,
    oldName: 'CASSANDRA_PORT',
    later: true,
  },
  cassandra_read_consistency: {
    kind: nullable(text),
    default: null,
    oldName: 'CASSANDRA_READ_CONSISTENCY',
    later: true,
  },
  cassandra_servers: {
    kind: nullable(textOrTexts),
    default: null,
    oldName: 'CASSANDRA_SERVERS',
    later: true,
  },
  cassandra_bundle_path: {
    kind: nullable(text),
    default: null,
    oldName: 'CASSANDRA_BUNDLE_PATH',
    since: '5.3',
    later: true,
  },
  cassandra_table: { kind: nullable(text), default: null, oldName: 'CASSANDRA_TABLE', later: true },
  cassandra_write_consistency: {
    kind: nullable(text),
    default: null,
    oldName: 'CASSANDRA_WRITE_CONSISTENCY',
    later: true,
  },
  cassandra_auth_provider: {
    kind: nullable(text),
    default: null,
    oldName: 'CASSANDRA_AUTH_PROVIDER',
    later: true,
  },
  cassandra_auth_kwargs: {
    kind: nullable(object),
    default: null,
    oldName: 'CASSANDRA_AUTH_KWARGS',
    later: true,
  },
  cassandra_options: { kind: object, default: {}, oldName: 'CASSANDRA_OPTIONS', later: true },
  cassandra_secure_bundle_path: {
    kind: nullable(text),
    default: null,
    oldName: null,
    since: '5.3',
    later: true,
  },
};
