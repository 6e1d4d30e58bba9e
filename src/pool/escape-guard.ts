/** Makes a run answer for the errors that escape from it: those of promises and timers that nobody waits for. */
export class EscapeGuard {
  #fail: ((error: unknown) => void) | undefined;

  /**
   * Ends with the run, or with an error that escaped from it, whichever is first. It waits one turn, in which Node reports
   * a rejected promise that the task has left behind.
   */
  guard(run: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject: (error: unknown) => void) => {
      this.#fail = reject;
      run.then(
        (value) => setImmediate(resolve, value),
        (error: unknown) => setImmediate(reject, error),
      );
    });
  }

  /** Fails the run. @returns whether there is one */
  fail(error: unknown): boolean {
    this.#fail?.(error);
    return this.#fail !== undefined;
  }
}
