/** A logical clock: messages carry its value, so that what follows from a message is stamped later than it. */
export class LamportClock {
  #value = 0;

  /** The time now. */
  get value(): number {
    return this.#value;
  }

  /** Moves on for an event of this process and returns the new time. */
  forward(): number {
    this.#value += 1;
    return this.#value;
  }

  /** Moves past the time of a message that came in and returns the new time. */
  adjust(other: number): number {
    this.#value = Math.max(this.#value, other) + 1;
    return this.#value;
  }
}
