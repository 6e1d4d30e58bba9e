/** Most of what comes again and again is of a few kinds; others are decoded each time. */
const MOST_KNOWN = 16;

/** Short texts of which nearly all messages have the same, such as names of tasks, queues and content types: one string for all. */
export class KnownTexts {
  readonly #known: { readonly bytes: Buffer; readonly text: string }[] = [];

  /** The text in UTF-8 between two places. */
  text(bytes: Buffer, start: number, end: number): string {
    if (start === end) return '';
    for (const known of this.#known) {
      if (known.bytes.length === end - start && isEqual(bytes, start, known.bytes)) return known.text;
    }
    const text = bytes.toString('utf8', start, end);
    if (this.#known.length >= MOST_KNOWN) this.#known.shift();
    this.#known.push({ bytes: Buffer.from(bytes.subarray(start, end)), text });
    return text;
  }
}

/** Whether these bytes stand at `at`. */
export function isEqual(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index += 1) {
    if (bytes[at + index] !== expected[index]) return false;
  }
  return true;
}
