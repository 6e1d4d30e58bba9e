import type { Timer } from '../core/timer.ts';
import type { Outcome } from '../message/outcome.ts';
import { Pace } from './pace.ts';
import type { SerialChild } from './serial-child.ts';

/** A child gets more when no more than this share is left: several at once make one write. */
const FEW = 1 / 3;
/** Who runs longer than this, against all experience, gives back what waits behind it. */
const PATIENCE_MS = 20;

/**
 * Decides which busy child gets a job ahead, so that it goes on without a round trip to the supervisor.
 *
 * Only tasks of short runs wait in a child, behind tasks of short runs; when one of them takes its time, the others are called
 * back and go to whoever is free. (A task that does not give the event loop a turn holds them until it does.)
 */
export class ReadingAhead {
  readonly #pace = new Pace();
  readonly #children: ReadonlySet<SerialChild>;
  readonly #timer: Timer;
  #filling: SerialChild | undefined;
  #isWatching = false;

  /** @param busy the children that run a job, and may have more */
  constructor(busy: ReadonlySet<SerialChild>, timer: Timer) {
    this.#children = busy;
    this.#timer = timer;
  }

  note(task: string, outcome: Outcome): void {
    this.#pace.note(task, outcome);
  }

  /** The child to give a job of this task to, if any. */
  choose(task: string): SerialChild | undefined {
    const most = this.#pace.ahead(task);
    if (most === 0) return undefined;
    if (this.#filling !== undefined && !this.#hasRoom(this.#filling, most)) this.#filling = undefined;
    this.#filling ??= this.#neediest(most * FEW);
    return this.#filling;
  }

  #neediest(few: number): SerialChild | undefined {
    let found: SerialChild | undefined;
    for (const child of this.#children) {
      if (found !== undefined && found.ahead <= child.ahead) continue;
      if (this.#hasRoom(child, few)) found = child;
    }
    return found;
  }

  #hasRoom(child: SerialChild, most: number): boolean {
    const { running } = child;
    return (
      running !== undefined &&
      child.ahead < most &&
      child.isUsable &&
      this.#pace.ahead(running.job.task) > 0 &&
      performance.now() - running.startedMs < PATIENCE_MS
    );
  }

  /** Called after a job was given ahead. */
  watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#timer.callAfter(PATIENCE_MS, () => {
      this.#isWatching = false;
      this.#look();
    });
  }

  #look(): void {
    let isWanted = false;
    for (const child of this.#children) {
      if (child.ahead === 0) continue;
      isWanted = true;
      const { running } = child;
      if (running !== undefined && performance.now() - running.startedMs > PATIENCE_MS) child.recall();
    }
    if (isWanted) this.watch();
  }
}
