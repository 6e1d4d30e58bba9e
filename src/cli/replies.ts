import { pythonRepr } from '../core/python-repr.ts';
import { COLORS, indent, print } from './output.ts';
import type { Paint } from './output.ts';

/** Prints the reply of one node as Celery does: `->  w1@host: OK` and what it said. */
export function printReply(
  node: string,
  reply: unknown,
  options: { paint: Paint; quiet: boolean; body: boolean },
): void {
  const { paint, quiet } = options;
  const { word, text } = describe(reply);
  const arrow = quiet ? '' : `${paint('->', COLORS.white, COLORS.bold)} `;
  const color = word === 'OK' ? COLORS.green : COLORS.red;
  print(`${arrow} ${paint(`${node}: `, COLORS.cyan, COLORS.bold)}${paint(word, color, COLORS.bold)}`);
  if (options.body && text !== '') print(text);
}

function describe(reply: unknown): { word: 'OK' | 'ERROR'; text: string } {
  if (Array.isArray(reply)) {
    const lines = reply.map((item: unknown) => `    * ${typeof item === 'string' ? item : pythonRepr(item)}`);
    return { word: 'OK', text: lines.length === 0 ? '    - empty -' : lines.join('\n') };
  }
  if (typeof reply === 'object' && reply !== null) {
    if ('ok' in reply) return { word: 'OK', text: indent(said(reply.ok), 8) };
    if ('error' in reply) return { word: 'ERROR', text: indent(said(reply.error), 8) };
    return { word: 'OK', text: indent(tree(reply), 4) };
  }
  return { word: 'OK', text: indent(said(reply), 4) };
}

function said(value: unknown): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

/** JSON over lines, with keys in order at every depth; numbers that JSON does not have are those of Python. */
function tree(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return pythonJson(value);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const items = Array.isArray(value)
    ? value.map(tree)
    : Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => `${JSON.stringify(key)}: ${tree(inner)}`);
  return items.length === 0 ? `${open}${close}` : `${open}\n${indent(items.join(',\n'), 4)}\n${close}`;
}

/** JSON on one line with the spaces that Python puts into it. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Date) return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${pythonJson(inner)}`);
  return `{${members.join(', ')}}`;
}
