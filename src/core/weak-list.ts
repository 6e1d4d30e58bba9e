/** Objects in order of their addition, which it does not keep alive; what is gone leaves nothing behind. */
export class WeakList<T extends object> {
  readonly #references = new Set<WeakRef<T>>();
  readonly #collected = new FinalizationRegistry<WeakRef<T>>((reference) => {
    this.#references.delete(reference);
  });

  /** Of its entries; one that has just been collected may still count. */
  get size(): number {
    return this.#references.size;
  }

  add(item: T): void {
    const reference = new WeakRef(item);
    this.#references.add(reference);
    this.#collected.register(item, reference);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (const reference of this.#references) {
      const item = reference.deref();
      if (item !== undefined) yield item;
    }
  }
}
