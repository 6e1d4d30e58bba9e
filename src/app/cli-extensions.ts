import { ValueError } from '../core/errors.ts';
import type { Settings } from '../settings/settings.ts';
import type { Celery } from './celery.ts';

/** Commands of `celery-ts` that take options of your own; `all`: before any command, as Celery's preload options. */
export type CliOptionPlace = 'all' | 'worker' | 'events' | (string & {});

/**
 * Takes the value of an option of your own: text, or true for one without a value. Called when the app has its configuration,
 * before the command runs; the settings that it returns are in force as if they stood on the command line.
 */
export type CliOptionHandler = (
  value: string | boolean,
  app: Celery,
) => Settings | undefined | Promise<Settings | undefined>;

/** An option of the user's. */
export interface UserCliOption {
  readonly place: CliOptionPlace;
  /** As help shows it: `-t, --tenant <name>`; without `<…>` it takes no value. */
  readonly flags: string;
  readonly description: string;
  readonly handle: CliOptionHandler;
}

/** What the command line knows of a command of your own. */
export interface CliCommandOptions {
  /** One line for the help. */
  readonly description: string;
  /** Flags and description of each option: `{ '--dry-run': 'only say what would be done', '-n, --limit <n>': 'at most' }`. */
  readonly options?: Readonly<Record<string, string>>;
}

/** What a command of your own is called with. */
export interface CliCommandCall {
  readonly app: Celery;
  /** By the names in the command's form; of a last one with `...` a list. */
  readonly args: readonly string[];
  /** By name in camelCase: text, or true. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/** Does the command; returns the exit code, default 0. */
export type CliCommandHandler = (call: CliCommandCall) => number | undefined | Promise<number | undefined>;

/** A command of the user's. */
export interface UserCliCommand extends CliCommandOptions {
  /** Its name and arguments: `replay <queue> [limit]`. */
  readonly form: string;
  readonly run: CliCommandHandler;
}

/** What an app adds to the command line. */
export class CliExtensions {
  readonly options: UserCliOption[] = [];
  readonly commands: UserCliCommand[] = [];

  /** @throws {ValueError} it is no option */
  addOption(option: UserCliOption): void {
    if (!/^(-\w, )?--[a-z][\w-]*( <[^>]+>)?$/i.test(option.flags)) {
      throw new ValueError(
        `'${option.flags}' is no option: write it as '--name', '--name <value>' or '-n, --name <value>'`,
      );
    }
    this.options.push(option);
  }

  /** @throws {ValueError} it has no name, or there is one of that name */
  addCommand(command: UserCliCommand): void {
    const name = nameOf(command);
    if (name === '') throw new ValueError(`'${command.form}' does not begin with the name of a command`);
    if (this.commands.some((each) => nameOf(each) === name)) {
      throw new ValueError(`there is a command '${name}' already`);
    }
    this.commands.push(command);
  }
}

function nameOf({ form }: UserCliCommand): string {
  return /^[a-z][\w.-]*/i.exec(form)?.[0] ?? '';
}
