import type { Logger } from '../core/logger.ts';
import { ValueError } from '../core/errors.ts';
import type { ControlArguments, RequestInfo } from './control-replies.ts';

/** How the command line turns an argument's text into a value: `str`, `int`, `float`, `bool` (yes, no, true, 1 …). */
export type ArgumentType = 'str' | 'int' | 'float' | 'bool';

/** What the command line and `--list` know of a command. */
export interface CommandOptions<Arguments extends Readonly<Record<string, ArgumentType>> = ArgumentTypes> {
  /** Names and types of the arguments, in the order of the command line: `{ n: 'int' }`. */
  readonly args?: Arguments;
  /** Name of the argument that takes all further words, as a list. */
  readonly variadic?: string;
  /** The arguments as `--list` shows them: `[N=1]`. */
  readonly signature?: string;
  /** One line for `--list`. */
  readonly help?: string;
}

/** Argument types by name. */
export type ArgumentTypes = Readonly<Record<string, ArgumentType>>;

interface Values {
  readonly str: string;
  readonly int: number;
  readonly float: number;
  readonly bool: boolean;
}

/** Arguments as they came: those that are declared with their types, each of which may be missing. */
export type CommandArguments<Arguments extends ArgumentTypes> = {
  readonly [Name in keyof Arguments]?: Values[Arguments[Name]];
} & ControlArguments;

/** The worker, as commands of your own see it. */
export interface RemoteWorker {
  /** Node name. */
  readonly hostname: string;
  readonly logger: Logger;
  /** Tasks that run now. */
  active(): readonly RequestInfo[];
  /** Tasks that were received and wait for a free process. */
  reserved(): readonly RequestInfo[];
  /** Names of the queues it consumes. */
  readonly queues: readonly string[];
  /** Messages that the broker may leave with it unsettled; 0 = no limit. */
  readonly prefetchCount: number;
  /** Raises, or with a negative number lowers, that count. */
  changePrefetch(by: number): void;
  /** As `inspect stats` answers. */
  stats(): Readonly<Record<string, unknown>>;
}

/** Runs in the worker's main process; what it returns, or resolves with, is the reply. Keep it short: tasks wait meanwhile. */
export type CommandHandler<Arguments extends ArgumentTypes = ArgumentTypes> = (
  worker: RemoteWorker,
  args: CommandArguments<Arguments>,
) => unknown;

/** A remote control command of the user's. */
export interface UserCommand extends CommandOptions {
  readonly name: string;
  readonly kind: 'control' | 'inspect';
  readonly run: CommandHandler;
}

/** The remote control commands that an app adds to its workers. */
export class UserCommands {
  readonly #commands = new Map<string, UserCommand>();

  get all(): readonly UserCommand[] {
    return [...this.#commands.values()];
  }

  /** @throws {ValueError} the app has a command of that name */
  add(command: UserCommand): void {
    if (this.#commands.has(command.name)) {
      throw new ValueError(`There is a remote control command '${command.name}' already.`);
    }
    this.#commands.set(command.name, command);
  }
}
