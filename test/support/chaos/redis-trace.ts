import { Redis } from 'ioredis';

/** A message put back comes right after its record was deleted: one script, or one transaction. */
const PUT_BACK_WITHIN_MS = 200;

interface Fate {
  pushed: number;
  taken: number;
  /** Records deleted for good. */
  acked: number;
  deletedMs: number | undefined;
  last: 'pushed' | 'taken' | 'deleted';
}

/** Follows every message through a Redis by what the server itself tells (MONITOR). */
export class RedisTrace implements AsyncDisposable {
  readonly #client: Redis;
  readonly #monitor: Redis;
  readonly #queue: string;
  readonly #fates = new Map<string, Fate>();
  readonly #ids = new Map<string, string>();
  /** Messages that were taken although they had been acknowledged, and were sent once only. */
  readonly takenAfterAck = new Set<string>();
  restored = 0;

  private constructor(client: Redis, monitor: Redis, queue: string) {
    this.#client = client;
    this.#monitor = monitor;
    this.#queue = queue;
    monitor.on('monitor', (time: string, args: string[]) => this.#note(Number(time) * 1000, args));
  }

  static async of(url: string, queue: string): Promise<RedisTrace> {
    const client = new Redis(url);
    return new RedisTrace(client, await client.monitor(), queue);
  }

  /** Messages that somebody popped, and that are recorded nowhere: kombu does this in two steps, we in one. */
  poppedUnrecorded(ids: Iterable<string>): string[] {
    return [...ids].filter((id) => this.#fates.get(id)?.last === 'pushed');
  }

  /** For a message of a failure. */
  describe(id: string): string {
    return `${id}: ${JSON.stringify(this.#fates.get(id))}`;
  }

  #note(atMs: number, [command = '', key = '', ...args]: readonly string[]): void {
    switch (command.toUpperCase()) {
      case 'LPUSH':
      case 'RPUSH':
        if (key.startsWith(this.#queue)) for (const text of args) this.#pushed(atMs, idOf(text));
        return;
      case 'HSET':
      case 'HSETNX':
        if (key === 'unacked') this.#taken(args[0] ?? '', idOf(args[1] ?? ''));
        return;
      case 'HDEL':
        if (key === 'unacked') for (const tag of args) this.#deleted(atMs, this.#ids.get(tag));
        return;
      default:
    }
  }

  #pushed(atMs: number, id: string | undefined): void {
    if (id === undefined) return;
    const fate = this.#fates.get(id);
    if (fate === undefined) {
      this.#fates.set(id, { pushed: 1, taken: 0, acked: 0, deletedMs: undefined, last: 'pushed' });
      return;
    }
    if (fate.deletedMs !== undefined && atMs - fate.deletedMs < PUT_BACK_WITHIN_MS) {
      fate.acked -= 1;
      fate.deletedMs = undefined;
      this.restored += 1;
    } else fate.pushed += 1;
    fate.last = 'pushed';
  }

  #taken(tag: string, id: string | undefined): void {
    if (id === undefined) return;
    this.#ids.set(tag, id);
    const fate = this.#fates.get(id);
    if (fate === undefined) return;
    fate.taken += 1;
    if (fate.acked > 0 && fate.pushed === 1) this.takenAfterAck.add(id);
    fate.last = 'taken';
  }

  #deleted(atMs: number, id: string | undefined): void {
    const fate = id === undefined ? undefined : this.#fates.get(id);
    if (fate === undefined || fate.last !== 'taken') return;
    fate.acked += 1;
    fate.deletedMs = atMs;
    fate.last = 'deleted';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#monitor.disconnect();
    this.#client.disconnect();
    return Promise.resolve();
  }
}

function idOf(text: string): string | undefined {
  return /"id\\?": ?\\?"(storm-\d+)/.exec(text)?.[1];
}
