export interface LimitedSetOptions {
  /** Most members kept; the oldest go first. */
  readonly max: number;
  /** Milliseconds after which a member is forgotten. */
  readonly expiresMs: number;
  readonly now?: () => number;
}

interface Member {
  readonly id: string;
  readonly addedMs: number;
}

/** A set of ids that stays small: the oldest are forgotten, by age and by number. */
export class LimitedSet {
  readonly #max: number;
  readonly #expiresMs: number;
  readonly #now: () => number;
  // A Map keeps its order of insertion, and an id added again moves to its end: the first is always the oldest.
  readonly #members = new Map<string, Member>();
  // A new walk would pass all entries that were deleted before the first: thousands of them, for each one that is added.
  #walk: MapIterator<Member> = this.#members.values();
  #head: Member | undefined;

  constructor({ max, expiresMs, now = Date.now }: LimitedSetOptions) {
    this.#max = max;
    this.#expiresMs = expiresMs;
    this.#now = now;
  }

  get size(): number {
    this.#purge();
    return this.#members.size;
  }

  /** Adds an id, or makes it young again. @param ageMs for how long it counts as a member already */
  add(id: string, ageMs = 0): void {
    this.#members.delete(id);
    this.#members.set(id, { id, addedMs: this.#now() - ageMs });
    this.#purge();
  }

  has(id: string): boolean {
    const member = this.#members.get(id);
    return member !== undefined && member.addedMs + this.#expiresMs > this.#now();
  }

  delete(id: string): boolean {
    return this.#members.delete(id);
  }

  /** The ids, oldest first. */
  values(): IterableIterator<string> {
    this.#purge();
    return this.#members.keys();
  }

  /** Ids and for how long each is a member, in milliseconds. */
  *ages(): IterableIterator<[string, number]> {
    const now = this.#now();
    this.#purge();
    for (const { id, addedMs } of this.#members.values()) yield [id, now - addedMs];
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.values();
  }

  #purge(): void {
    const deadline = this.#now() - this.#expiresMs;
    for (let head = this.#oldest(); head !== undefined; head = this.#oldest()) {
      if (head.addedMs > deadline && this.#members.size <= this.#max) return;
      this.#members.delete(head.id);
    }
  }

  /** Searched where the last search ended. */
  #oldest(): Member | undefined {
    while (this.#members.size > 0) {
      if (this.#head !== undefined && this.#members.get(this.#head.id) === this.#head) return this.#head;
      const { value, done } = this.#walk.next();
      this.#head = value;
      if (done === true) this.#walk = this.#members.values();
    }
    return undefined;
  }
}
