/** Those who wait for the same thing, any number of times. */
export class Waiters {
  #resolves: (() => void)[] = [];

  /** Resolves at the next `wake`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#resolves.push(resolve));
  }

  wake(): void {
    for (const resolve of this.#resolves.splice(0)) resolve();
  }
}
