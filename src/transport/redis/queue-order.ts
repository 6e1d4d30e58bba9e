import type { QueueOrder as Strategy } from './options.ts';

/** In which order the consumed queues are looked at, by `queue_order_strategy`. */
export class QueueOrder {
  readonly #strategy: Strategy;
  #queues: string[] = [];

  constructor(strategy: Strategy) {
    this.#strategy = strategy;
  }

  add(queue: string): void {
    if (this.#queues.includes(queue)) return;
    this.#queues.push(queue);
    if (this.#strategy === 'sorted') this.#queues.sort();
  }

  remove(queue: string): void {
    this.#queues = this.#queues.filter((each) => each !== queue);
  }

  /** These queues in order; those that nobody consumes come last. */
  of(queues: readonly string[]): string[] {
    const known = this.#queues.filter((each) => queues.includes(each));
    return [...known, ...queues.filter((each) => !this.#queues.includes(each))];
  }

  /** In turns, the queue that was served last goes to the end of the line. */
  served(queue: string | undefined): void {
    if (this.#strategy !== 'round_robin' || queue === undefined || !this.#queues.includes(queue)) return;
    this.remove(queue);
    this.#queues.push(queue);
  }
}
