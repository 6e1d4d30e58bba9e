import { parseArgs } from 'node:util';
import type { BrokerName, Choices, Results } from './model.ts';

export interface Options extends Choices {
  /** Names of figures; empty: all. */
  readonly figures: readonly string[];
  readonly rounds: number;
  readonly help: boolean;
  readonly list: boolean;
  readonly record: boolean;
  readonly check: boolean;
  /** Percent, in place of each metric's own. */
  readonly margin: number | undefined;
  /** Where to write what was measured. */
  readonly json: string | undefined;
  /** Compare or record this file of `--json` instead of measuring. */
  readonly from: string | undefined;
  /** Folder for profiles of the workers of celery-ts. */
  readonly cpuProf: string | undefined;
}

/** Something on the command line that cannot be meant. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const BROKERS: readonly BrokerName[] = ['rabbitmq', 'redis'];
const RESULTS: readonly Results[] = ['off', 'rpc', 'redis'];

/** @throws {UsageError} */
export function parseOptions(
  args: readonly string[],
  figures: readonly string[],
  names: readonly string[],
): Options {
  const { values, positionals } = parsed(args);
  const unknown = positionals.find((name) => !figures.includes(name));
  if (unknown !== undefined) throw new UsageError(`No figure ${unknown}; there are: ${figures.join(', ')}`);
  const { quick = false, record = false, check = false, from } = values;
  const contenders = list(values.contenders);
  const stranger = contenders?.find((name) => !names.includes(name));
  if (stranger !== undefined)
    throw new UsageError(`No contender ${stranger}; there are: ${names.join(', ')}`);
  if (record && (quick || contenders !== undefined)) {
    throw new UsageError('--record keeps full tables only: without --quick and --contenders');
  }
  if (from !== undefined && !record && !check) throw new UsageError('--from goes with --check or --record');
  const concurrency = list(values.concurrency)?.map((text) => count('--concurrency', text));
  return {
    figures: positionals,
    brokers: oneOf('--broker', list(values.broker), BROKERS),
    results: oneOf('--results', list(values.results), RESULTS),
    concurrency,
    tasks: values.tasks === undefined ? undefined : count('--tasks', values.tasks),
    contenders,
    rounds: values.rounds === undefined ? (quick ? 1 : 3) : count('--rounds', values.rounds),
    margin: values.margin === undefined ? undefined : count('--margin', values.margin),
    json: values.json,
    from,
    cpuProf: values['cpu-prof'],
    help: values.help ?? false,
    list: values.list ?? false,
    ...{ quick, record, check },
  };
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...{ broker: text, results: text, concurrency: text, tasks: text, contenders: text, rounds: text },
        ...{ json: text, from: text, margin: text, 'cpu-prof': text },
        ...{ quick: flag, record: flag, check: flag, list: flag, help: flag },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function list(text: string | undefined): string[] | undefined {
  return text?.split(',').map((item) => item.trim());
}

function oneOf<T extends string>(
  option: string,
  given: readonly string[] | undefined,
  all: readonly T[],
): readonly T[] {
  const unknown = given?.find((name) => !(all as readonly string[]).includes(name));
  if (unknown !== undefined) throw new UsageError(`${option} ${unknown}: it is one of ${all.join(', ')}`);
  return given === undefined ? all : all.filter((name) => given.includes(name));
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`${option} ${text}: it is a number from 1`);
  return value;
}
