/** Something that runs for a while: started once, stopped once, each safe to repeat. */
export interface Service {
  start(signal: AbortSignal): Promise<void>;
  /** Returns when everything is released. Safe before `start`, and twice. */
  stop(): Promise<void>;
}

type Release = () => unknown;

/**
 * Whoever opens something pushes its closer here; `release` runs them last in, first out.
 *
 * All closers run even when some fail; the first failure is thrown afterwards.
 */
export class Releasers {
  #releases: Release[] = [];

  /** Registers how to close what was just opened. */
  push(release: Release): void {
    this.#releases.push(release);
  }

  /** Takes ownership of a resource and returns it. */
  own<Resource extends AsyncDisposable>(resource: Resource): Resource {
    this.push(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  async release(): Promise<void> {
    const releases = this.#releases.splice(0).reverse();
    const errors: unknown[] = [];
    for (const release of releases) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
