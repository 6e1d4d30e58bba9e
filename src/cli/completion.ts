import type { Command, Option } from 'commander';
import { COMMANDS } from '../worker/control/commands.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';

/** `celery-ts completion SHELL`: the script knows what this version has, and runs nothing while it completes. */
export function runCompletion(context: Context, program: Command, shell: string): Promise<number> {
  const write = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (write === undefined) {
    throw context.usage(`Invalid value for 'SHELL': '${shell}' is not one of 'bash', 'zsh', 'fish'.`);
  }
  print(write(placesOf(program)));
  return Promise.resolve(EXIT.ok);
}

/** A word that may stand in a place, and what it does. */
interface Word {
  readonly text: string;
  readonly help: string;
  /** Of an option: whether the next word is its value. */
  readonly takesValue: boolean;
}

/** What can be typed behind the words of a command. */
interface Place {
  /** `''` for the program itself, `worker`, `amqp queue.declare`. */
  readonly path: string;
  readonly options: readonly Word[];
  readonly commands: readonly Word[];
  /** Words that are no commands of their own: remote control commands. */
  readonly words: readonly Word[];
}

const MULTI = ['start', 'stop', 'stopwait', 'restart', 'kill', 'show', 'names', 'expand', 'get', 'help'];

function placesOf(command: Command, path = ''): Place[] {
  const { visibleOptions, visibleCommands } = helpOf(command);
  const below = visibleCommands.flatMap((each) => placesOf(each, `${path} ${each.name()}`.trim()));
  const place = {
    path,
    options: visibleOptions.flatMap(wordsOf),
    commands: visibleCommands.map((each) => word(each.name(), each.summary() || each.description())),
    words: wordsBehind(path),
  };
  return [place, ...below];
}

function helpOf(command: Command) {
  const help = command.createHelp();
  return { visibleOptions: help.visibleOptions(command), visibleCommands: help.visibleCommands(command) };
}

function word(text: string, help: string, takesValue = false): Word {
  return { text, help, takesValue };
}

function wordsOf({ short, long, description, required }: Option): Word[] {
  const flags = [short, long].filter((flag) => flag !== undefined);
  return flags.map((flag) => word(flag, description, required));
}

function wordsBehind(path: string): Word[] {
  if (path === 'multi') return MULTI.map((name) => word(name, ''));
  if (path === 'completion') return ['bash', 'zsh', 'fish'].map((name) => word(name, ''));
  return COMMANDS.filter(({ kind, hidden }) => kind === path && hidden !== true).map(({ name, help }) =>
    word(name, help),
  );
}

const SHELLS: Readonly<Record<string, (places: readonly Place[]) => string>> = { bash, zsh, fish };

/** The words of a place that completion offers, commands first. */
function offered({ commands, words, options }: Place): readonly Word[] {
  return [...commands, ...words, ...options];
}

/** How to come from one place to another, and which options take a value: what bash and zsh have in common. */
function steps(places: readonly Place[]): { readonly into: string[]; readonly values: string[] } {
  const into = places.flatMap(({ path, commands }) =>
    commands.map(({ text }) => `      "${path}:${text}") place="${`${path} ${text}`.trim()}" ;;`),
  );
  const values = places.flatMap(({ path, options }) => {
    const flags = options.filter(({ takesValue }) => takesValue).map(({ text }) => `"${path}:${text}"`);
    return flags.length === 0 ? [] : [`      ${flags.join('|')}) skip=1 ;;`];
  });
  return { into, values };
}

function bash(places: readonly Place[]): string {
  const { into, values } = steps(places);
  const words = places.map((each) => {
    const list = offered(each).map(({ text }) => text);
    return `    "${each.path}") words="${list.join(' ')}" ;;`;
  });
  return [
    '# Completion of celery-ts for bash: eval "$(celery-ts completion bash)"',
    '_celery_ts() {',
    '  local current="${COMP_WORDS[COMP_CWORD]}" place="" words="" skip=0 index word',
    '  for ((index = 1; index < COMP_CWORD; index++)); do',
    '    word="${COMP_WORDS[index]}"',
    '    if ((skip)); then skip=0; continue; fi',
    '    case "$place:$word" in',
    ...into,
    ...values,
    '    esac',
    '  done',
    '  COMPREPLY=()',
    '  if ((! skip)); then',
    '  case "$place" in',
    ...words,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  fi',
    '}',
    'complete -o default -F _celery_ts celery-ts',
  ].join('\n');
}

function zsh(places: readonly Place[]): string {
  const { into, values } = steps(places);
  const words = places.map((each) => {
    const list = offered(each).map(({ text, help }) => quoted(`${text.replaceAll(':', '\\:')}:${help}`));
    return `    "${each.path}") offers=(${list.join(' ')}) ;;`;
  });
  return [
    '#compdef celery-ts',
    '# Completion of celery-ts for zsh: eval "$(celery-ts completion zsh)"',
    '_celery_ts() {',
    '  local place="" skip=0 word',
    '  for word in "${(@)words[2,CURRENT-1]}"; do',
    '    if ((skip)); then skip=0; continue; fi',
    '    case "$place:$word" in',
    ...into,
    ...values,
    '    esac',
    '  done',
    '  if ((skip)); then _files; return; fi',
    '  local -a offers',
    '  case "$place" in',
    ...words,
    '  esac',
    "  _describe 'celery-ts' offers || _files",
    '}',
    'if [ "$funcstack[1]" = "_celery_ts" ]; then _celery_ts "$@"; else compdef _celery_ts celery-ts; fi',
  ].join('\n');
}

function fish(places: readonly Place[]): string {
  const into = places.flatMap(({ path, commands }) =>
    commands.map(({ text }) => `      case '${path}:${text}'; set place '${`${path} ${text}`.trim()}'`),
  );
  const values = places.flatMap(({ path, options }) =>
    options.filter(({ takesValue }) => takesValue).map(({ text }) => `'${path}:${text}'`),
  );
  const lines = [
    '# Completion of celery-ts for fish: celery-ts completion fish | source',
    'function __celery_ts_at',
    "  set -l place ''",
    '  set -l skip 0',
    '  for word in (commandline -opc)[2..-1]',
    '    if test $skip = 1; set skip 0; continue; end',
    '    switch "$place:$word"',
    ...into,
    `      case ${values.join(' ')}; set skip 1`,
    '    end',
    '  end',
    '  test "$place" = "$argv[1]"',
    'end',
  ];
  for (const { path, commands, words, options } of places) {
    const here = `complete -c celery-ts -n '__celery_ts_at "${path}"'`;
    if (commands.length + words.length > 0) lines.push(`${here} -f`);
    for (const { text, help } of [...commands, ...words]) {
      lines.push(`${here} -a ${quoted(text)} -d ${quoted(help)}`);
    }
    for (const { text, help, takesValue } of options) {
      const flag = text.startsWith('--') ? `-l ${text.slice(2)}` : `-s ${text.slice(1)}`;
      lines.push(`${here} ${flag}${takesValue ? ' -r -F' : ''} -d ${quoted(help)}`);
    }
  }
  return lines.join('\n');
}

/** For all three shells: no `'` inside, which each would write in its own way. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
