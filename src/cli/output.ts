/** Colours as terminal escapes, or none of them. */
export type Paint = (text: string, ...codes: readonly (number | string)[]) => string;

export const COLORS = { red: 31, green: 32, cyan: 36, white: 37, bold: 1, boldCyan: '1;36' } as const;

/** Colours only on a terminal, and not with `--no-color` or `NO_COLOR`. */
export function createPaint(wanted: boolean, stream: NodeJS.WriteStream = process.stdout): Paint {
  if (!wanted || !stream.isTTY) return (text) => text;
  return (text, ...codes) => `${codes.map((code) => `\u001b[${String(code)}m`).join('')}${text}\u001b[0m`;
}

// The terminal's own: later `process.stdout` may be redirected to the log.
const { stdout, stderr } = process;

/** Writes a line to stdout. */
export function print(line: string): void {
  stdout.write(`${line}\n`);
}

/** Writes a line to stderr. */
export function printError(line: string): void {
  stderr.write(`${line}\n`);
}

/** Text as it is, anything else as Python prints it. */
export function indent(text: string, width: number): string {
  const space = ' '.repeat(width);
  return text
    .split('\n')
    .map((line) => space + line)
    .join('\n');
}

/** `1 node`, `2 nodes`. */
export function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? '' : 's'}`;
}
