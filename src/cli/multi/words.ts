import { constants } from 'node:os';

/** Whether an option takes a value; undefined for one that the worker does not have. */
export type TakesValue = (flag: string) => boolean | undefined;

/** One option of the command line, with the nodes it is for: `-c:1-3 10`. */
export interface NodeOption {
  /** As typed, without nodes: `-c`, `--concurrency`. */
  readonly flag: string;
  readonly value: string | undefined;
  /** What stands behind the colon; undefined: for all nodes. */
  readonly nodes: string | undefined;
}

/** What follows the command of `multi`, taken apart. */
export interface MultiWords {
  readonly values: readonly string[];
  readonly options: readonly NodeOption[];
  /** `--` and what follows it. */
  readonly passedOn: readonly string[];
  /** `-9`, `-HUP`; undefined when there is none. */
  readonly signal: NodeJS.Signals | undefined;
}

const NAMES = Object.keys(constants.signals) as NodeJS.Signals[];

/** Takes the words behind a command of `multi` apart; `withSignal` tells whether `-HUP` is one. */
export function readWords(words: readonly string[], takesValue: TakesValue, withSignal: boolean): MultiWords {
  const values: string[] = [];
  const options: NodeOption[] = [];
  let signal: NodeJS.Signals | undefined;
  let position = 0;
  while (position < words.length) {
    const word = words[position] ?? '';
    position += 1;
    if (word === '--') {
      position -= 1;
      break;
    }
    const asSignal = withSignal ? signalOf(word) : undefined;
    if (asSignal !== undefined) signal = asSignal;
    else if (!word.startsWith('-') || word === '-') values.push(word);
    else {
      const { option, attached } = splitOption(word, takesValue);
      const next = words[position];
      const takes = !attached && wantsNext(option.flag, next, takesValue);
      if (takes) position += 1;
      options.push(takes ? { ...option, value: next } : option);
    }
  }
  return { values, options, passedOn: words.slice(position), signal };
}

/** An option that the worker does not have takes the next word as Celery has it: a short one does, a long one does not. */
function wantsNext(flag: string, next: string | undefined, takesValue: TakesValue): boolean {
  if (next === undefined) return false;
  return takesValue(flag) ?? (!flag.startsWith('--') && !next.startsWith('-'));
}

/** `--pidfile:1=x`, `-c:1-3`, `-c:1=10`, `-lINFO`, `-c3`. */
function splitOption(word: string, takesValue: TakesValue): { option: NodeOption; attached: boolean } {
  const [, flag = word, nodes, value] = /^(--?[^=:]+)(?::([^=]*))?(?:=(.*))?$/s.exec(word) ?? [];
  const short = flag.slice(0, 2);
  if (!flag.startsWith('--') && flag.length > 2 && takesValue(short) === true && nodes === undefined) {
    return { option: { flag: short, value: word.slice(2), nodes }, attached: true };
  }
  return { option: { flag, value, nodes }, attached: value !== undefined };
}

function signalOf(word: string): NodeJS.Signals | undefined {
  const [, name = ''] = /^-(\d+|[A-Z]\w+)$/.exec(word) ?? [];
  if (/^\d+$/.test(name)) return NAMES.find((each) => constants.signals[each] === Number(name));
  return NAMES.find((each) => each === name || each === `SIG${name}`);
}
