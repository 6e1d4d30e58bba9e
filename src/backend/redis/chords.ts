import type { Redis } from 'ioredis';
import { SUCCESS } from '../../core/states.ts';
import { isJson } from '../../message/registry.ts';
import { type ChordMember, type ChordPart, decodeMember, encodeMember } from '../chord.ts';
import { CORRECT_SCRIPT, COUNT_SCRIPT } from './chord-script.ts';
import type { RedisConnection } from './connection.ts';
import type { RedisKeys } from './keys.ts';
import type { Persistence } from './persistence.ts';
import { Script } from './script.ts';

/** More members than these are read by another command: the server does nothing else meanwhile. */
const MAX_MEMBERS = 1_000;

const COUNT = new Script(COUNT_SCRIPT);
const CORRECT = new Script(CORRECT_SCRIPT);

export interface ChordsOptions {
  readonly connection: RedisConnection;
  readonly persistence: Persistence;
  readonly keys: RedisKeys;
  readonly serializer: string;
  /** Milliseconds that a count is kept after the last change; 0: for ever. */
  readonly lifetimeMs: number;
  /** `result_chord_ordered`: results in the order of the header, not in that of their ends. */
  readonly ordered: boolean;
}

/** Counts the members of chords, in one count with Celery's own workers. */
export class Chords {
  readonly #options: ChordsOptions;

  constructor(options: ChordsOptions) {
    this.#options = options;
  }

  async start(groupId: string, size: number): Promise<void> {
    const { keys, lifetimeMs } = this.#options;
    const key = keys.chord(groupId).size;
    await this.#run('start a chord', (client) =>
      lifetimeMs > 0 ? client.set(key, size, 'PX', lifetimeMs) : client.set(key, size),
    );
  }

  async grow(groupId: string, members: number): Promise<void> {
    const { keys, lifetimeMs } = this.#options;
    const key = keys.chord(groupId).added;
    await this.#run('add to a chord', async (client) => {
      await client.incrby(key, members);
      if (lifetimeMs > 0) await client.pexpire(key, lifetimeMs);
    });
  }

  /** @returns all members, in their order, if this one was the last @throws {DecodeError} one of them is not to be read */
  async end(part: ChordPart): Promise<readonly ChordMember[] | undefined> {
    const { serializer, lifetimeMs, ordered } = this.#options;
    const place = ordered ? String(part.groupIndex ?? '+inf') : 'list';
    const bytes = encodeMember(part, serializer);
    const args = [String(lifetimeMs), part.taskId, place, bytes, ...beginnings(part.taskId, serializer)];
    const total = await this.#run('count in a chord', (client) =>
      COUNT.run(client, this.#allKeys(part.groupId), args),
    );
    return typeof total === 'number' && total > 0 ? this.#members(part.groupId) : undefined;
  }

  async forget(groupId: string): Promise<void> {
    await this.#run('end a chord', (client) => client.del(...this.#allKeys(groupId)));
  }

  /** Each once; undefined when they were not all there after all. */
  async #members(groupId: string): Promise<readonly ChordMember[] | undefined> {
    const { ordered, serializer } = this.#options;
    for (;;) {
      const found = await this.#read(groupId);
      const members = found.map((bytes) => decodeMember(bytes, serializer));
      const surplus = surplusOf(members).map((index) => found[index] ?? '');
      if (surplus.length === 0) return members;
      const enough = await this.#run('correct a chord', (client) =>
        CORRECT.run(client, this.#allKeys(groupId), [ordered ? 'sorted' : 'list', ...surplus]),
      );
      if (enough !== 1) return undefined;
    }
  }

  async #read(groupId: string): Promise<readonly Buffer[]> {
    const { keys, ordered } = this.#options;
    const key = keys.chord(groupId).members;
    const found: Buffer[] = [];
    for (;;) {
      const [from, to] = [found.length, found.length + MAX_MEMBERS - 1];
      const some = await this.#run('read a chord', (client) =>
        ordered ? client.zrangeBuffer(key, from, String(to)) : client.lrangeBuffer(key, from, to),
      );
      found.push(...some);
      if (some.length < MAX_MEMBERS) return found;
    }
  }

  #allKeys(groupId: string): string[] {
    const { members, added, size, ids, last } = this.#options.keys.chord(groupId);
    return [members, added, size, ids, last];
  }

  #run<T>(what: string, command: (client: Redis) => Promise<T>): Promise<T> {
    const { connection, persistence } = this.#options;
    return persistence.long(() => connection.run(what, command));
  }
}

/** How a member of that id may begin, as Python writes it and as others do; none where only Python could tell. */
function beginnings(taskId: string, serializer: string): string[] {
  if (!isJson(serializer)) return [];
  const id = JSON.stringify(taskId);
  return [`[1, ${id}, "`, `[1,${id},"`];
}

/** Places of those that are there twice; a SUCCESS stays, else the first. */
function surplusOf(members: readonly ChordMember[]): number[] {
  const kept = new Map<string, number>();
  members.forEach(({ taskId, status }, index) => {
    const before = kept.get(taskId);
    if (before === undefined || (status === SUCCESS && members[before]?.status !== SUCCESS))
      kept.set(taskId, index);
  });
  if (kept.size === members.length) return [];
  return members.flatMap(({ taskId }, index) => (kept.get(taskId) === index ? [] : [index]));
}
