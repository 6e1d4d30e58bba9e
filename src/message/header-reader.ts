import { InvalidTaskError } from '../core/errors.ts';
import { saferepr } from '../core/python-repr.ts';
import type { TaskHeaders } from './message.ts';

/** Reads headers of a task message by their kind; null and absent are the same. Each method throws InvalidTaskError. */
export class HeaderReader {
  readonly #headers: Readonly<Record<string, unknown>>;

  constructor(headers: Readonly<Record<string, unknown>>) {
    this.#headers = headers;
  }

  required(name: string): string {
    const value = this.#value(name);
    if (value === undefined || value === '')
      throw new InvalidTaskError(`the task message has no header '${name}'`);
    if (typeof value !== 'string') throw wrongKind(name, 'text', value);
    return value;
  }

  text(name: string): string | null {
    const value = this.#value(name);
    if (value === undefined) return null;
    if (typeof value !== 'string') throw wrongKind(name, 'text or null', value);
    return value;
  }

  number(name: string): number | null {
    const value = this.#value(name);
    if (value === undefined) return null;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw wrongKind(name, 'a number', value);
    return value;
  }

  timelimit(): TaskHeaders['timelimit'] {
    const value = this.#value('timelimit');
    if (value === undefined) return [null, null];
    if (!Array.isArray(value) || value.length !== 2 || !value.every(isLimit)) {
      throw wrongKind('timelimit', '[hard, soft] in seconds', value);
    }
    const [hard, soft] = value;
    return [hard ?? null, soft ?? null];
  }

  stampedHeaders(): readonly string[] | null {
    const value = this.#value('stamped_headers');
    if (value === undefined) return null;
    if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
      throw wrongKind('stamped_headers', 'a list of names', value);
    }
    return value;
  }

  stamps(): Readonly<Record<string, unknown>> {
    const value = this.#value('stamps');
    if (value === undefined) return {};
    if (!isRecord(value)) throw wrongKind('stamps', 'a table', value);
    return value;
  }

  #value(name: string): unknown {
    return Object.hasOwn(this.#headers, name) ? (this.#headers[name] ?? undefined) : undefined;
  }
}

function isLimit(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isFinite(value));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrongKind(name: string, expected: string, value: unknown): InvalidTaskError {
  return new InvalidTaskError(
    `the header '${name}' of the task message is ${saferepr(value, 64)}; expected ${expected}`,
  );
}
