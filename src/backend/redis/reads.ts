import { type Deferred, deferred } from '../../core/async.ts';
import type { RedisConnection } from './connection.ts';
import type { Persistence } from './persistence.ts';

/** More keys than these are for another command. */
const MAX_KEYS = 256;

interface Read {
  readonly key: string;
  readonly done: Deferred<Buffer | undefined>;
}

/** Reads documents; all those of one turn of the event loop in one command. */
export class Reads {
  readonly #connection: RedisConnection;
  readonly #persistence: Persistence;
  #waiting: Read[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor(connection: RedisConnection, persistence: Persistence) {
    this.#connection = connection;
    this.#persistence = persistence;
  }

  /** What is under a key, or undefined. @throws {OperationalError} */
  get(key: string): Promise<Buffer | undefined> {
    const done: Deferred<Buffer | undefined> = deferred();
    this.#waiting.push({ key, done });
    this.#turn ??= setImmediate(() => this.#flush());
    return done.promise;
  }

  #flush(): void {
    this.#turn = undefined;
    const reads = this.#waiting;
    this.#waiting = [];
    for (let start = 0; start < reads.length; start += MAX_KEYS) {
      void this.#send(reads.slice(start, start + MAX_KEYS));
    }
  }

  async #send(batch: readonly Read[]): Promise<void> {
    const keys = batch.map(({ key }) => key);
    try {
      const found = await this.#persistence.short(() =>
        this.#connection.run('read', (client) => client.mgetBuffer(keys)),
      );
      batch.forEach(({ done }, index) => done.resolve(found[index] ?? undefined));
    } catch (error) {
      for (const { done } of batch) done.reject(error);
    }
  }
}
