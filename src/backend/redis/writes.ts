import type { Redis } from 'ioredis';
import { type Deferred, deferred } from '../../core/async.ts';
import { BackendError, BackendStoreError } from '../../core/errors.ts';
import type { RedisConnection } from './connection.ts';
import { isPassing, type Persistence, replyError } from './persistence.ts';
import { Script } from './script.ts';
import { FORCE, GUARD, STORE_SCRIPT, UNREADABLE } from './store-script.ts';

/** More documents than these, or more bytes, are for another command: the server does nothing else meanwhile. */
const MAX_DOCUMENTS = 256;
const MAX_BYTES = 1_000_000;
/** The longest string that Redis keeps. */
const MAX_DOCUMENT_BYTES = 536_870_912;
/** How long closing waits for the server's last answers. */
const CLOSE_MS = 3_000;

const STORE = new Script(STORE_SCRIPT);

interface Write {
  readonly key: string;
  readonly document: Buffer;
}

interface Waiting extends Write {
  readonly done: Deferred<void>;
}

export interface WritesOptions {
  readonly connection: RedisConnection;
  readonly persistence: Persistence;
  /** Milliseconds that documents are kept; 0: for ever. */
  readonly lifetimeMs: number;
  /** Whether this, which the script could not read, is a SUCCESS. */
  isSuccess(document: Buffer): boolean;
}

/** Stores documents; all those of one turn of the event loop in one command. */
export class Writes {
  readonly #options: WritesOptions;
  readonly #underWay = new Set<Promise<void>>();
  #waiting: Waiting[] = [];
  #turn: NodeJS.Immediate | undefined;
  #closed: BackendError | undefined;

  constructor(options: WritesOptions) {
    this.#options = options;
  }

  /**
   * Stores a document, unless a SUCCESS is there, and publishes it.
   * @throws {BackendStoreError} it is too large, or the server does not take it
   */
  store(key: string, document: Buffer): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (document.length > MAX_DOCUMENT_BYTES) {
      const size = `it is ${String(document.length)} bytes, and Redis keeps no more than 512 MB under one key`;
      return Promise.reject(new BackendStoreError(`${key} was not stored: ${size}`));
    }
    const done: Deferred<void> = deferred();
    this.#waiting.push({ key, document, done });
    this.#turn ??= setImmediate(() => this.#flush());
    return done.promise;
  }

  /** The same, whatever is there. */
  async overwrite(key: string, document: Buffer): Promise<void> {
    if (this.#closed) throw this.#closed;
    const { connection, persistence } = this.#options;
    const run = (client: Redis): Promise<readonly unknown[]> => this.#run(client, [{ key, document }], FORCE);
    try {
      const [outcome] = await persistence.long(() => connection.run('store', run));
      if (typeof outcome === 'string') throw replyError(outcome);
    } catch (cause) {
      throw notStored(key, cause);
    }
  }

  /** Refuses what comes from now on; what was taken is given a few seconds to be stored. */
  async close(error: BackendError): Promise<void> {
    if (this.#closed) return;
    this.#flush();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
    const sent = Promise.all(this.#underWay);
    this.#closed = error;
    await Promise.race([sent, late]);
    clearTimeout(timer);
  }

  #flush(): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    const writes = this.#waiting;
    this.#waiting = [];
    for (let start = 0; start < writes.length;) {
      const end = endOfBatch(writes, start);
      const sending = this.#send(writes.slice(start, end));
      this.#underWay.add(sending);
      void sending.then(() => this.#underWay.delete(sending));
      start = end;
    }
  }

  /** Never rejects: each write is told what became of it. */
  async #send(batch: readonly Waiting[]): Promise<void> {
    const { connection, persistence } = this.#options;
    const unreadable: Waiting[] = [];
    let rest = batch;
    try {
      await persistence.long(async () => {
        const outcomes = await connection.run('store', (client) => this.#run(client, rest, GUARD));
        const problem = outcomes.find(isPassing);
        rest = rest.filter((write, index) => !settled(write, outcomes[index], unreadable));
        if (problem !== undefined) throw replyError(problem);
      });
    } catch (cause) {
      for (const { key, done } of rest) done.reject(notStored(key, cause));
    }
    for (const write of unreadable) await this.#look(write);
  }

  async #run(client: Redis, batch: readonly Write[], mode: string): Promise<readonly unknown[]> {
    const keys = batch.map(({ key }) => key);
    const documents = batch.map(({ document }) => document);
    const outcomes = await STORE.run(client, keys, [this.#options.lifetimeMs, mode, ...documents]);
    // A server that became a replica stays one: find the master.
    const texts = (outcomes as readonly unknown[]).filter((outcome) => typeof outcome === 'string');
    if (texts.some((text) => text.startsWith('READONLY'))) client.disconnect();
    return outcomes as readonly unknown[];
  }

  /** What is there was not written by a serializer that the script reads, or not by Celery at all. */
  async #look({ key, document, done }: Waiting): Promise<void> {
    const { connection, persistence } = this.#options;
    try {
      const before = await persistence.long(() => connection.run('read', (client) => client.getBuffer(key)));
      if (before === null || !this.#options.isSuccess(before)) await this.overwrite(key, document);
      done.resolve();
    } catch (cause) {
      done.reject(notStored(key, cause));
    }
  }
}

/** Tells a write what became of it, unless it is to be tried again. */
function settled(write: Waiting, outcome: unknown, unreadable: Waiting[]): boolean {
  if (isPassing(outcome)) return false;
  if (outcome === UNREADABLE) unreadable.push(write);
  else if (typeof outcome === 'string') write.done.reject(notStored(write.key, replyError(outcome)));
  else write.done.resolve();
  return true;
}

function endOfBatch(writes: readonly Write[], start: number): number {
  let bytes = 0;
  let end = start;
  while (end < writes.length && end - start < MAX_DOCUMENTS && (end === start || bytes < MAX_BYTES)) {
    bytes += writes[end]?.document.length ?? 0;
    end += 1;
  }
  return end;
}

function notStored(key: string, cause: unknown): Error {
  if (cause instanceof BackendError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BackendStoreError(`${key} was not stored: ${why}`, { cause });
}
