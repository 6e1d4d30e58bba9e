import { integer, nullable, seconds, text } from '../kinds.ts';
import type { Table } from '../spec.ts';

/** Object stores as result backends. */
export interface ObjectStoreSettings {
  /**
   * AWS key id for S3 results.
   *
   * @defaultValue `null`
   */
  s3_access_key_id: string | null;
  /**
   * AWS secret for S3 results.
   *
   * @defaultValue `null`
   */
  s3_secret_access_key: string | null;
  /**
   * Bucket receiving result objects.
   *
   * @defaultValue `null`
   */
  s3_bucket: string | null;
  /**
   * Key prefix inside the bucket.
   *
   * @defaultValue `null`
   */
  s3_base_path: string | null;
  /**
   * Custom endpoint of S3-compatible store.
   *
   * @defaultValue `null`
   */
  s3_endpoint_url: string | null;
  /**
   * AWS region name.
   *
   * @defaultValue `null`
   */
  s3_region: string | null;
  /**
   * Blob container for results.
   *
   * @defaultValue `'celery'`
   */
  azureblockblob_container_name: string;
  /**
   * First retry delay, seconds.
   *
   * @defaultValue `2`
   */
  azureblockblob_retry_initial_backoff_sec: number;
  /**
   * Base used to grow retry delay.
   *
   * @defaultValue `2`
   */
  azureblockblob_retry_increment_base: number;
  /**
   * Retry attempts for blob calls.
   *
   * @defaultValue `3`
   */
  azureblockblob_retry_max_attempts: number;
  /**
   * Blob name prefix.
   *
   * @defaultValue `''`
   */
  azureblockblob_base_path: string;
  /**
   * Connect timeout seconds.
   *
   * @defaultValue `20`
   */
  azureblockblob_connection_timeout: number;
  /**
   * Read timeout seconds.
   *
   * @defaultValue `120`
   */
  azureblockblob_read_timeout: number;
  /**
   * Google bucket for results.
   *
   * @defaultValue `null`
   */
  gcs_bucket: string | null;
  /**
   * Google project id.
   *
   * @defaultValue `null`
   */
  gcs_project: string | null;
  /**
   * Object name prefix.
   *
   * @defaultValue `''`
   */
  gcs_base_path: string;
  /**
   * Object lifetime seconds through bucket rule; 0 = none.
   *
   * @defaultValue `0`
   */
  gcs_ttl: number;
  /**
   * Threads used for bulk object access.
   *
   * @defaultValue `10`
   */
  gcs_threadpool_maxsize: number;
  /**
   * Project for chord counters; defaults to gcs_project.
   *
   * @defaultValue `null`
   */
  firestore_project: string | null;
}

export const objectStoreTable: Table<ObjectStoreSettings> = {
  s3_access_key_id: { kind: nullable(text), default: null, oldName: 'S3_ACCESS_KEY_ID', later: true },
  s3_secret_access_key: { kind: nullable(text), default: null, oldName: 'S3_SECRET_ACCESS_KEY', later: true },
  s3_bucket: { kind: nullable(text), default: null, oldName: 'S3_BUCKET', later: true },
  s3_base_path: { kind: nullable(text), default: null, oldName: 'S3_BASE_PATH', later: true },
  s3_endpoint_url: { kind: nullable(text), default: null, oldName: 'S3_ENDPOINT_URL', later: true },
  s3_region: { kind: nullable(text), default: null, oldName: 'S3_REGION', later: true },
  azureblockblob_container_name: {
    kind: text,
    default: 'celery',
    oldName: 'AZUREBLOCKBLOB_CONTAINER_NAME',
    later: true,
  },
  azureblockblob_retry_initial_backoff_sec: {
    kind: integer(0),
    default: 2,
    oldName: 'AZUREBLOCKBLOB_RETRY_INITIAL_BACKOFF_SEC',
    later: true,
  },
  azureblockblob_retry_increment_base: {
    kind: integer(0),
    default: 2,
    oldName: 'AZUREBLOCKBLOB_RETRY_INCREMENT_BASE',
    later: true,
  },
  azureblockblob_retry_max_attempts: {
    kind: integer(0),
    default: 3,
    oldName: 'AZUREBLOCKBLOB_RETRY_MAX_ATTEMPTS',
    later: true,
  },
  azureblockblob_base_path: { kind: text, default: '', oldName: 'AZUREBLOCKBLOB_BASE_PATH', later: true },
  azureblockblob_connection_timeout: {
    kind: integer(0),
    default: 20,
    oldName: 'AZUREBLOCKBLOB_CONNECTION_TIMEOUT',
    later: true,
  },
  azureblockblob_read_timeout: {
    kind: integer(0),
    default: 120,
    oldName: 'AZUREBLOCKBLOB_READ_TIMEOUT',
    later: true,
  },
  gcs_bucket: { kind: nullable(text), default: null, oldName: 'GCS_BUCKET', since: '5.4', later: true },
  gcs_project: { kind: nullable(text), default: null, oldName: 'GCS_PROJECT', since: '5.4', later: true },
  gcs_base_path: { kind: text, default: '', oldName: 'GCS_BASE_PATH', since: '5.4', later: true },
  gcs_ttl: { kind: seconds, default: 0, oldName: 'GCS_TTL', since: '5.4', later: true },
  gcs_threadpool_maxsize: { kind: integer(0), default: 10, oldName: null, since: '5.4', later: true },
  firestore_project: { kind: nullable(text), default: null, oldName: null, since: '5.5', later: true },
};
