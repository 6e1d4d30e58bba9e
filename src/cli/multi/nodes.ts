import { normalize } from 'node:path';
import { ValueError } from '../../core/errors.ts';
import { nodename, splitNodename } from '../../core/nodename.ts';
import type { MultiWords } from './words.ts';

/** A worker of `multi`, by what is on the command line. */
export interface Node {
  /** `celery1@example.com`. */
  readonly name: string;
  readonly pidfile: string;
  readonly logfile: string;
  /** The program that runs the worker, and its arguments. */
  readonly executable: string;
  readonly argv: readonly string[];
  /** Fills in `%n`, `%N`, `%h`, `%d`, `%p`; `%i` and `%I` stay for the worker. */
  expand(template: string): string;
}

/** What workers are started with unless the words say otherwise. */
export interface Surroundings {
  readonly hostname: string;
  /** Node.js. */
  readonly executable: string;
  /** The words that make it start a worker in the background. */
  readonly command: readonly string[];
}

/** Where Celery's `multi` keeps these files, and the init scripts look for them. */
export const DEFAULTS = { pidfile: '/var/run/celery/%n.pid', logfile: '/var/log/celery/%n%I.log' } as const;

/** Options of `multi` itself, which the workers do not get. */
const OWN_OPTIONS = ['--cmd', '--append', '--hostname', '-n', '--prefix', '--suffix', '--range-prefix'];

/** Options that stand before the word `worker`. */
const GLOBAL_FLAGS = [
  '-A',
  '--app',
  '-b',
  '--broker',
  '--result-backend',
  '--loader',
  '--config',
  '--workdir',
];
const GLOBAL_SWITCHES = ['-C', '--no-color', '-q', '--quiet'];

/** The nodes that the words name. @throws {ValueError} an option is for a node that is not among them */
export function nodesOf(words: MultiWords, surroundings: Surroundings): Node[] {
  const own = new Map<string, string>();
  for (const { flag, value } of words.options) if (OWN_OPTIONS.includes(flag)) own.set(flag, value ?? '');
  const given = givenNames(words.values, own);
  const names = given.map((name) => fullName(name, own, surroundings, given.length !== words.values.length));
  const options = words.options.filter(({ flag }) => !OWN_OPTIONS.includes(flag));
  const targets = options.map(({ nodes }) =>
    nodes === undefined ? undefined : targetsOf(nodes, words.values, names),
  );
  return names.map((name, index) => {
    const merged = new Map<string, string | undefined>();
    // What is said for some nodes counts more than what is said for all, wherever it stands.
    for (const { flag, value, nodes } of options) if (nodes === undefined) merged.set(flag, value);
    for (const [at, { flag, value }] of options.entries()) {
      if (targets[at]?.has(index) === true) merged.set(flag, value);
    }
    return createNode(name, merged, { own, passedOn: words.passedOn, surroundings });
  });
}

/** Names as typed; a single number stands for so many nodes. */
function givenNames(values: readonly string[], own: ReadonlyMap<string, string>): readonly string[] {
  const [only = ''] = values;
  if (values.length !== 1 || !/^\d+$/.test(only)) return values;
  const prefix = own.get('--range-prefix') || 'celery';
  return Array.from({ length: Number(only) }, (_, index) => `${prefix}${String(index + 1)}`);
}

function fullName(
  given: string,
  own: ReadonlyMap<string, string>,
  { hostname }: Surroundings,
  ofRange: boolean,
): string {
  const { name, host } = splitNodename(given);
  if (name !== undefined) return nodename(`${name}@${host}`, hostname);
  const quoted = own.get('--suffix');
  const suffix = quoted === '""' || quoted === "''" ? '' : quoted;
  const on = suffix || own.get('-n') || own.get('--hostname') || hostname;
  const prefix = ofRange ? '' : (own.get('--prefix') ?? '');
  return nodename(`${prefix}${given}@${on}`, hostname);
}

/** `1`, `1-3`, `1,3`, `image`, `image,video`: the indexes of these nodes. */
function targetsOf(text: string, typed: readonly string[], names: readonly string[]): ReadonlySet<number> {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const byName = names.findIndex((name) => name === part || splitNodename(name).name === part);
    const index = byName === -1 ? typed.indexOf(part) : byName;
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (index !== -1 && !(typed.length === 1 && first !== undefined)) found.add(index);
    else if (first === undefined || Number(first) < 1 || Number(last) > names.length) {
      throw new ValueError(
        `There is no node '${part}'. The nodes are ${names.join(', ') || 'none'}, counted from 1.`,
      );
    } else for (let number = Number(first); number <= Number(last); number += 1) found.add(number - 1);
  }
  return found;
}

interface NodeParts {
  readonly own: ReadonlyMap<string, string>;
  readonly passedOn: readonly string[];
  readonly surroundings: Surroundings;
}

function createNode(
  name: string,
  options: Map<string, string | undefined>,
  { own, passedOn, surroundings }: NodeParts,
): Node {
  const expand = (template: string): string => expandTemplate(template, name);
  options.delete('-n');
  options.set('-n', name);
  const pidfile = withDefault(options, ['--pidfile'], DEFAULTS.pidfile);
  const logfile = withDefault(options, ['--logfile', '-f'], DEFAULTS.logfile);
  const executable = withDefault(options, ['--executable'], surroundings.executable);
  const command = own.get('--cmd')?.split(' ').filter(Boolean) ?? surroundings.command;
  const at = command.indexOf('worker');
  const [before, behind] = [command.slice(0, Math.max(0, at)), command.slice(Math.max(0, at))];
  const global: string[] = [];
  const local: string[] = [];
  for (const [flag, value] of options) {
    const isGlobal = GLOBAL_FLAGS.includes(flag) || GLOBAL_SWITCHES.includes(flag);
    (isGlobal ? global : local).push(...written(flag, value, expand));
  }
  const append = own.get('--append')?.split(' ').filter(Boolean).map(expand) ?? [];
  return {
    name,
    pidfile: expand(pidfile),
    logfile: expand(logfile),
    executable,
    argv: [...before, ...global, ...behind, ...local, ...passedOn, ...append],
    expand,
  };
}

function withDefault(
  options: Map<string, string | undefined>,
  flags: readonly string[],
  value: string,
): string {
  for (const flag of flags) {
    const given = options.get(flag);
    if (given !== undefined) return given;
  }
  options.set(flags[0] ?? '', normalize(value));
  return normalize(value);
}

function written(flag: string, value: string | undefined, expand: (text: string) => string): string[] {
  if (value === undefined) return [flag];
  return flag.startsWith('--') ? [`${flag}=${expand(value)}`] : [flag, expand(value)];
}

/** As Celery has it here: `%h` and `%p` are the whole name, `%n` and `%N` the part before `@`, `%d` the one behind it. */
function expandTemplate(template: string, node: string): string {
  const { name = '', host } = splitNodename(node);
  const values: Readonly<Record<string, string>> = {
    ...{ n: name, N: name, h: node, p: node, d: host },
    ...{ i: '%i', I: '%I', '%': '%' },
  };
  return template.replace(/%(\w|%)/g, (_, letter: string) => {
    const value = values[letter];
    if (value !== undefined) return value;
    throw new ValueError(
      `Unknown format %${letter} in '${template}'. It may hold %n, %N, %h, %p, %d, %i, %I.`,
    );
  });
}
