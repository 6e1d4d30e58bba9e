import { type Deferred, deferred } from '../../core/async.ts';
import { Gathering } from '../../core/gathering.ts';
import { newTaskId } from '../../core/task-id.ts';
import type { RedisLink } from '../../redis/open.ts';
import type { Bindings } from './bindings.ts';
import type { Keys } from './keys.ts';
import type { RedisOptions } from './options.ts';
import { markRedelivered, priorityOf, readRecord } from './records.ts';
import { ACK, FIND_ABANDONED, FIND_HELD, FIND_LAPSED, PUT_BACK, RENEW, runScript } from './scripts.ts';

/** More acks at once save nothing any more. */
const ENOUGH = 32;
/** A script takes so many tags at once: Lua's `unpack` has an end, and nobody else should wait long. */
const BATCH = 1_000;
/** Records that are read at once: they may be large. */
const FIND_AT_ONCE = 50;
const LAPSED_AT_ONCE = 5_000;
const RENEW_AT_LEAST_MS = 30_000;
const RECOVER_AT_LEAST_MS = 10_000;

export interface HeldMessage {
  readonly tag: string;
  /** Proves that it is still ours: nobody else writes the same. */
  score: string;
  /** The list it came from. */
  readonly list: string;
}

/** What a lost connection held. */
export interface Leftover {
  readonly messages: readonly HeldMessage[];
  /** Acknowledged, but perhaps never heard of by the server. */
  readonly acked: readonly HeldMessage[];
  /** The key with the scores that it gave lately: the answers to some scripts were perhaps lost with it. */
  readonly receipts: string;
}

/**
 * The messages that this connection holds, and what becomes of those of others who died.
 *
 * The keys are shared with Python workers, which score a message in kombu's index with the time when they took it, never
 * renew it, and give whatever is older than their visibility timeout to others. So:
 *
 * - We score ours with the time when our hold on it ends, which lies ahead, and renew it long before. To Python it always looks
 *   fresh. When we died, a Python worker alone gives it back one visibility timeout later.
 * - The same score stands in a second set, `leases`. Only where both agree is the message ours, and given back as soon as the
 *   hold has ended. Once Python has taken the message again, its index has another score, and the lease means nothing.
 * - What has no lease is Python's, and waits for the whole visibility timeout.
 * - A hold that has ended is looked at twice before its message is given back: on a machine that is too busy for everybody, the
 *   holder renews it as soon as it gets its turn.
 */
export class HeldMessages {
  readonly receipts: string;
  readonly #link: RedisLink;
  readonly #keys: Keys;
  readonly #options: RedisOptions;
  readonly #bindings: Bindings;
  readonly #held = new Map<number, HeldMessage>();
  #acked: HeldMessage[] = [];
  readonly #unheard = new Set<HeldMessage>();
  /** Acks on their way. */
  readonly #forgetting = new Set<Promise<void>>();
  /** On their way back into the lists. */
  readonly #returning = new Set<HeldMessage>();
  readonly #acking = new Gathering(() => this.#flush());
  #turn: Deferred<void> | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;
  /** Tags and scores of the holds that had ended at the last look. */
  #lapsed = new Map<string, string>();
  #recovery: NodeJS.Timeout | undefined;

  constructor(link: RedisLink, keys: Keys, options: RedisOptions, bindings: Bindings) {
    this.#link = link;
    this.#keys = keys;
    this.receipts = keys.receipts(newTaskId());
    this.#options = options;
    this.#bindings = bindings;
  }

  add(number: number, message: HeldMessage): void {
    this.#held.set(number, message);
    this.#startRenewal();
  }

  /**
   * Resolves when Redis has forgotten the message. Those of one turn of the event loop leave as one command.
   * @param isPatient it may wait a millisecond for others, while most of what we hold is still to be run
   */
  ack(number: number, isPatient: boolean): Promise<void> {
    const message = this.#held.get(number);
    if (message === undefined) return Promise.resolve();
    this.#held.delete(number);
    this.#acked.push(message);
    this.#turn ??= deferred();
    this.#acking.ask(!isPatient || this.#acked.length >= Math.min(ENOUGH, this.#held.size / 3));
    return this.#turn.promise;
  }

  /** What is acknowledged leaves now, together with what else is sent in this turn. */
  flush(): void {
    this.#acking.now();
  }

