import { type FSWatcher, watch } from 'node:fs';

/** How a watched file is looked at. */
export interface WatchOptions {
  /** Looks whether another connection has committed since the last look, and acts on it; cheap. */
  readonly look: () => void;
  /** Milliseconds between looks instead of the operating system's file events. */
  readonly pollMs?: number | undefined;
}

/** A look that no event asked for: catches what events miss, at about 0.02 % of a core. */
const SAFETY_MS = 500;
/** Between looks where the operating system cannot watch the file. */
const BLIND_MS = 25;
/**
 * The event comes when the write-ahead log is written, the change can be seen only after the log is synced, which takes a disk
 * 0.1 to 100 ms: so after an event look again, soon and then ever more seldom. Also when the first look shows a change: that
 * can be an earlier commit, with the one of this event still to come.
 */
const LOOK_AGAIN_MS: readonly number[] = [
  1, 1, 2, 2, 4, 6, 10, 15, 20, 20, 20, 20, 20, 40, 40, 40, 80, 80, 80,
];

/**
 * Calls `look` within milliseconds whenever a process may have written to the SQLite database, until disposed.
 *
 * Keeps the process alive: somebody waits for the change.
 */
export function watchDatabase(path: string, options: WatchOptions): Disposable {
  return new DatabaseWatch(path, options);
}

class DatabaseWatch implements Disposable {
  readonly #path: string;
  readonly #look: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #safety: NodeJS.Timeout;
  #again: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #looks = 0;

  constructor(path: string, { look, pollMs }: WatchOptions) {
    this.#path = path;
    this.#look = look;
    if (pollMs === undefined) this.#watch();
    const everyMs = pollMs ?? (this.#watchers.size > 0 ? SAFETY_MS : BLIND_MS);
    this.#safety = setInterval(() => {
      this.#look();
      // The log may have come into being, or have been made anew, since.
      if (pollMs === undefined) this.#watch();
    }, everyMs);
    // A commit that was written before we watched, and that is still being synced, makes no event any more.
    if (pollMs === undefined) this.#changed();
  }

  /** Watches the log of WAL mode, and the file itself, which the other journal modes write to. */
  #watch(): void {
    for (const path of [`${this.#path}-wal`, this.#path]) {
      if (this.#watchers.has(path)) continue;
      try {
        const watcher = watch(path, { persistent: false }, (event) => {
          // The file was moved or removed; the next one of that name is another file.
          if (event === 'rename') this.#forget(path, watcher);
          this.#changed();
        });
        watcher.on('error', () => this.#forget(path, watcher));
        this.#watchers.set(path, watcher);
      } catch {
        // No such file yet, no watches left, or a file system that has none: the interval looks instead.
      }
    }
  }

  #forget(path: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.#watchers.get(path) === watcher) this.#watchers.delete(path);
  }

  /** Many events of one turn are one look. */
  #changed(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#looks = 0;
      clearTimeout(this.#again);
      this.#lookAgain();
    });
  }

  #lookAgain(): void {
    this.#look();
    const delayMs = LOOK_AGAIN_MS[this.#looks++];
    if (delayMs !== undefined) this.#again = setTimeout(() => this.#lookAgain(), delayMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#safety);
    clearTimeout(this.#again);
    clearImmediate(this.#soon);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}
