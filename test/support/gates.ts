import { once, EventEmitter } from 'node:events';

/** Any gate has been reached. */
const ANY = Symbol('any gate');

/** Places where tasks of a test wait until the test lets them go on. */
export class Gates {
  readonly #waiting = new Map<string, () => void>();
  readonly #arrivals = new EventEmitter();

  /** For the task: resolves when the test opens the gate. */
  async wait(gate: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.set(gate, resolve);
      this.#arrivals.emit(gate);
      this.#arrivals.emit(ANY);
    });
  }

  /** Resolves when a task stands at the gate, or has been let through it. */
  async arrival(gate: string): Promise<void> {
    if (!this.#waiting.has(gate)) await once(this.#arrivals, gate);
  }

  /** Resolves to the gates that have been reached, in that order, when they are so many. */
  async arrivals(count: number): Promise<string[]> {
    while (this.#waiting.size < count) await once(this.#arrivals, ANY);
    return [...this.#waiting.keys()];
  }

  /** Lets the task through when it has come: which of two tasks reaches its gate first is left open. */
  async open(gate: string): Promise<void> {
    await this.arrival(gate);
    this.#waiting.get(gate)?.();
  }

  openAll(): void {
    for (const open of this.#waiting.values()) open();
  }

  /** Forgets who stands where; they wait for ever. */
  clear(): void {
    this.#waiting.clear();
  }
}
