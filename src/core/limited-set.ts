export interface LimitedSetOptions {
  /** Most members kept; the oldest go first. */
  readonly max: number;
  /** Milliseconds after which a member is forgotten. */
  readonly expiresMs: number;
  readonly now?: () => number;
}

/** A set of ids that stays small: the oldest are forgotten, by age and by number. */
export class LimitedSet {
  readonly #max: number;
  readonly #expiresMs: number;
  readonly #now: () => number;
  // A Map keeps its order of insertion, and an id added again moves to its end: the first is always the oldest.
  readonly #addedMs = new Map<string, number>();

  constructor({ max, expiresMs, now = Date.now }: LimitedSetOptions) {
    this.#max = max;
    this.#expiresMs = expiresMs;
    this.#now = now;
  }

  get size(): number {
    this.#purge();
    return this.#addedMs.size;
  }

  /** Adds an id, or makes it young again. @param ageMs for how long it counts as a member already */
  add(id: string, ageMs = 0): void {
    this.#addedMs.delete(id);
    this.#addedMs.set(id, this.#now() - ageMs);
    this.#purge();
  }

  has(id: string): boolean {
    const addedMs = this.#addedMs.get(id);
    return addedMs !== undefined && addedMs + this.#expiresMs > this.#now();
  }

  delete(id: string): boolean {
    return this.#addedMs.delete(id);
  }

  /** The ids, oldest first. */
  values(): IterableIterator<string> {
    this.#purge();
    return this.#addedMs.keys();
  }

  /** Ids and for how long each is a member, in milliseconds. */
  *ages(): IterableIterator<[string, number]> {
    const now = this.#now();
    for (const id of this.values()) yield [id, now - (this.#addedMs.get(id) ?? now)];
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.values();
  }

  #purge(): void {
    const deadline = this.#now() - this.#expiresMs;
    for (const [id, addedMs] of this.#addedMs) {
      if (addedMs > deadline && this.#addedMs.size <= this.#max) return;
      this.#addedMs.delete(id);
    }
  }
}
