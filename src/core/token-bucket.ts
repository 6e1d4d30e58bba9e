import { KeyError, ValueError } from './errors.ts';

const SECONDS: ReadonlyMap<string, number> = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3600],
]);

// What Python's float() reads: decimal digits with single underscores between, a point, an exponent, or a named value.
const DIGITS = String.raw`\d+(?:_\d+)*`;
const NUMBER = new RegExp(`^[+-]?(?:${DIGITS}\\.?(?:${DIGITS})?|\\.${DIGITS})(?:e[+-]?${DIGITS})?$`, 'i');
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/**
 * Tokens per second of a rate limit: `'10/s'`, `'10/m'`, `'10/h'`, `'10'` and `10` (per second).
 *
 * @returns 0 for no limit: `null`, `undefined`, `''`, `0` and `'0/m'`.
 * @throws {@link ValueError} or {@link KeyError}, with the text that Celery shows, for anything else.
 */
export function parseRate(rate: string | number | null | undefined): number {
  if (rate === null || rate === undefined || rate === '') return 0;
  if (typeof rate === 'number') return rate;
  const slash = rate.indexOf('/');
  const modifier = slash === -1 ? '' : rate.slice(slash + 1);
  const seconds = SECONDS.get(modifier === '' ? 's' : modifier);
  if (seconds === undefined) throw new KeyError(modifier);
  return parseFloatAsPython(slash === -1 ? rate : rate.slice(0, slash)) / seconds;
}

function parseFloatAsPython(text: string): number {
  const trimmed = text.trim();
  if (NUMBER.test(trimmed)) return Number(trimmed.replaceAll('_', ''));
  const infinite = INFINITE.exec(trimmed);
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity;
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  throw new ValueError(`could not convert string to float: ${quote}${text}${quote}`);
}

/** Lets `fillRate` things a second pass, at most `capacity` at once. */
export class TokenBucket {
  readonly fillRate: number;
  readonly capacity: number;
  readonly #now: () => number;
  #tokens: number;
  #countedMs: number;

  /** @param fillRate - tokens per second, as {@link parseRate} returns them; not 0. */
  constructor(fillRate: number, capacity = 1, now: () => number = () => performance.now()) {
    this.fillRate = fillRate;
    this.capacity = capacity;
    this.#now = now;
    this.#tokens = capacity;
    this.#countedMs = now();
  }

  /** Takes `n` tokens when there are so many. */
  canConsume(n = 1): boolean {
    this.#fill();
    if (this.#tokens < n) return false;
    this.#tokens -= n;
    return true;
  }

  /** Milliseconds until `n` tokens will be there; 0 when they are. */
  expectedMs(n = 1): number {
    this.#fill();
    return (Math.max(0, n - this.#tokens) / this.fillRate) * 1000;
  }

  #fill(): void {
    const now = this.#now();
    if (this.#tokens < this.capacity) {
      const grown = this.#tokens + (this.fillRate * (now - this.#countedMs)) / 1000;
      this.#tokens = Math.min(this.capacity, grown);
    }
    this.#countedMs = now;
  }
}
