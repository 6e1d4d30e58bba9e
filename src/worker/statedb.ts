import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { isRecord } from '../app/option-names.ts';
import { sleep } from '../core/async.ts';
import type { LamportClock } from '../core/clock.ts';
import { ImproperlyConfigured } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { WorkerState } from './state.ts';

const FORMAT = 'celery-ts worker state';
const VERSION = 1;
/** What is revoked within this time is written at once. */
const WRITE_AFTER_MS = 200;

interface Content {
  /** Ids and when they were revoked, in epoch milliseconds. */
  readonly revoked: readonly (readonly [string, number])[];
  /** Revoked values of stamps, by header. */
  readonly stamps: readonly (readonly [string, readonly unknown[]])[];
  readonly clock: number;
}

/**
 * The file of `--statedb`: what was revoked outlives the worker. It is JSON of our own, Celery's is a pickle in a database.
 *
 * Written soon after each change and at the end, into a new file that takes the place of the old one.
 */
export class StateDb {
  readonly path: string;
  readonly #content: Content;

  private constructor(path: string, content: Content) {
    this.path = path;
    this.#content = content;
  }

  /**
   * Reads the file, and tries whether it can be written.
   * @throws {ImproperlyConfigured} it is not such a file
   * @throws the error of the file system
   */
  static open(path: string): StateDb {
    const text = read(path);
    const probe = temporary(path);
    mkdirSync(probe);
    rmSync(probe, { recursive: true });
    return new StateDb(path, text === undefined ? { revoked: [], stamps: [], clock: 0 } : parse(path, text));
  }

  /** Tells the worker what the file tells, and keeps what the worker learns until it is closed. */
  attach(state: WorkerState, clock: LamportClock, logger: Logger): OpenStateDb {
    const now = Date.now();
    for (const [id, at] of this.#content.revoked) state.revoked.add(id, Math.max(0, now - at));
    for (const [header, values] of this.#content.stamps) state.revokeStamps(header, values);
    clock.adjust(this.#content.clock);
    return new OpenStateDb(this.path, state, clock, logger);
  }
}

class OpenStateDb implements AsyncDisposable {
  readonly #path: string;
  readonly #state: WorkerState;
  readonly #clock: LamportClock;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  #saving: Promise<void> | undefined;

  constructor(path: string, state: WorkerState, clock: LamportClock, logger: Logger) {
    this.#path = path;
    this.#state = state;
    this.#clock = clock;
    this.#logger = logger;
    state.onRevoked = () => {
      this.#saving ??= this.#saveSoon();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state.onRevoked = undefined;
    this.#closing.abort();
    await this.#saving;
    await this.#save();
  }

  async #saveSoon(): Promise<void> {
    await sleep(WRITE_AFTER_MS, this.#closing.signal).catch(() => undefined);
    this.#saving = undefined;
    if (!this.#closing.signal.aborted) await this.#save();
  }

  /** The worker goes on without the file, and says so. */
  async #save(): Promise<void> {
    const text = serialize(this.#state, this.#clock);
    try {
      await replace(this.#path, text);
    } catch (error) {
      this.#logger.error(`The state file ${this.#path} could not be written`, error);
    }
  }
}

function serialize(state: WorkerState, clock: LamportClock): string {
  const now = Date.now();
  const content: Content = {
    revoked: [...state.revoked.ages()].map(([id, ageMs]) => [id, now - ageMs] as const),
    stamps: [...state.revokedStamps].map(([header, values]) => [header, [...values]] as const),
    clock: clock.value,
  };
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...content })}\n`;
}

/** Whoever reads it sees the old file or the new one, also when the machine stops in between. */
async function replace(path: string, text: string): Promise<void> {
  const next = temporary(path);
  try {
    const file = await open(next, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}

function temporary(path: string): string {
  return `${path}.${randomUUID()}.tmp`;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parse(path: string, text: string): Content {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, 'it is not JSON', cause);
  }
  if (!isRecord(value) || value.format !== FORMAT) throw unreadable(path, 'celery-ts has not written it');
  if (value.version !== VERSION) throw unreadable(path, 'another version of celery-ts has written it');
  const { revoked, stamps, clock } = value;
  const isContent =
    isListOf(revoked, (id, at) => typeof id === 'string' && typeof at === 'number') &&
    isListOf(stamps, (header, values) => typeof header === 'string' && Array.isArray(values)) &&
    typeof clock === 'number';
  if (!isContent) throw unreadable(path, 'it is damaged');
  return value as unknown as Content;
}

function isListOf(value: unknown, isEntry: (first: unknown, second: unknown) => boolean): boolean {
  return (
    Array.isArray(value) &&
    value.every((entry: unknown) => Array.isArray(entry) && isEntry(entry[0], entry[1]))
  );
}

function unreadable(path: string, reason: string, cause?: unknown): ImproperlyConfigured {
  return new ImproperlyConfigured(
    `The state file ${path} cannot be used: ${reason}. ` +
      'Name another file with --statedb, or delete this one: the worker then starts without what was revoked before.',
    { cause },
  );
}
