import { DecodeError } from '../core/errors.ts';
import { setOwn } from './set-own.ts';

/**
 * JSON with what Python writes and JSON.parse cannot take: integers of any size (BigInt where a number would lose digits)
 * and the bare words NaN, Infinity and -Infinity.
 *
 * Only used where such things occur; JSON.parse is many times faster.
 *
 * @throws {DecodeError} when the text is not JSON, or is nested too deeply
 */
export function readExactJson(text: string): unknown {
  const reader = new Reader(text);
  try {
    return reader.document();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DecodeError('cannot decode JSON: it is nested too deeply', { cause: error });
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const SPACE = /[ \t\r\n]*/y;

// Beyond this Python refuses the integer as well: reading it takes time that grows with the square of its length.
const MAX_INTEGER_DIGITS = 4300;

const WORDS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
];

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    this.#space();
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(): unknown {
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at += 1;
    if (this.#closes('}')) return object;
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#unexpected();
      const key = this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') throw this.#unexpected();
      this.#at += 1;
      this.#space();
      setOwn(object, key, this.#value());
      if (this.#closes('}')) return object;
      this.#comma();
    }
  }

  #array(): unknown[] {
    const array: unknown[] = [];
    this.#at += 1;
    if (this.#closes(']')) return array;
    for (;;) {
      this.#space();
      array.push(this.#value());
      if (this.#closes(']')) return array;
      this.#comma();
    }
  }

  #string(): string {
    const start = this.#at;
    let plain = true;
    for (let at = start + 1; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        return plain ? this.#text.slice(start + 1, at) : this.#escaped(start);
      }
      if (code === 0x5c) {
        plain = false;
        at += 1;
      } else if (code < 0x20) {
        this.#at = at;
        throw this.#unexpected();
      }
    }
    this.#at = this.#text.length;
    throw this.#unexpected();
  }

  #escaped(start: number): string {
    try {
      return String(JSON.parse(this.#text.slice(start, this.#at)));
    } catch {
      this.#at = start;
      throw this.#unexpected();
    }
  }

  #scalar(): unknown {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match !== null) {
      this.#at = NUMBER.lastIndex;
      const [digits, fraction, exponent] = match;
      const number = Number(digits);
      if (fraction !== undefined || exponent !== undefined || Number.isSafeInteger(number)) return number;
      if (digits.length > MAX_INTEGER_DIGITS) {
        throw new DecodeError(
          `cannot decode JSON: an integer of ${digits.length} digits; ${MAX_INTEGER_DIGITS} are allowed`,
        );
      }
      return BigInt(digits);
    }
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    throw this.#unexpected();
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #closes(bracket: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== bracket) return false;
    this.#at += 1;
    return true;
  }

  #comma(): void {
    if (this.#text[this.#at] !== ',') throw this.#unexpected();
    this.#at += 1;
  }

  #unexpected(): DecodeError {
    const found = this.#text[this.#at];
    return new DecodeError(
      found === undefined
        ? 'cannot decode JSON: it ends too early'
        : `cannot decode JSON: unexpected ${JSON.stringify(found)} at position ${this.#at}`,
    );
  }
}
