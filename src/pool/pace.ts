import type { Outcome } from '../message/outcome.ts';

/** A run is short below it: a handful of such runs keeps nobody waiting. */
const SHORT_S = 0.002;
/** Short runs in a row that make a task one of short runs. */
const RUNS = 10;

/**
 * Which tasks run for so short a time that the way to the child process costs more than the run: such a child is given several
 * jobs at once. One longer run, or one that did not end well, and the task has to prove itself anew.
 */
export class Pace {
  readonly #shortRuns = new Map<string, number>();

  note(task: string, outcome: Outcome): void {
    const isShort = 'children' in outcome && outcome.seconds < SHORT_S;
    this.#shortRuns.set(task, isShort ? (this.#shortRuns.get(task) ?? 0) + 1 : 0);
  }

  isShort(task: string): boolean {
    return (this.#shortRuns.get(task) ?? 0) >= RUNS;
  }
}
