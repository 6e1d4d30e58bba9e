import { InvalidArgumentError, Option } from './commander.ts';
import type { Command } from 'commander';
import { UsageError } from './failure.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** An option with a value; the parser throws `InvalidArgumentError` with what is wrong. */
export function valued<T>(flags: string, description: string, parse: (text: string) => T): Option {
  return new Option(flags, description).argParser(parse);
}

export function text(value: string): string {
  return value;
}

export function integer(value: string): number {
  if (!/^\s*[+-]?\d+\s*$/.test(value)) throw new InvalidArgumentError(`'${value}' is not a valid integer.`);
  return Number(value);
}

export function natural(value: string): number {
  const number = integer(value);
  if (number < 1) throw new InvalidArgumentError(`${value} is not 1 or more.`);
  return number;
}

export function float(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || Number.isNaN(number)) {
    throw new InvalidArgumentError(`'${value}' is not a valid float.`);
  }
  return number;
}

/** `a,b,c`. */
export function commaList(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** One of the names; `fold` brings what was typed to the form of the names. */
export function oneOf(
  names: readonly string[],
  fold: (text: string) => string = text,
): (value: string) => string {
  return (value) => {
    const folded = fold(value);
    if (names.includes(folded)) return folded;
    throw new InvalidArgumentError(
      `'${value}' is not one of ${names.map((name) => `'${name}'`).join(', ')}.`,
    );
  };
}

/**
 * Fills in the options that were not typed from the environment: `CELERY_<COMMAND>_<OPTION>`, or the names given for one.
 * @param literal further variables by option name, such as `APP` for `app`; they win over the automatic name
 */
export function applyEnvironment(
  command: Command,
  env: Environment,
  literal: Readonly<Record<string, string>> = {},
): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === 'cli') continue;
    const variable = variablesOf(command, option, literal[name]).find((each) => (env[each] ?? '') !== '');
    if (variable !== undefined)
      command.setOptionValueWithSource(name, fromVariable(command, option, variable, env), 'env');
  }
}

function variablesOf(command: Command, option: Option, literal: string | undefined): string[] {
  const words = ['CELERY', ...pathBelowRoot(command), option.name()];
  const automatic = words.join('_').replaceAll(/[-.]/g, '_').toUpperCase();
  return literal === undefined ? [automatic] : [literal, automatic];
}

function pathBelowRoot(command: Command): string[] {
  return command.parent === null ? [] : [...pathBelowRoot(command.parent), command.name()];
}

function fromVariable(command: Command, option: Option, variable: string, env: Environment): unknown {
  const value = env[variable] ?? '';
  if (option.isBoolean() || option.negate) return isYes(value) !== option.negate;
  const parse = option.parseArg as ((text: string) => unknown) | undefined;
  try {
    return parse === undefined ? value : parse(value);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError(command, `Invalid value for ${variable} (${option.flags}): ${error.message}`);
  }
}

function isYes(value: string): boolean {
  return !['0', 'false', 'no', 'off', 'n', 'f'].includes(value.toLowerCase());
}
