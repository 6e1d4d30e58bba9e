import { Command } from './commander.ts';
import type { ErrorOptions } from 'commander';
import { didYouMean } from '../core/nearest.ts';
import { commandPath, UnknownWord, UsageError } from './failure.ts';

/** A command whose usage errors read like Celery's. */
export class CliCommand extends Command {
  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  /** Every complaint of commander about the command line comes through here, with a documented code. */
  override error(message: string, options?: ErrorOptions): never {
    const text = message.replace(/^error: /, '');
    switch (options?.code) {
      case 'commander.unknownOption':
        return this.#unknownOption(/'([^'=]*)/.exec(text)?.[1] ?? text);
      case 'commander.optionMissingArgument':
        throw new UsageError(this, `Option ${quotedFlags(text)} requires an argument.`);
      case 'commander.missingArgument':
        throw new UsageError(
          this,
          `Missing argument '${(/'([^']*)'/.exec(text)?.[1] ?? '').toUpperCase()}'.`,
        );
      case 'commander.excessArguments':
        throw new UsageError(this, this.#excess());
      case 'commander.invalidArgument': {
        const problem = /is invalid\. ([\s\S]*)$/.exec(text)?.[1] ?? text;
        throw new UsageError(this, `Invalid value for ${quotedFlags(text)}: ${problem}`);
      }
      default:
        throw new UsageError(this, text);
    }
  }

  #excess(): string {
    const extra = this.args.slice(this.registeredArguments.length);
    return `Got unexpected extra ${extra.length === 1 ? 'argument' : 'arguments'} (${extra.join(' ')})`;
  }

  #unknownOption(flag: string): never {
    const root = rootOf(this);
    const isGlobal = root !== this && flagsOf(root).includes(flag);
    const similar = isGlobal ? '' : didYouMean(flag, flagsOf(this));
    const hint = isGlobal ? globalHint(this, flag) : '';
    throw new UnknownWord(this, `No such option: ${flag}${similar === '' ? '' : `.${similar}`}`, hint);
  }
}

function flagsOf(command: Command): string[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ short, long }) => [short, long]).filter((flag) => flag !== undefined);
}

function globalHint(command: Command, flag: string): string {
  const [program = '', ...rest] = commandPath(command).split(' ');
  const name = rest.join(' ');
  return (
    `${flag} is a global option: it stands before the command.\n` +
    `Instead of: ${program} ${name} ${flag} …\n` +
    `write:      ${program} ${flag} … ${name}\n\n`
  );
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

/** `option '-l, --loglevel <level>' argument …` → `'-l' / '--loglevel'`. */
function quotedFlags(text: string): string {
  const flags = /option '([^']*)'/.exec(text)?.[1] ?? '';
  return [...flags.matchAll(/--?[\w-]+/g)].map(([flag]) => `'${flag}'`).join(' / ');
}
