import { Command } from 'commander';
import type { ErrorOptions, Option } from 'commander';
import { commandPath, UsageError } from './failure.ts';
import { nearest } from '../core/nearest.ts';

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
        return this.#unknownOption(/'([^']*)'/.exec(text)?.[1] ?? text);
      case 'commander.optionMissingArgument':
        throw new UsageError(this, `Option ${quotedFlags(text)} requires an argument.`);
      case 'commander.missingArgument':
        throw new UsageError(
          this,
          `Missing argument '${(/'([^']*)'/.exec(text)?.[1] ?? '').toUpperCase()}'.`,
        );
      case 'commander.excessArguments':
        throw new UsageError(this, `Got unexpected extra arguments (${this.args.join(' ')})`);
      case 'commander.invalidArgument': {
        const problem = /is invalid\. ([\s\S]*)$/.exec(text)?.[1] ?? text;
        throw new UsageError(this, `Invalid value for ${quotedFlags(text)}: ${problem}`);
      }
      default:
        throw new UsageError(this, text);
    }
  }

  #unknownOption(flag: string): never {
    const long = (command: Command): string[] =>
      command
        .createHelp()
        .visibleOptions(command)
        .flatMap((option: Option) => [option.short, option.long ?? ''])
        .filter(isFlag);
    const root = this.parent === null ? undefined : rootOf(this);
    const hint = root !== undefined && long(root).includes(flag) ? globalHint(this, flag) : '';
    const similar = hint === '' ? nearest(flag, long(this)) : undefined;
    throw new UsageError(
      this,
      `No such option: ${flag}${similar === undefined ? '' : ` Did you mean ${similar}?`}`,
      hint,
    );
  }
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

function isFlag(flag: string | undefined): flag is string {
  return flag !== undefined && flag !== '';
}

/** `option '-l, --loglevel <level>' argument …` → `'-l' / '--loglevel'`. */
function quotedFlags(text: string): string {
  const flags = /option '([^']*)'/.exec(text)?.[1] ?? '';
  return [...flags.matchAll(/--?[\w-]+/g)].map(([flag]) => `'${flag}'`).join(' / ');
}
