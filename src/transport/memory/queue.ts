/** A message as the broker keeps it: text, so that nothing can be passed here that other brokers could not carry. */
export interface StoredMessage {
  /** Rises with every message published: its place in the line. */
  readonly order: number;
  readonly text: string;
  readonly priority: number;
  /** Epoch milliseconds; Infinity when it does not expire. */
  readonly expiresAt: number;
  readonly redelivered: boolean;
}

/** Messages in the order they are to be taken: the higher priority first, then the older. */
export class MemoryQueue {
  readonly #lines = new Map<number, Line>();
  /** Highest first. */
  #priorities: number[] = [];

  add(message: StoredMessage): void {
    let line = this.#lines.get(message.priority);
    if (!line) {
      line = new Line();
      this.#lines.set(message.priority, line);
      this.#priorities = [...this.#lines.keys()].sort((a, b) => b - a);
    }
    line.add(message);
  }

  take(): StoredMessage | undefined {
    const now = Date.now();
    for (const priority of this.#priorities) {
      for (;;) {
        const message = this.#lines.get(priority)?.shift();
        if (!message) break;
        if (message.expiresAt > now) return message;
      }
    }
    return undefined;
  }

  get size(): number {
    const now = Date.now();
    let size = 0;
    for (const line of this.#lines.values()) size += line.dropExpired(now);
    return size;
  }

  clear(): void {
    this.#lines.clear();
    this.#priorities = [];
  }
}

/** A list that is taken from at the front without moving the rest each time. */
class Line {
  #items: (StoredMessage | undefined)[] = [];
  #start = 0;
  #expiring = false;

  add(message: StoredMessage): void {
    this.#expiring ||= message.expiresAt !== Infinity;
    const last = this.#items.at(-1);
    if (!last || last.order < message.order) {
      this.#items.push(message);
      return;
    }
    // It was here before: back to its old place, which is near the front.
    let at = this.#start;
    while ((this.#items[at]?.order ?? Infinity) < message.order) at += 1;
    if (at === this.#start && at > 0) this.#items[--this.#start] = message;
    else this.#items.splice(at, 0, message);
  }

  shift(): StoredMessage | undefined {
    const first = this.#items[this.#start];
    if (!first) return undefined;
    this.#items[this.#start++] = undefined;
    if (this.#start === this.#items.length || this.#start >= 1024) {
      this.#items.splice(0, this.#start);
      this.#start = 0;
    }
    return first;
  }

  /** Returns how many are left. */
  dropExpired(now: number): number {
    if (this.#expiring) {
      this.#items = this.#items.filter((message) => message && message.expiresAt > now);
      this.#start = 0;
      this.#expiring = this.#items.some((message) => message?.expiresAt !== Infinity);
    }
    return this.#items.length - this.#start;
  }
}
