import { OperationalError } from '../../core/errors.ts';
import type { Database } from '../../sqlite/driver.ts';
import type { Binding } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import { checkExchangeType, route } from '../virtual/routing.ts';
import type { StoredTopology } from '../virtual/store.ts';
import type { TableNames } from './schema.ts';

/** Where a message goes: a queue's row, and how long the queue keeps messages. */
export interface Target {
  readonly queueId: number;
  readonly ttlMs: number | null;
}

/** Queues, exchanges and bindings in their tables; each call runs in a transaction of its caller. */
export class TopologyTables {
  readonly #names: TableNames;
  readonly #queueId: string;
  readonly #exchangeType: string;
  readonly #bindings: string;
  readonly #ttl: string;

  constructor(names: TableNames) {
    this.#names = names;
    this.#queueId = `SELECT id FROM ${names.queue} WHERE name = ?`;
    this.#exchangeType = `SELECT type FROM ${names.own}exchange WHERE name = ?`;
    this.#bindings = `SELECT routing_key, queue FROM ${names.own}binding WHERE exchange = ?`;
    this.#ttl = `SELECT message_ttl_ms FROM ${names.own}queue WHERE name = ?`;
  }

  queueId(database: Database, name: string): number | undefined {
    const row = database.prepare(this.#queueId).get(name);
    return row && Number(row.id);
  }

  /** Whether declaring would change nothing, so that no lock needs to be waited for. */
  isDeclared(database: Database, queue: Queue): boolean {
    if (queue.exclusive || queue.autoDelete || ttlOf(queue) !== null) return false;
    const known = `SELECT 1 FROM ${this.#names.own}binding WHERE exchange = ? AND routing_key = ? AND queue = ?`;
    return (
      this.queueId(database, queue.name) !== undefined &&
      bindingsOf(queue).every(
        ({ exchange, routingKey }) =>
          this.isExchangeDeclared(database, exchange) &&
          database.prepare(known).get(exchange.name, routingKey, queue.name) !== undefined,
      )
    );
  }

  isExchangeDeclared(database: Database, { name, type }: Exchange): boolean {
    return database.prepare(this.#exchangeType).get(name)?.type === type;
  }

  declareExchange(database: Database, { name, type }: Exchange): void {
    checkExchangeType(name, type);
    const known = database.prepare(this.#exchangeType).get(name)?.type;
    if (known !== undefined && known !== type) {
      throw new OperationalError(`exchange '${name}' exists with type '${String(known)}', not '${type}'`);
    }
    if (known !== undefined) return;
    database.prepare(`INSERT INTO ${this.#names.own}exchange (name, type) VALUES (?, ?)`).run(name, type);
  }

  /** @param owner whom the queue ends with, when it is exclusive or auto-delete */
  declareQueue(database: Database, queue: Queue, owner: string): void {
    const { queue: table, own } = this.#names;
    database.prepare(`INSERT OR IGNORE INTO ${table} (name) VALUES (?)`).run(queue.name);
    const temporary = queue.exclusive || queue.autoDelete;
    const ttlMs = ttlOf(queue);
    if (temporary || ttlMs !== null) {
      database
        .prepare(`INSERT OR REPLACE INTO ${own}queue (name, owner, message_ttl_ms) VALUES (?, ?, ?)`)
        .run(queue.name, temporary ? owner : null, ttlMs);
    }
    for (const { exchange, routingKey } of bindingsOf(queue)) {
      if (exchange.noDeclare !== true) this.declareExchange(database, exchange);
      database
        .prepare(`INSERT OR IGNORE INTO ${own}binding (exchange, routing_key, queue) VALUES (?, ?, ?)`)
        .run(exchange.name, routingKey, queue.name);
    }
  }

  deleteQueue(database: Database, name: string): void {
    const id = this.queueId(database, name);
    if (id === undefined) return;
    const { queue, message, own } = this.#names;
    const messages = `(SELECT id FROM ${message} WHERE queue_id = ?)`;
    database.prepare(`DELETE FROM ${own}lease WHERE message_id IN ${messages}`).run(id);
    database.prepare(`DELETE FROM ${own}message WHERE message_id IN ${messages}`).run(id);
    database.prepare(`DELETE FROM ${message} WHERE queue_id = ?`).run(id);
    database.prepare(`DELETE FROM ${own}binding WHERE queue = ?`).run(name);
    database.prepare(`DELETE FROM ${own}queue WHERE name = ?`).run(name);
    database.prepare(`DELETE FROM ${queue} WHERE id = ?`).run(id);
  }

  /** Deletes the queues that were to end with their owner, or one of them. */
  deleteQueuesOf(database: Database, owner: string, only?: string): void {
    const rows = database.prepare(`SELECT name FROM ${this.#names.own}queue WHERE owner = ?`).all(owner);
    for (const { name } of rows) {
      if (only === undefined || only === name) this.deleteQueue(database, String(name));
    }
  }

  /** The queues that a message reaches; undefined when its exchange does not exist. */
  targets(database: Database, exchange: string, routingKey: string): Target[] | undefined {
    if (exchange === '') return this.#target(database, routingKey);
    const type = database.prepare(this.#exchangeType).get(exchange)?.type;
    if (type === undefined) return undefined;
    const rows = database.prepare(this.#bindings).all(exchange);
    const bindings = rows.map((row) => ({ routingKey: String(row.routing_key), queue: String(row.queue) }));
    return [...route(String(type), bindings, routingKey)].flatMap((name) => this.#target(database, name));
  }

  all(database: Database): StoredTopology {
    const { queue, own } = this.#names;
    const rows = (sql: string) => database.prepare(sql).all();
    return {
      exchanges: new Map(
        rows(`SELECT name, type FROM ${own}exchange`).map((row) => [String(row.name), String(row.type)]),
      ),
      queues: new Set(rows(`SELECT name FROM ${queue}`).map((row) => String(row.name))),
      bindings: rows(`SELECT exchange, routing_key, queue FROM ${own}binding`).map((row) => ({
        exchange: String(row.exchange),
        routingKey: String(row.routing_key),
        queue: String(row.queue),
      })),
    };
  }

  unbind(database: Database, { exchange, routingKey, queue }: Binding): void {
    database
      .prepare(`DELETE FROM ${this.#names.own}binding WHERE exchange = ? AND routing_key = ? AND queue = ?`)
      .run(exchange, routingKey, queue);
  }

  deleteExchange(database: Database, name: string): void {
    database.prepare(`DELETE FROM ${this.#names.own}binding WHERE exchange = ?`).run(name);
    database.prepare(`DELETE FROM ${this.#names.own}exchange WHERE name = ?`).run(name);
  }

  #target(database: Database, name: string): Target[] {
    const queueId = this.queueId(database, name);
    if (queueId === undefined) return [];
    const ttl = database.prepare(this.#ttl).get(name)?.message_ttl_ms;
    return [{ queueId, ttlMs: typeof ttl === 'number' ? ttl : null }];
  }
}

function ttlOf(queue: Queue): number | null {
  const ttl = queue.arguments?.['x-message-ttl'];
  return typeof ttl === 'number' ? Math.floor(ttl) : null;
}

function bindingsOf(queue: Queue): { readonly exchange: Exchange; readonly routingKey: string }[] {
  const first = queue.exchange ? [{ exchange: queue.exchange, routingKey: queue.routingKey }] : [];
  // Every queue is bound to the default exchange by its name already.
  return [...first, ...(queue.bindings ?? [])].filter(({ exchange }) => exchange.name !== '');
}
