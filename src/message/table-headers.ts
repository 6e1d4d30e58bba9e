import { isEqual, KnownTexts } from './known-texts.ts';
import type { TaskHeaders } from './message.ts';

/** Celery's own headers that hold text, null or nothing; the first two are never missing. */
const TEXTS = [
  ...(['task', 'id', 'lang', 'shadow', 'eta', 'expires', 'group', 'root_id', 'parent_id'] as const),
  ...(['argsrepr', 'kwargsrepr', 'origin'] as const),
] as const;
type TextName = (typeof TEXTS)[number];

/** The others that are read here; where one holds more than what nearly every message has, all are read the long way. */
const OTHERS = [
  ...(['group_index', 'retries', 'timelimit', 'ignore_result'] as const),
  ...(['replaced_task_nesting', 'stamped_headers', 'stamps', 'compression', 'redelivered'] as const),
] as const;

const NAMES: readonly string[] = [...TEXTS, ...OTHERS];
const NAME_BYTES = NAMES.map((name) => Buffer.from(name));
const SLOTS = 512;

/** Places of the names in `NAMES`, plus 1, by hash of their bytes. */
const BY_HASH = slots();

function hash(bytes: Buffer, at: number, length: number): number {
  const [first = 0, second = 0, last = 0] = [bytes[at], bytes[at + 1], bytes[at + length - 1]];
  return (length * 53 + first * 7 + second * 31 + last * 13) & (SLOTS - 1);
}

function slots(): readonly number[] {
  const table = new Array<number>(SLOTS).fill(0);
  for (const [index, bytes] of NAME_BYTES.entries()) {
    // Two in one place: the second is looked for in the next.
    let at = hash(bytes, 0, bytes.length);
    while (table[at] !== 0) at = (at + 1) & (SLOTS - 1);
    table[at] = index + 1;
  }
  return table;
}

/** The place in `NAMES` of the name of these bytes; -1 when it is none of Celery's. */
function indexOfName(bytes: Buffer, at: number, length: number): number {
  let slot = hash(bytes, at, length);
  for (;;) {
    const index = (BY_HASH[slot] ?? 0) - 1;
    if (index === -1) return -1;
    const name = NAME_BYTES[index];
    if (name?.length === length && isEqual(bytes, at, name)) return index;
    slot = (slot + 1) & (SLOTS - 1);
  }
}

const INDEX = Object.fromEntries(NAMES.map((name, index) => [name, index])) as Readonly<
  Record<TextName | (typeof OTHERS)[number], number>
>;

const TAG_TEXT = 0x53; // S
const TAG_NULL = 0x56; // V
const TAG_BOOLEAN = 0x74; // t
const TAG_ARRAY = 0x41; // A
const TAG_TABLE = 0x46; // F
/** How many bytes an integer has. */
const INTEGERS: ReadonlyMap<number, number> = new Map([
  [0x62, 1], // b
  [0x42, 1], // B
  [0x73, 2], // s
  [0x75, 2], // u
  [0x49, 4], // I
]);

/**
 * The headers of a task message in an AMQP table, found in one pass and read when they are asked for: a worker looks at few of
 * them.
 *
 * @returns undefined when there is anything in it that few messages have: headers of the sender's own, stamps, time limits,
 * compression, or values of a wrong kind; `readTable` and `parseTaskHeaders` read those, and say what is wrong
 */
export function scanTaskHeaders(bytes: Buffer): TaskHeaders | undefined {
  const headers = new TableHeaders(bytes);
  return headers.scan() ? headers : undefined;
}

/** Names of tasks. */
const TASKS = new KnownTexts();
const NO_PLACES: readonly number[] = TEXTS.flatMap(() => [0, 0]);
const NO_LIMITS: TaskHeaders['timelimit'] = [null, null];
const NO_STAMPS: TaskHeaders['stamps'] = {};

