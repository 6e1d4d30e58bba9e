import type { ChordPart } from './chord.ts';

interface Counted {
  readonly bytes: Buffer;
  readonly groupIndex: number | null;
}

/** The count of one chord in the memory of this process. */
export class ChordCount {
  /** By task id, so that nobody counts twice. */
  readonly #members = new Map<string, Counted>();
  #size: number | undefined;
  #added = 0;
  /** The member that was told of the end. */
  #endedBy: string | undefined;

  start(size: number): void {
    this.#size = size;
  }

  grow(members: number): void {
    this.#added += members;
  }

  /** @returns the members in their order, if this one was the last */
  end({ taskId, groupIndex }: ChordPart, bytes: Buffer): readonly Buffer[] | undefined {
    if (!this.#members.has(taskId)) this.#members.set(taskId, { bytes, groupIndex });
    if (this.#size === undefined || this.#members.size < this.#size + this.#added) return undefined;
    this.#endedBy ??= taskId;
    if (this.#endedBy !== taskId) return undefined;
    const place = ({ groupIndex: index }: Counted): number => index ?? Infinity;
    const before = (a: number, b: number): number => (a === b ? 0 : a - b);
    return [...this.#members.values()].sort((a, b) => before(place(a), place(b))).map((each) => each.bytes);
  }
}
