import { boolean, integer, nullable, object, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Other result backends: caches, document stores and search engines. */
export interface BackendSettings {
  /**
   * Backend URL used when result_backend is 'cache'.
   *
   * @defaultValue `null`
   */
  cache_backend: string | null;
  /**
   * Options for the memcached client.
   *
   * @defaultValue `{}`
   */
  cache_backend_options: Readonly<Record<string, unknown>>;
  /**
   * Object with host, port, bucket and credentials.
   *
   * @defaultValue `null`
   */
  couchbase_backend_settings: Readonly<Record<string, unknown>> | null;
  /**
   * Object with host, database, collection, credentials.
   *
   * @defaultValue `null`
   */
  arangodb_backend_settings: Readonly<Record<string, unknown>> | null;
  /**
   * Object with database, collections, client options.
   *
   * @defaultValue `null`
   */
  mongodb_backend_settings: Readonly<Record<string, unknown>> | null;
  /**
   * Cosmos database name.
   *
   * @defaultValue `'celerydb'`
   */
  cosmosdbsql_database_name: string;
  /**
   * Cosmos container name.
   *
   * @defaultValue `'celerycol'`
   */
  cosmosdbsql_collection_name: string;
  /**
   * Cosmos consistency level.
   *
   * @defaultValue `'Session'`
   */
  cosmosdbsql_consistency_level: string;
  /**
   * Retries per Cosmos request.
   *
   * @defaultValue `9`
   */
  cosmosdbsql_max_retry_attempts: number;
  /**
   * Longest total wait for those retries, seconds.
   *
   * @defaultValue `30`
   */
  cosmosdbsql_max_retry_wait_time: number;
  /**
   * Retry the request after timeout.
   *
   * @defaultValue `null`
   */
  elasticsearch_retry_on_timeout: boolean | null;
  /**
   * Retries per request.
   *
   * @defaultValue `null`
   */
  elasticsearch_max_retries: number | null;
  /**
   * Request timeout seconds.
   *
   * @defaultValue `null`
   */
  elasticsearch_timeout: number | null;
  /**
   * Store meta as string rather than nested JSON.
   *
   * @defaultValue `true`
   */
  elasticsearch_save_meta_as_text: boolean;
  /**
   * Overrides endpoint of the DynamoDB result backend.
   *
   * @defaultValue `null`
   */
  dynamodb_endpoint_url: string | null;
}

export const backendsTable: Table<BackendSettings> = {
  cache_backend: { kind: nullable(text), default: null, oldName: 'CELERY_CACHE_BACKEND', later: true },
  cache_backend_options: { kind: object, default: {}, oldName: 'CELERY_CACHE_BACKEND_OPTIONS', later: true },
  couchbase_backend_settings: {
    kind: nullable(object),
    default: null,
    oldName: 'CELERY_COUCHBASE_BACKEND_SETTINGS',
    later: true,
  },
  arangodb_backend_settings: {
    kind: nullable(object),
    default: null,
    oldName: 'CELERY_ARANGODB_BACKEND_SETTINGS',
    later: true,
  },
  mongodb_backend_settings: {
    kind: nullable(object),
    default: null,
    oldName: 'CELERY_MONGODB_BACKEND_SETTINGS',
    later: true,
  },
  cosmosdbsql_database_name: {
    kind: text,
    default: 'celerydb',
    oldName: 'COSMOSDBSQL_DATABASE_NAME',
    later: true,
  },
  cosmosdbsql_collection_name: {
    kind: text,
    default: 'celerycol',
    oldName: 'COSMOSDBSQL_COLLECTION_NAME',
    later: true,
  },
  cosmosdbsql_consistency_level: {
    kind: text,
    default: 'Session',
    oldName: 'COSMOSDBSQL_CONSISTENCY_LEVEL',
    later: true,
  },
  cosmosdbsql_max_retry_attempts: {
    kind: integer(0),
    default: 9,
    oldName: 'COSMOSDBSQL_MAX_RETRY_ATTEMPTS',
    later: true,
  },
  cosmosdbsql_max_retry_wait_time: {
    kind: integer(0),
    default: 30,
    oldName: 'COSMOSDBSQL_MAX_RETRY_WAIT_TIME',
    later: true,
  },
  elasticsearch_retry_on_timeout: {
    kind: nullable(boolean),
    default: null,
    oldName: 'CELERY_ELASTICSEARCH_RETRY_ON_TIMEOUT',
    later: true,
  },
  elasticsearch_max_retries: {
    kind: nullable(integer(0)),
    default: null,
    oldName: 'CELERY_ELASTICSEARCH_MAX_RETRIES',
    later: true,
  },
  elasticsearch_timeout: {
    kind: nullable(seconds),
    default: null,
    oldName: 'CELERY_ELASTICSEARCH_TIMEOUT',
    later: true,
  },
  elasticsearch_save_meta_as_text: {
    kind: boolean,
    default: true,
    oldName: 'CELERY_ELASTICSEARCH_SAVE_META_AS_TEXT',
    later: true,
  },
  dynamodb_endpoint_url: { kind: nullable(text), default: null, oldName: null, later: true },
};
