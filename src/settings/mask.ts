import { maskText } from '../core/url.ts';
import { isObject } from './kinds.ts';

const MASK = '********';

// Celery's own list: rather too much than too little.
const SECRET = /API|TOKEN|KEY|SECRET|PASS|PROFANITIES_LIST|SIGNATURE|DATABASE/i;

/** True for names whose values are not to be shown. */
export function isSecret(name: string): boolean {
  return SECRET.test(name);
}

/** The settings as they may be shown: secrets as `********`, also inside objects, and passwords of URLs. */
export function maskSecrets(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, isSecret(name) ? MASK : maskValue(value)]),
  );
}

function maskValue(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value, MASK);
  if (Array.isArray(value)) return value.map(maskValue);
  const plain =
    isObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  return plain ? maskSecrets(value) : value;
}
