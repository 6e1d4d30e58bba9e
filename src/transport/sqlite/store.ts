import { OperationalError } from '../../core/errors.ts';
import { newTaskId } from '../../core/task-id.ts';
import { encodeEnvelope } from '../../message/envelope-json.ts';
import { decodeStored } from '../virtual/stored.ts';
import type { Envelope } from '../../message/message.ts';
import type { Database } from '../../sqlite/driver.ts';
import type { SqliteFile } from '../../sqlite/file.ts';
import type { Binding } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import type { MessageStore, StoredTopology, Subscription, TakenMessage, Taking } from '../virtual/store.ts';
import { expiresAtOf, fairShares, TAKE_AT_MOST } from '../virtual/taking.ts';
import { type ClaimedRow, MessageTables } from './message-tables.ts';
import { isAlive, newOwner, type Owner, ownerLeft, RENEW_MS } from './owner.ts';
import type { TableNames } from './schema.ts';
import { TopologyTables } from './topology-tables.ts';

/** Milliseconds between looks for holders that died. */
const RECOVER_MS = 500;
const SWEEP_MS = 60_000;

// What only moves messages need not survive a loss of power: at worst a message is delivered once more. It waits for a lock or
// for space as long as it takes, for an ack that is given up is a task that runs twice.
const MOVE = { durable: false, wakes: false, patient: true } as const;
const GIVE_BACK = { durable: false, patient: true } as const;

/** One connection's view of the broker tables in a file. */
export class SqliteStore implements MessageStore {
  readonly closed: Promise<Error | undefined>;
  readonly #file: SqliteFile;
  readonly #topology: TopologyTables;
  readonly #messages: MessageTables;
  readonly #owner: Owner = newOwner();
  readonly #consumers = new Map<string, number>();
  /** Renews the leases; runs once we may hold something. */
  #renewal: NodeJS.Timeout | undefined;
  #recovery: NodeJS.Timeout | undefined;
  #listeners = 0;
  #sweptAt = Date.now();
  #lost = false;