  #flush(): void {
    const turn = this.#turn;
    const acked = this.#acked;
    this.#turn = undefined;
    this.#acked = [];
    if (turn === undefined) return;
    const forgotten = Promise.all(batches(acked).map((some) => this.#forget(some))).then(() => undefined);
    this.#forgetting.add(forgotten);
    const settled = (): void => void this.#forgetting.delete(forgotten);
    forgotten.then(settled, settled);
    turn.resolve(forgotten);
  }

  async #forget(messages: readonly HeldMessage[]): Promise<void> {
    for (const message of messages) this.#unheard.add(message);
    try {
      const tags = messages.map(({ tag }) => tag);
      await runScript(this.#link.client, ACK, this.#keys.held, tags);
    } catch (error) {
      throw this.#link.error('acknowledge', error);
    }
    for (const message of messages) this.#unheard.delete(message);
  }

  /** Called when the connection was lost. */
  leave(): Leftover {
    const messages = [...this.#returning, ...this.#held.values()];
    const acked = [...this.#unheard, ...this.#acked];
    this.#held.clear();
    return { messages, acked, receipts: this.receipts };
  }

  /** Settles what an earlier connection of this process held: nobody should wait for the end of its hold. Safe to repeat. */
  async adopt({ messages, acked, receipts }: Leftover): Promise<void> {
    const known = new Map([...messages, ...acked].map((message) => [message.tag, message]));
    const found = (await runScript(
      this.#link.client,
      FIND_HELD,
      [...this.#keys.held, receipts],
      [],
    )) as string[];
    const unknown: Pick<HeldMessage, 'tag' | 'score'>[] = [];
    for (const [tag, score] of pairs(found)) {
      const message = known.get(tag);
      if (message === undefined) unknown.push({ tag, score });
      else message.score = score;
    }
    for (const some of batches(acked))
      await Promise.all(some.map((each) => this.#put(each, '', [], 'front')));
    await this.#moveBack(messages, 'front');
    await this.#restoreAll(unknown);
    await this.#link.client.del(receipts);
  }

  /** Back to wherever they had been sent to, the first of them next. */
  async #restoreAll(messages: readonly Pick<HeldMessage, 'tag' | 'score'>[]): Promise<void> {
    for (const some of batches(messages.toReversed(), FIND_AT_ONCE)) {
      const tags = some.map(({ tag }) => tag);
      const records = await this.#link.client.hmget(this.#keys.unacked, ...tags);
      const restored = some.map((message, at) => {
        const record = records[at] ?? '';
        // Its record is gone: what is left of it goes as well.
        return record === ''
          ? this.#put(message, '', [], 'front')
          : this.#restore(message.tag, message.score, record);
      });
      await Promise.all(restored);
    }
  }

  /** Back into the lists: next in line, or last, as kombu has it for a message that its consumer rejected. */
  async putBack(numbers: readonly number[], to: 'front' | 'end'): Promise<void> {
    const messages = numbers.flatMap((number) => this.#held.get(number) ?? []);
    for (const number of numbers) this.#held.delete(number);
    for (const message of messages) this.#returning.add(message);
    // It may be changing their scores, by which they are found.
    await this.#renewing?.catch(() => undefined);
    await this.#moveBack(messages, to);
    for (const message of messages) this.#returning.delete(message);
  }

  async #moveBack(messages: readonly HeldMessage[], to: 'front' | 'end'): Promise<void> {
    // The last goes first, so that the first is next.
    const inOrder = to === 'front' ? messages.toReversed() : messages;
    for (const some of batches(inOrder)) {
      const tags = some.map(({ tag }) => tag);
      const records = await this.#link.client.hmget(this.#keys.unacked, ...tags);
      const put = some.map(async (message, at) => {
        const record = readRecord(records[at] ?? '');
        if (record === undefined) return;
        const envelope = record.malformed ? record.envelope : markRedelivered(record.envelope);
        await this.#put(message, envelope, [message.list], to);
      });
      await Promise.all(put);
    }
  }

  async #put(
    { tag, score }: Pick<HeldMessage, 'tag' | 'score'>,
    envelope: string,
    lists: readonly string[],
    to: 'front' | 'end',
  ): Promise<void> {
    const keys = [...this.#keys.held, ...lists];
    const push = to === 'front' ? 'RPUSH' : 'LPUSH';
    await runScript(this.#link.client, PUT_BACK, keys, [tag, score, push, envelope]);
  }

  #startRenewal(): void {
    if (this.#renewal !== undefined) return;
    const everyMs = Math.min(this.#options.leaseMs / 4, RENEW_AT_LEAST_MS);
    this.#renewal = setInterval(() => this.#startRenewing(), everyMs);
    // Who waits for messages keeps the process alive, not the wish to hold on to some.
    this.#renewal.unref();
  }

  /** One at a time: the next would show scores that this one is changing, and take for lost what is ours. */
  #startRenewing(): void {
    if (this.#renewing !== undefined) return;
    this.#renewing = this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    this.#quietly(this.#renewing);
  }

  async #renew(): Promise<void> {
    if (this.#held.size === 0) {
      clearInterval(this.#renewal);
      this.#renewal = undefined;
      return;
    }
    const numbers = new Map([...this.#held].map(([number, { tag }]) => [tag, number]));
    for (const some of batches([...this.#held.values()])) {
      const args = [this.#options.leaseMs, ...some.flatMap(({ tag, score }) => [tag, score])];
      const reply = await runScript(this.#link.client, RENEW, [...this.#keys.held, this.receipts], args);
      const [ends = '', ...lost] = reply as string[];
      for (const message of some) message.score = ends;
      // Somebody thought that we are dead. It is his now: to acknowledge it would take it away from him.
      for (const tag of lost) this.#held.delete(numbers.get(tag) ?? -1);
    }
  }

  /** Looks now, and again and again, for messages whose holders died. kombu's lock is not needed: each is moved in one step. */
  startRecovery(): void {
    if (this.#recovery !== undefined) return;
    const { leaseMs, visibilityTimeoutMs } = this.#options;
    const everyMs = Math.min(leaseMs / 2, visibilityTimeoutMs / 2, RECOVER_AT_LEAST_MS);
    this.#recovery = setInterval(() => this.#quietly(this.#recover()), everyMs);
    this.#recovery.unref();
    this.#quietly(this.#recover());
  }

  stopRecovery(): void {
    clearInterval(this.#recovery);
    this.#recovery = undefined;
  }

  async #recover(): Promise<void> {
    await this.#recoverLapsed();
    await this.#recoverAbandoned();
  }

  /** Those of our workers. */
  async #recoverLapsed(): Promise<void> {
    const { restoreLimit } = this.#options;
    const found = (await runScript(this.#link.client, FIND_LAPSED, this.#keys.held, [
      LAPSED_AT_ONCE,
    ])) as string[];
    const before = this.#lapsed;
    this.#lapsed = new Map(pairs(found));
    const dead = [...this.#lapsed].filter(([tag, score]) => before.get(tag) === score);
    await this.#restoreAll(dead.slice(0, restoreLimit).map(([tag, score]) => ({ tag, score })));
  }

  /** Those of Python's. */
  async #recoverAbandoned(): Promise<void> {
    const { visibilityTimeoutMs, restoreLimit } = this.#options;
    let unreadable = 0;
    for (let done = 0; done < restoreLimit;) {
      const most = Math.min(FIND_AT_ONCE, restoreLimit - done);
      const found = (await runScript(this.#link.client, FIND_ABANDONED, this.#keys.held, [
        visibilityTimeoutMs,
        unreadable,
        most,
      ])) as string[];
      for (let at = found.length - 3; at >= 0; at -= 3) {
        const [tag = '', score = '', record = ''] = found.slice(at, at + 3);
        // It stays where it is, and out of the way of the others.
        if (!(await this.#restore(tag, score, record))) unreadable += 1;
      }
      done += found.length / 3;
      if (found.length / 3 < most) return;
    }
  }

  /** @returns false for what is no message of kombu's */
  async #restore(tag: string, score: string, text: string): Promise<boolean> {
    const record = readRecord(text);
    if (record === undefined) return false;
    const { envelope, exchange, routingKey, malformed } = record;
    if (malformed) {
      await this.#put({ tag, score }, envelope, [routingKey], 'front');
      return true;
    }
    const queues = (await this.#bindings.targets(exchange, routingKey)) ?? new Map<string, undefined>();
    const priority = priorityOf(envelope);
    const lists = [...queues.keys()].map((queue) => this.#keys.listFor(queue, priority));
    await this.#put({ tag, score }, markRedelivered(envelope), lists, 'front');
    return true;
  }

  /** For what a timer does: it is repeated soon, and a lost connection is told of by its `closed`. */
  #quietly(work: Promise<unknown>): void {
    work.catch(() => undefined);
  }

  /** Before the connection is closed: what was acknowledged is not to be delivered again. */
  async end(): Promise<void> {
    clearInterval(this.#renewal);
    this.stopRecovery();
    this.flush();
    await Promise.allSettled(this.#forgetting);
  }
}

function batches<T>(items: readonly T[], size = BATCH): T[][] {
  const all: T[][] = [];
  for (let at = 0; at < items.length; at += size) all.push(items.slice(at, at + size));
  return all;
}

function pairs(flat: readonly string[]): [string, string][] {
  const all: [string, string][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) all.push([flat[at] ?? '', flat[at + 1] ?? '']);
  return all;
}
