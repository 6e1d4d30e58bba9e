import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** One run of one task, as its process wrote it down. */
export interface Run {
  readonly worker: string;
  readonly startMs: number;
  /** Undefined: it did not come to its end. */
  endMs: number | undefined;
}

export interface RunCounts {
  /** Begun. */
  readonly runs: number;
  /** Tasks that came to their end at least once. */
  readonly distinct: number;
  /** Runs beyond the first of each task. */
  readonly duplicates: number;
  /** Of these: the run before was cut off. */
  readonly interrupted: number;
  /** Of these: the run before went on elsewhere. */
  readonly overlapping: number;
  /** Of these: a run before had come to its end. */
  readonly afterEnd: number;
}

/** When a task was called, and when the broker had confirmed it. */
export interface Sending {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A worker was killed, or all connections were cut. */
export interface Fault {
  readonly atMs: number;
  /** Undefined: all. */
  readonly worker: string | undefined;
}

const LOOK_EVERY_MS = 50;

/** The file to which every task appends a line when it begins and one when it ends: `S worker id ms`, `E worker id ms`. */
export class Runs implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #runs = new Map<string, Run[]>();
  readonly #ended = new Set<string>();
  #reading: Promise<boolean> | undefined;
  #at = 0;
  #rest = '';

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async at(path: string): Promise<Runs> {
    return new Runs(await open(path, 'a+'));
  }

  /** Tasks that came to their end at least once. */
  get ended(): ReadonlySet<string> {
    return this.#ended;
  }

  /** Tasks that were begun. */
  get ids(): Iterable<string> {
    return this.#runs.keys();
  }

  of(id: string): readonly Run[] {
    return this.#runs.get(id) ?? [];
  }

  /** Runs that workers whose name begins so have begun. */
  begunBy(name: string): number {
    return [...this.#runs.values()].flat().filter(({ worker }) => worker.startsWith(name)).length;
  }

  /** Resolves with true when the condition holds, with false when no task has begun or ended for so long. */
  async until(holds: () => boolean, stallMs: number): Promise<boolean> {
    let deadline = Date.now() + stallMs;
    for (;;) {
      if (await this.read()) deadline = Date.now() + stallMs;
      if (holds()) return true;
      if (Date.now() > deadline) return false;
      await pause(LOOK_EVERY_MS);
    }
  }

  /** Reads what was written since. @returns whether there was any */
  read(): Promise<boolean> {
    this.#reading ??= this.#readOn().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOn(): Promise<boolean> {
    const before = this.#at;
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#at);
      if (bytesRead === 0) return this.#at > before;
      this.#at += bytesRead;
      const lines = (this.#rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#note(line);
    }
  }

  #note(line: string): void {
    const [kind, worker = '', id = '', at] = line.split(' ');
    const all = this.#runs.get(id) ?? [];
    this.#runs.set(id, all);
    if (kind === 'S') {
      all.push({ worker, startMs: Number(at), endMs: undefined });
      return;
    }
    this.#ended.add(id);
    const run = all.find((each) => each.worker === worker && each.endMs === undefined);
    if (run !== undefined) run.endMs = Number(at);
  }

  /**
   * Runs begun although one before had ended, and no fault can have kept its acknowledgement from the broker: none hit its
   * worker between its delivery, at most `wayMs` before its beginning, and `wayMs` after its end. Nor can the task have been
   * sent twice: no connection was cut between its call and the broker's confirmation.
   */
  needless(faults: readonly Fault[], wayMs: number, sendings: ReadonlyMap<string, Sending>): number {
    const excused = ({ worker, startMs, endMs = Infinity }: Run, againMs: number): boolean =>
      faults.some(
        (fault) =>
          (fault.worker ?? worker) === worker &&
          fault.atMs >= startMs - wayMs &&
          fault.atMs <= Math.min(endMs + wayMs, againMs),
      );
    const maybeSentTwice = (id: string): boolean => {
      const { fromMs = 0, toMs = 0 } = sendings.get(id) ?? {};
      return faults.some(({ worker, atMs }) => worker === undefined && atMs >= fromMs && atMs <= toMs);
    };
    let count = 0;
    for (const [id, all] of this.#runs) {
      if (maybeSentTwice(id)) continue;
      all.forEach(({ startMs }, at) => {
        const earlier = all.slice(0, at);
        if (at > 0 && !earlier.some((run) => excused(run, startMs))) count += 1;
      });
    }
    return count;
  }

  counts(): RunCounts {
    const found = { interrupted: 0, overlapping: 0, afterEnd: 0 };
    let runs = 0;
    for (const all of this.#runs.values()) {
      runs += all.length;
      all.forEach(({ startMs }, at) => {
        if (at === 0) return;
        const earlier = all.slice(0, at);
        if (earlier.some(({ endMs }) => endMs !== undefined && endMs <= startMs)) found.afterEnd += 1;
        else if (earlier.some(({ endMs }) => endMs !== undefined)) found.overlapping += 1;
        else found.interrupted += 1;
      });
    }
    return { runs, distinct: this.#ended.size, duplicates: runs - this.#runs.size, ...found };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
