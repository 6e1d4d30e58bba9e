import type { ArgumentType, ArgumentTypes } from '../app/remote-command.ts';
import { nearest } from '../core/nearest.ts';
import { COMMANDS } from '../worker/control/commands.ts';
import type { Context } from './context.ts';
import type { CliFailure } from './failure.ts';

/** Remote control commands either change workers or ask them. */
export type Kind = 'control' | 'inspect';

/** A command that workers understand, as the command line offers it. */
export interface RemoteCommand {
  readonly name: string;
  readonly kind: Kind;
  readonly hidden?: boolean;
  readonly args?: ArgumentTypes;
  readonly variadic?: string;
  readonly signature?: string;
  readonly help?: string;
}

/** Celery's commands of a kind and those of the user's app, by name; one of the user's takes the place of Celery's. */
export function commandsOf(kind: Kind, own: readonly RemoteCommand[]): ReadonlyMap<string, RemoteCommand> {
  const all = [...COMMANDS, ...own].filter((command) => command.kind === kind && command.hidden !== true);
  const sorted = all.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  return new Map(sorted.map((command) => [command.name, command]));
}

/** The arguments that words of the command line stand for. @throws {UsageError} too many, or of the wrong kind */
export function readArguments(
  command: RemoteCommand,
  words: readonly string[],
  context: Context,
): Record<string, unknown> {
  const declared = Object.entries(command.args ?? {});
  const values: Record<string, unknown> = {};
  for (const [index, [name, type]] of declared.entries()) {
    const word = words[index];
    if (word !== undefined) values[name] = convert(name, word, type, context);
  }
  const rest = words.slice(declared.length);
  if (command.variadic !== undefined) values[command.variadic] = rest;
  else if (rest.length > 0) {
    const signature = command.signature ?? 'none';
    throw context.usage(`Command '${command.name}' takes arguments: ${signature}`);
  }
  return values;
}

const YES = ['y', 'yes', 't', 'true', 'on', '1'];
const NO = ['n', 'no', 'f', 'false', 'off', '0'];

function convert(name: string, word: string, type: ArgumentType, context: Context): unknown {
  const bad = (what: string): CliFailure =>
    context.usage(`Invalid value for '${name}': '${word}' is not ${what}.`);
  switch (type) {
    case 'str':
      return word;
    case 'int':
      if (!/^[+-]?\d+$/.test(word.trim())) throw bad('a valid integer');
      return Number(word);
    case 'float':
      if (word.trim() === '' || Number.isNaN(Number(word))) throw bad('a valid float');
      return Number(word);
    case 'bool': {
      const lower = word.toLowerCase();
      if (!YES.includes(lower) && !NO.includes(lower)) throw bad('yes or no');
      return YES.includes(lower);
    }
  }
}

/** A command that is not there: which there are, and which was meant. */
export function unknown(
  kind: Kind,
  name: string,
  commands: ReadonlyMap<string, RemoteCommand>,
  context: Context,
): CliFailure {
  const known = [...commands.keys()];
  const elsewhere = kind === 'control' ? 'inspect' : 'control';
  const similar = nearest(name, known);
  const meant = similar === undefined ? '' : `. Did you mean '${similar}'?`;
  const hint = commandsOf(elsewhere, []).has(name) ? `. Did you mean '${elsewhere} ${name}'?` : meant;
  return context.usage(
    `Command ${name} not recognized. Available ${kind} commands: ${known.join(', ')}${hint}`,
  );
}

const HELP_COLUMN = 34;

/** What `--list` prints. */
export function listing(kind: Kind, commands: ReadonlyMap<string, RemoteCommand>): string {
  const title = kind === 'control' ? 'Control Commands:' : 'Inspect Commands:';
  const lines = [...commands.values()].map(({ name, signature = '', help = '' }) => {
    const left = `  ${name} ${signature}`.trimEnd();
    const gap =
      left.length > HELP_COLUMN - 2 ? `\n${' '.repeat(HELP_COLUMN)}` : ' '.repeat(HELP_COLUMN - left.length);
    return (left + gap + help).trimEnd();
  });
  return [title, ...lines].join('\n');
}
