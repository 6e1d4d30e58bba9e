import type { RedisOptions } from './options.ts';

/** The names of kombu's keys. */
export class Keys {
  readonly unacked: string;
  readonly index: string;
  /** Ours: which messages are held by workers that renew their hold, scored by when it ends. */
  readonly leases: string;
  /** Ours: queues that vanish with their owners, scored by when they end. */
  readonly temporary: string;
  readonly steps: readonly number[];
  readonly #prefix: string;
  readonly #sep: string;

  constructor({ keyPrefix, unackedKey, unackedIndexKey, prioritySteps, sep }: RedisOptions) {
    this.#prefix = keyPrefix;
    this.#sep = sep;
    this.unacked = keyPrefix + unackedKey;
    this.index = keyPrefix + unackedIndexKey;
    this.leases = `${this.index}.leases`;
    this.temporary = `${keyPrefix}_kombu.temporary.queues`;
    this.steps = prioritySteps;
  }

  /** The three keys that every script about held messages works on. */
  get held(): readonly [string, string, string] {
    return [this.unacked, this.index, this.leases];
  }

  /** Ours: the scores that one connection has given lately, so that a take whose answer was lost can be found again. */
  receipts(connection: string): string {
    return `${this.index}.receipts.${connection}`;
  }

  /** The list of one priority step. */
  list(queue: string, step: number): string {
    return `${this.#prefix}${queue}${step === 0 ? '' : `${this.#sep}${String(step)}`}`;
  }

  /** The lists of a queue, the most urgent first. */
  lists(queue: string): string[] {
    return this.steps.map((step) => this.list(queue, step));
  }

  /** The highest step that is not above the priority; it counts from 0 to 9. */
  listFor(queue: string, priority: number | undefined): string {
    const wanted = Math.max(0, Math.min(9, Math.trunc(priority ?? 0)));
    // Below the first step kombu takes the last one.
    const step = this.steps.findLast((each) => each <= wanted) ?? this.steps.at(-1) ?? 0;
    return this.list(queue, step);
  }

  bindings(exchange: string): string {
    return `${this.#prefix}_kombu.binding.${exchange}`;
  }

  /** A member of a set of bindings. */
  binding(routingKey: string, pattern: string, queue: string): string {
    return [routingKey, pattern, queue].join(this.#sep);
  }

  readBinding(member: string): { routingKey: string; pattern: string; queue: string } {
    const [routingKey = '', pattern = '', queue = ''] = member.split(this.#sep);
    return { routingKey, pattern, queue };
  }
}
