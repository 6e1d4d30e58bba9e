import type { ScalarTag } from 'yaml';

import { parseIso } from '../core/time.ts';

/** A word that is no text: what it looks like and its value; see the type repository of YAML 1.1. */
type Scalar = Pick<ScalarTag, 'tag' | 'resolve'> & { readonly test?: RegExp };

const SCALAR_TYPES: readonly Scalar[] = [
  { tag: 'null', test: /^(?:~|null|Null|NULL|)$/, resolve: () => null },
  {
    tag: 'bool',
    test: /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/,
    resolve: (text) => /^(?:yes|true|on)$/i.test(text),
  },
  {
    tag: 'int',
    test: /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][\d_]*)|[-+]?0x[\da-fA-F_]+|[-+]?[1-9][\d_]*(?::[0-5]?\d)+)$/,
    resolve: integerOf,
  },
  {
    tag: 'float',
    test: /^(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|[-+]?\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
    resolve: (text) => floatOf(text.replaceAll('_', '')),
  },
  {
    tag: 'timestamp',
    test: /^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$/,
    resolve: timestampOf,
  },
  { tag: 'binary', resolve: (text) => Buffer.from(text, 'base64') },
];

/** The tags of the scalars, in the form of the library `yaml`. */
export const SCALARS: readonly ScalarTag[] = SCALAR_TYPES.map(({ tag, test, resolve }) => ({
  tag: `tag:yaml.org,2002:${tag}`,
  ...(test === undefined ? { default: false } : { default: true, test }),
  resolve,
}));

// As in JSON: reading an integer takes time that grows with the square of its length.
const MAX_INTEGER_DIGITS = 4300;

function integerOf(text: string, onError: (message: string) => void): number | bigint {
  const digits = text.replaceAll('_', '');
  if (digits.length > MAX_INTEGER_DIGITS) {
    onError(`an integer of ${digits.length} digits; ${MAX_INTEGER_DIGITS} are allowed`);
    return 0;
  }
  const magnitude = magnitudeOf(digits.replace(/^[-+]/, ''));
  const integer = digits.startsWith('-') ? -magnitude : magnitude;
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}

function magnitudeOf(digits: string): bigint {
  if (digits.includes(':')) return digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  if (/^0[bx]/.test(digits)) return BigInt(digits);
  return digits.length > 1 && digits.startsWith('0') ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
}

function floatOf(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const magnitude = text.replace(/^[-+]/, '').toLowerCase();
  if (magnitude === '.inf') return sign * Infinity;
  if (magnitude === '.nan') return NaN;
  return sign * magnitude.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

const DATE_ONLY = /^\d{4}-\d\d-\d\d$/;
const TIME =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(Z|([-+])(\d\d?)(?::(\d\d))?))?$/;

/** A Date; a day without a time stays the text that it is, as in JSON. */
function timestampOf(text: string, onError: (message: string) => void): Date | string {
  try {
    if (DATE_ONLY.test(text)) {
      parseIso(text);
      return text;
    }
    return new Date(parseIso(isoOf(text)));
  } catch {
    onError(`${text.slice(0, 64)} is not a time`);
    return text;
  }
}

/** YAML may leave out leading zeros, the `T`, and the minutes of the offset. */
function isoOf(text: string): string {
  const [, year, month, day, hour, minute, second, fraction, offset, sign, hours, minutes] =
    TIME.exec(text) ?? [];
  const date = [year, month?.padStart(2, '0'), day?.padStart(2, '0')].join('-');
  const time = [hour?.padStart(2, '0'), minute, second].join(':');
  const zone =
    sign === undefined ? (offset ?? '') : `${sign}${hours?.padStart(2, '0') ?? ''}:${minutes ?? '00'}`;
  return `${date}T${time}${fraction ? `.${fraction}` : ''}${zone}`;
}