  constructor(file: SqliteFile, names: TableNames) {
    this.#file = file;
    this.#topology = new TopologyTables(names);
    this.#messages = new MessageTables(names);
    this.closed = file.closed.then((error) => {
      this.#lost = error !== undefined;
      this.#stopTimers();
      ownerLeft(this.#owner);
      return error;
    });
  }

  async declareExchange(exchange: Exchange): Promise<void> {
    if (await this.#file.read((database) => this.#topology.isExchangeDeclared(database, exchange))) return;
    await this.#write((database) => this.#topology.declareExchange(database, exchange));
  }

  async declareQueue(queue: Queue): Promise<void> {
    if (await this.#file.read((database) => this.#topology.isDeclared(database, queue))) return;
    const temporary = queue.exclusive || queue.autoDelete;
    await this.#write((database) => {
      this.#topology.declareQueue(database, queue, this.#owner.id);
      if (temporary) this.#messages.renew(database, this.#owner);
    }, !temporary);
    if (temporary) this.#startRenewal();
  }

  async deleteQueue(name: string): Promise<void> {
    await this.#write((database) => this.#topology.deleteQueue(database, name), false);
  }

  /** A refusal is a value inside the transaction, so that it does not undo what others write in it. */
  async #write(change: (database: Database) => void, durable = true): Promise<void> {
    const refusal = await this.#file.write(
      (database) => {
        try {
          change(database);
          return undefined;
        } catch (error) {
          if (error instanceof OperationalError) return error;
          throw error;
        }
      },
      { durable },
    );
    if (refusal) throw refusal;
  }

  async publish(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean> {
    const payload = encodeEnvelope(envelope, { exchange, routingKey, deliveryTag: newTaskId() });
    const priority = Math.max(0, Math.trunc(envelope.properties.priority ?? 0));
    const message = { payload, priority, expiresAt: expiresAtOf(envelope) };
    const taken = await this.#file.write(
      (database) => {
        const targets = this.#topology.targets(database, exchange, routingKey);
        for (const target of targets ?? []) this.#messages.insert(database, message, target);
        return targets?.length;
      },
      { durable: envelope.properties.deliveryMode !== 1 },
    );
    if (taken === undefined) throw new OperationalError(`there is no exchange '${exchange}' to publish to`);
    return taken > 0;
  }

  topology(): Promise<StoredTopology> {
    return this.#file.read((database) => this.#topology.all(database));
  }

  unbind(binding: Binding): Promise<void> {
    return this.#write((database) => this.#topology.unbind(database, binding));
  }

  deleteExchange(name: string): Promise<void> {
    return this.#write((database) => this.#topology.deleteExchange(database, name));
  }

  size(queue: string): Promise<number> {
    return this.#file.read((database) => {
      const id = this.#topology.queueId(database, queue);
      return id === undefined ? 0 : this.#messages.size(database, id);
    });
  }

  purge(queue: string): Promise<number> {
    return this.#file.write((database) => {
      const id = this.#topology.queueId(database, queue);
      return id === undefined ? 0 : this.#messages.purge(database, id);
    });
  }

  async take(from: readonly Subscription[], room: number, limit = TAKE_AT_MOST): Promise<Taking> {
    // To look first costs no lock, which most looks of an idle worker need not wait for; a transaction that runs anyway does
    // not cost more with us in it.
    if (!this.#file.writing) {
      const found = await this.#file.read((database) => this.#look(database, from));
      if (found.waiting.length === 0) return { messages: [], gone: found.gone };
    }
    const { claimed, gone } = await this.#file.write(
      (database) => this.#claim(database, from, { room, limit }),
      MOVE,
    );
    if (claimed.length > 0) this.#startRenewal();
    return { messages: claimed.map(({ row, of }) => taken(row, of)), gone };
  }

  #look(database: Database, from: readonly Subscription[]) {
    const waiting: { readonly subscription: Subscription; readonly queueId: number }[] = [];
    const gone: string[] = [];
    for (const subscription of from) {
      const queueId = this.#topology.queueId(database, subscription.queue);
      if (queueId === undefined) gone.push(subscription.queue);
      else if (this.#messages.isWaiting(database, queueId)) waiting.push({ subscription, queueId });
    }
    return { waiting, gone };
  }

  #claim(database: Database, from: readonly Subscription[], most: { room: number; limit: number }) {
    const { waiting, gone } = this.#look(database, from);
    const claimed: { readonly row: ClaimedRow; readonly of: Subscription }[] = [];
    const ids = new Map(waiting.map(({ subscription, queueId }) => [subscription, queueId]));
    fairShares([...ids.keys()], most, (of, atMost) => {
      const queueId = ids.get(of) ?? 0;
      const owner = of.noAck ? undefined : this.#owner;
      const rows = this.#messages.claim(database, queueId, atMost, owner);
      for (const row of rows) claimed.push({ row, of });
      return rows.length;
    });
    return { claimed, gone };
  }

  ack(tag: number): Promise<void> {
    return this.#file.write((database) => this.#messages.ack(database, tag, this.#owner), MOVE);
  }

  requeue(tags: readonly number[]): Promise<void> {
    return this.#file.write((database) => this.#messages.restore(database, tags, this.#owner), GIVE_BACK);
  }

  consumerStarted({ name }: Queue): Promise<void> {
    this.#consumers.set(name, (this.#consumers.get(name) ?? 0) + 1);
    return Promise.resolve();
  }

  async consumerStopped({ name, autoDelete }: Queue): Promise<void> {
    const left = (this.#consumers.get(name) ?? 1) - 1;
    this.#consumers.set(name, left);
    if (left > 0) return;
    this.#consumers.delete(name);
    if (!autoDelete) return;
    await this.#write((database) => this.#topology.deleteQueuesOf(database, this.#owner.id, name), false);
  }

  onMessage(listener: () => void): Disposable {
    const listening = this.#file.onChange(listener);
    this.#listeners += 1;
    if (this.#recovery === undefined) {
      this.#recover();
      this.#recovery = setInterval(() => this.#recover(), RECOVER_MS);
    }
    return {
      [Symbol.dispose]: () => {
        listening[Symbol.dispose]();
        this.#listeners -= 1;
        if (this.#listeners > 0) return;
        clearInterval(this.#recovery);
        this.#recovery = undefined;
      },
    };
  }

  #startRenewal(): void {
    if (this.#renewal !== undefined || this.#lost) return;
    const renew = (): void => {
      this.#quietly(this.#file.write((database) => this.#messages.renew(database, this.#owner), MOVE));
    };
    this.#renewal = setInterval(renew, RENEW_MS);
    // Who waits for messages keeps the process alive, not the wish to hold on to some.
    this.#renewal.unref();
  }

  /** Gives back what processes hold that died, and clears up now and then. */
  #recover(): void {
    this.#quietly(this.#restoreDead());
    if (Date.now() - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = Date.now();
    this.#quietly(this.#sweep());
  }

  async #restoreDead(): Promise<void> {
    const now = Date.now();
    const owners = await this.#file.read((database) => this.#messages.owners(database));
    const dead = owners.filter((owner) => !isAlive(owner, now)).map(({ id }) => String(id));
    if (dead.length === 0) return;
    await this.#file.write((database) => {
      for (const id of dead) this.#removeOwner(database, id);
    }, GIVE_BACK);
  }

  #removeOwner(database: Database, id: string): void {
    this.#topology.deleteQueuesOf(database, id);
    this.#messages.removeOwner(database, id);
  }

  async #sweep(): Promise<void> {
    if (!(await this.#file.read((database) => this.#messages.isLittered(database)))) return;
    await this.#file.write((database) => this.#messages.sweep(database), MOVE);
  }

  /** For what a timer does: it is repeated soon, and a broken file is told of by `closed`. */
  #quietly(work: Promise<unknown>): void {
    work.catch(() => undefined);
  }

  #stopTimers(): void {
    clearInterval(this.#renewal);
    clearInterval(this.#recovery);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopTimers();
    try {
      if (!this.#lost) await this.#leave();
    } finally {
      await this.#file[Symbol.asyncDispose]();
    }
  }

  async #leave(): Promise<void> {
    const id = this.#owner.id;
    const known = await this.#file.read((database) => this.#messages.owners(database));
    if (!known.some((row) => row.id === id)) return;
    await this.#file.write((database) => this.#removeOwner(database, id), GIVE_BACK);
  }
}

function taken({ id, payload, redelivered }: ClaimedRow, { queue, noAck }: Subscription): TakenMessage {
  const decoded = decodeStored(payload);
  return { ...decoded, tag: id, queue, noAck, redelivered: redelivered || decoded.redelivered };
}
