import { isoUtc } from '../core/time.ts';
import type { Plain } from './plain-tree.ts';

/** Plain data as YAML 1.1 in flow style, all of it ASCII: a part of such a document is one itself. */
export function writeYaml(value: Plain): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return numberText(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      return objectText(value);
  }
}

/** One member of a mapping, its value written already. */
export function yamlMember(key: string, value: string): string {
  const text = quoted(key);
  // PyYAML looks no further for the colon of a key without a mark.
  return text.length > MAX_SIMPLE_KEY ? `? ${text} : ${value}` : `${text}: ${value}`;
}

const MAX_SIMPLE_KEY = 1000;

function objectText(value: Exclude<Plain, string | number | bigint | boolean>): string {
  if (value === null) return 'null';
  if (value instanceof Date) return isoUtc(value).replace('T', ' ');
  if (value instanceof Uint8Array) {
    return `!!binary "${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`;
  }
  if (Array.isArray(value)) return `[${(value as readonly Plain[]).map(writeYaml).join(', ')}]`;
  const members = Object.entries(value as { readonly [key: string]: Plain });
  return `{${members.map(([key, item]) => yamlMember(key, writeYaml(item))).join(', ')}}`;
}

/** A float of YAML 1.1 has a dot, and a sign in its exponent. */
function numberText(number: number): string {
  if (Number.isNaN(number)) return '.nan';
  if (!Number.isFinite(number)) return number > 0 ? '.inf' : '-.inf';
  const text = String(number);
  if (/^-?\d+$/.test(text)) {
    // Too large to be exact: a float, so that it comes back as the number it is.
    return Number.isSafeInteger(number) ? text : `${text}.0`;
  }
  return text.includes('e') && !text.includes('.') ? text.replace('e', '.0e') : text;
}

const ESCAPED = /["\\]|[^ -~]/gu;
const SHORT: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

function quoted(text: string): string {
  return `"${text.replace(ESCAPED, escape)}"`;
}

function escape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return (
    SHORT.get(character) ?? (code > 0xffff ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`)
  );
}
