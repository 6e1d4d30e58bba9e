import type { Outcome } from '../message/outcome.ts';

/** How many jobs may wait in a child behind runs that take no longer: what they take together keeps nobody waiting. */
interface Class {
  readonly longestS: number;
  readonly ahead: number;
}

const SHORT: Class = { longestS: 0.002, ahead: 12 };
/** Such a run takes less time than waking its process does. */
const TINY: Class = { longestS: 0.0002, ahead: 32 };
/** Runs in a row that put a task into a class. */
const RUNS = 10;

interface Runs {
  short: number;
  tiny: number;
}

/**
 * Which tasks run for so short a time that the way to the child process costs more than the run: such a child is given several
 * jobs at once. One longer run, or one that did not end well, and the task has to prove itself anew.
 */
export class Pace {
  readonly #runs = new Map<string, Runs>();

  note(task: string, outcome: Outcome): void {
    let runs = this.#runs.get(task);
    if (runs === undefined) this.#runs.set(task, (runs = { short: 0, tiny: 0 }));
    const seconds = 'children' in outcome ? outcome.seconds : Infinity;
    runs.short = seconds < SHORT.longestS ? runs.short + 1 : 0;
    runs.tiny = seconds < TINY.longestS ? runs.tiny + 1 : 0;
  }

  /** How many jobs of this task, or behind it, may wait in a child at most. */
  ahead(task: string): number {
    const runs = this.#runs.get(task);
    if (runs === undefined || runs.short < RUNS) return 0;
    return runs.tiny < RUNS ? SHORT.ahead : TINY.ahead;
  }
}
