import type { Outcome } from '../message/outcome.ts';

/** How many jobs may wait in a child behind runs that take no longer: what they take together keeps nobody waiting. */
interface Class {
  readonly longestS: number;
  readonly ahead: number;
}

/** Such a run is worth no trip to the supervisor, during which the process would have nothing to do. */
const MODERATE: Class = { longestS: 0.02, ahead: 1 };
const SHORT: Class = { longestS: 0.002, ahead: 12 };
/** Such a run takes less time than waking its process does. */
const TINY: Class = { longestS: 0.0002, ahead: 32 };
/** Runs in a row that put a task into a class. */
const RUNS = 10;

/** From the longest to the shortest. */
const CLASSES = [MODERATE, SHORT, TINY];

interface Runs {
  /** For each class how many runs in a row were shorter. */
  readonly counts: number[];
  ahead: number;
}

/**
 * Which tasks run for so short a time that the way to the child process costs more than the run: such a child is given several
 * jobs at once. One longer run, or one that did not end well, and the task has to prove itself anew.
 */
export class Pace {
  readonly #runs = new Map<string, Runs>();

  note(task: string, outcome: Outcome): void {
    let runs = this.#runs.get(task);
    if (runs === undefined) this.#runs.set(task, (runs = { counts: CLASSES.map(() => 0), ahead: 0 }));
    const seconds = 'children' in outcome ? outcome.seconds : Infinity;
    runs.ahead = 0;
    for (let index = 0; index < CLASSES.length; index += 1) {
      const { longestS, ahead } = CLASSES[index] as Class;
      const count = seconds < longestS ? (runs.counts[index] ?? 0) + 1 : 0;
      runs.counts[index] = count;
      if (count >= RUNS) runs.ahead = ahead;
    }
  }

  /** A busy child may get a job of this task while fewer than so many wait in it; 0 = never. */
  ahead(task: string): number {
    return this.#runs.get(task)?.ahead ?? 0;
  }
}
