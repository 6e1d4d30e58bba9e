import { deferred, type Deferred } from '../../core/async.ts';
import { Gathering } from '../../core/gathering.ts';

/** More acks at once save nothing any more. */
const ENOUGH = 32;

/** Writes one `basic.ack`; `multiple` covers every lower tag that is still open. */
export type WriteAck = (tag: number, multiple: boolean) => void;

/**
 * The deliveries of one channel that wait to be settled.
 *
 * Acks of one turn of the event loop leave together, in as few frames as possible: one frame for the run of lowest tags. With a
 * window they may wait a millisecond for each other, while most of what the broker may leave here is still to be run.
 */
export class AckBook {
  readonly #write: WriteAck;
  /** In the order of delivery, which is that of the tags. */
  readonly #open = new Set<number>();
  readonly #acked = new Set<number>();
  readonly #gathering = new Gathering(() => this.#flush());
  #turn: Deferred<void> | undefined;
  /** So many acks wait for no others. */
  #enough = 1;

  constructor(write: WriteAck) {
    this.#write = write;
  }

  /** From now on acks wait for each other; the broker leaves so many messages here at most, 0 = any number. */
  setWindow(count: number): void {
    this.#enough = count === 0 ? ENOUGH : Math.min(ENOUGH, Math.max(1, Math.floor(count / 4)));
  }

  delivered(tag: number): void {
    this.#open.add(tag);
  }

  /** Resolves when the ack was written. @throws what `fail` was told */
  ack(tag: number): Promise<void> {
    this.#acked.add(tag);
    this.#turn ??= deferred();
    this.#gathering.ask(this.#acked.size >= this.#enough);
    return this.#turn.promise;
  }

  /** The tag was settled in another way. */
  settled(tag: number): void {
    this.#open.delete(tag);
  }

  /** Writes what has been acked so far. */
  flush(): void {
    this.#gathering.now();
  }

  #flush(): void {
    const turn = this.#turn;
    this.#turn = undefined;
    this.#writeLowestRun();
    for (const tag of this.#acked) {
      this.#open.delete(tag);
      this.#write(tag, false);
    }
    this.#acked.clear();
    turn?.resolve();
  }

  /** The channel is gone: acks that were not written never will be, and their messages come again. */
  fail(error: Error): void {
    const turn = this.#turn;
    this.#turn = undefined;
    this.#gathering.cancel();
    this.#open.clear();
    this.#acked.clear();
    turn?.reject(error);
  }

  #writeLowestRun(): void {
    let last = 0;
    let count = 0;
    for (const tag of this.#open) {
      if (!this.#acked.delete(tag)) break;
      this.#open.delete(tag);
      last = tag;
      count += 1;
    }
    if (count > 0) this.#write(last, count > 1);
  }
}
