import { ImproperlyConfigured } from '../core/errors.ts';
import { parseRate } from '../core/token-bucket.ts';
import type { AnyTaskOptions } from './options.ts';

/** What an option takes, to be read after "takes", and whether a value is one. */
type Check = readonly [takes: string, fits: (value: unknown) => boolean];

const isText = (value: unknown): boolean => typeof value === 'string';
const isNumber = (value: unknown): boolean => typeof value === 'number' && value >= 0;
const isFunctions = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => typeof each === 'function');

const FLAG: Check = ['true or false', (value) => typeof value === 'boolean'];
const SECONDS: Check = ['a number of seconds', isNumber];
const CLASSES: Check = ['a list of error classes such as [TypeError]', isFunctions];
const name = (of: string): Check => [`the name of ${of}`, isText];

const CHECKS: { readonly [Name in keyof AnyTaskOptions]-?: Check } = {
  bind: FLAG,
  maxRetries: ['a number of retries, or null for no limit', isNumber],
  defaultRetryDelay: SECONDS,
  autoretryFor: CLASSES,
  dontAutoretryFor: CLASSES,
  retryKwargs: ['an object such as { maxRetries: 5 }', (value) => typeof value === 'object'],
  retryBackoff: [
    'true, false or a number of seconds',
    (value) => typeof value === 'boolean' || isNumber(value),
  ],
  retryBackoffMax: SECONDS,
  retryJitter: FLAG,
  rateLimit: ["a rate such as '10/s', '10/m' or '10/h', or a number per second", isRate],
  timeLimit: SECONDS,
  softTimeLimit: SECONDS,
  ignoreResult: FLAG,
  storeErrorsEvenIfIgnored: FLAG,
  serializer: name("a serializer such as 'json'"),
  compression: name("a compression such as 'gzip'"),
  backend: ["the URL of a result backend such as 'redis://localhost'", isText],
  acksLate: FLAG,
  acksOnFailureOrTimeout: FLAG,
  rejectOnWorkerLost: FLAG,
  trackStarted: FLAG,
  sendEvents: FLAG,
  throws: CLASSES,
  expires: [
    'a number of seconds, a Date or a time as text',
    (value) => isText(value) || value instanceof Date || typeof value === 'number',
  ],
  priority: ['a number', isNumber],
  queue: name('a queue'),
  exchange: name('an exchange'),
  routingKey: ['a text', isText],
  typing: FLAG,
  shadow: name('what logs are to show'),
};

function isRate(value: unknown): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  try {
    return parseRate(value) >= 0;
  } catch {
    return false;
  }
}

/**
 * Checks what the options of a task are, for callers that no compiler has checked; null leaves any of them to the settings.
 * @throws {ImproperlyConfigured} naming the task, the option and what it takes
 */
export function checkTaskValues(task: string, options: AnyTaskOptions): void {
  for (const [option, [takes, fits]] of Object.entries(CHECKS)) {
    const value = options[option as keyof AnyTaskOptions];
    if (value === undefined || value === null || fits(value)) continue;
    throw new ImproperlyConfigured(`Task '${task}': ${option} takes ${takes}, got ${shown(value)}.`);
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
}
