import { ImproperlyConfigured } from '../../core/errors.ts';
import { maskUrl, parseUrl } from '../../core/url.ts';
import { openSqliteFile } from '../../sqlite/file.ts';
import { databasePath } from '../../sqlite/url.ts';
import type { Capabilities, Connection, Transport } from '../transport.ts';
import { VirtualConnection } from '../virtual/connection.ts';
import { createSchema, hasSchema, type TableNames, tableNames } from './schema.ts';
import { SqliteStore } from './store.ts';

/** What the SQLite broker reads of a connection's options. */
export interface SqliteTransportOptions {
  /**
   * `broker_transport_options`: `queue_tablename` and `message_tablename` as for kombu; `polling_interval`, seconds between looks
   * for messages of other processes, for file systems that report no changes (default: the system's file events).
   */
  readonly transportOptions: Readonly<Record<string, unknown>>;
}

/**
 * The broker in a file: `sqlite:///relative.db`, `sqlite:////absolute.db`; also `sqla+sqlite:///`, as Python writes it.
 *
 * Opens nothing: `connect` does, and creates the file when it is missing.
 *
 * @throws {ImproperlyConfigured} the URL or an option cannot be used
 */
export function sqliteTransport(url: string, options: SqliteTransportOptions): Transport {
  return new SqliteTransport(url, options);
}

class SqliteTransport implements Transport {
  readonly scheme: string;
  readonly url: string;
  readonly can: Capabilities = {
    fanout: true,
    priority: true,
    expiration: true,
    shared: true,
    largestWindow: Infinity,
  };
  readonly #path: string;
  readonly #names: TableNames;
  readonly #pollMs: number | undefined;

  constructor(url: string, { transportOptions }: SqliteTransportOptions) {
    this.scheme = parseUrl(url).scheme;
    this.url = maskUrl(url);
    this.#path = databasePath(url);
    this.#names = tableNames(transportOptions);
    this.#pollMs = pollMsOf(transportOptions);
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    const file = await openSqliteFile(this.#path, { signal, pollMs: this.#pollMs });
    try {
      if (!(await file.read((database) => hasSchema(database, this.#names)))) {
        await file.write((database) => createSchema(database, this.#names));
      }
      signal.throwIfAborted();
      return new VirtualConnection(new SqliteStore(file, this.#names));
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
  }
}

function pollMsOf({ polling_interval: seconds }: Readonly<Record<string, unknown>>): number | undefined {
  if (seconds === undefined || seconds === null) return undefined;
  if (typeof seconds === 'number' && seconds > 0) return seconds * 1000;
  throw new ImproperlyConfigured(
    `broker_transport_options.polling_interval takes a number of seconds above 0, not ${JSON.stringify(seconds)}`,
  );
}