class TableHeaders implements TaskHeaders {
  group_index: number | null = null;
  retries = 0;
  readonly timelimit = NO_LIMITS;
  ignore_result = false;
  replaced_task_nesting = 0;
  readonly stamped_headers = null;
  readonly stamps = NO_STAMPS;
  task = '';
  id = '';
  readonly #bytes: Buffer;
  /** Start and end of each text, two numbers each; 0 and 0 for null and what is not there. */
  readonly #places: number[] = NO_PLACES.slice();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get lang(): string {
    return this.#text(INDEX.lang) ?? 'py';
  }

  get shadow(): string | null {
    return this.#text(INDEX.shadow);
  }

  get eta(): string | null {
    return this.#text(INDEX.eta);
  }

  get expires(): string | null {
    return this.#text(INDEX.expires);
  }

  get group(): string | null {
    return this.#text(INDEX.group);
  }

  get root_id(): string | null {
    return this.#text(INDEX.root_id);
  }

  get parent_id(): string | null {
    return this.#text(INDEX.parent_id);
  }

  get argsrepr(): string {
    return this.#text(INDEX.argsrepr) ?? '';
  }

  get kwargsrepr(): string {
    return this.#text(INDEX.kwargsrepr) ?? '';
  }

  get origin(): string {
    return this.#text(INDEX.origin) ?? '';
  }

  /** @returns whether all is as in nearly every message */
  scan(): boolean {
    const bytes = this.#bytes;
    let at = 0;
    while (at < bytes.length) {
      const length = bytes[at] ?? 0;
      const index = indexOfName(bytes, at + 1, length);
      if (index === -1) return false;
      at = this.#entry(index, at + 1 + length);
      if (at === -1) return false;
    }
    if (at !== bytes.length) return false;
    this.task = TASKS.text(bytes, this.#places[0] ?? 0, this.#places[1] ?? 0);
    this.id = this.#text(INDEX.id) ?? '';
    return this.task !== '' && this.id !== '';
  }

  /** Takes the value at `at`. @returns where the next entry begins; -1 for what has to be read the long way */
  #entry(index: number, at: number): number {
    const bytes = this.#bytes;
    const tag = bytes[at];
    const next = at + 1;
    if (tag === TAG_NULL) return next;
    if (tag === TAG_TEXT) {
      if (index >= TEXTS.length || next + 4 > bytes.length) return -1;
      const end = next + 4 + bytes.readUInt32BE(next);
      if (end > bytes.length) return -1;
      this.#places[2 * index] = next + 4;
      this.#places[2 * index + 1] = end;
      return end;
    }
    switch (index) {
      case INDEX.retries:
      case INDEX.group_index:
      case INDEX.replaced_task_nesting:
        return this.#integer(index, tag ?? 0, next);
      case INDEX.ignore_result:
      case INDEX.redelivered:
        if (tag !== TAG_BOOLEAN) return -1;
        if (index === INDEX.ignore_result) this.ignore_result = bytes[next] !== 0;
        return next + 1;
      case INDEX.timelimit:
        return tag === TAG_ARRAY && isTwoNulls(bytes, next) ? next + 6 : -1;
      case INDEX.stamps:
        return tag === TAG_TABLE && isEmptyTable(bytes, next) ? next + 4 : -1;
      default:
        return -1;
    }
  }

  #integer(index: number, tag: number, at: number): number {
    const length = INTEGERS.get(tag);
    if (length === undefined || at + length > this.#bytes.length) return -1;
    const value = this.#bytes.readIntBE(at, length);
    // Of unsigned ones the upper half, which nobody sends.
    if (value < 0) return -1;
    if (index === INDEX.retries) this.retries = value;
    else if (index === INDEX.group_index) this.group_index = value;
    else this.replaced_task_nesting = value;
    return at + length;
  }

  #text(index: number): string | null {
    const start = this.#places[2 * index] ?? 0;
    return start === 0 ? null : this.#bytes.toString('utf8', start, this.#places[2 * index + 1]);
  }
}

function isTwoNulls(bytes: Buffer, at: number): boolean {
  return (
    at + 6 <= bytes.length &&
    bytes.readUInt32BE(at) === 2 &&
    bytes[at + 4] === TAG_NULL &&
    bytes[at + 5] === TAG_NULL
  );
}

function isEmptyTable(bytes: Buffer, at: number): boolean {
  return at + 4 <= bytes.length && bytes.readUInt32BE(at) === 0;
}
