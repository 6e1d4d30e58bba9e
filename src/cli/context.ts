import type { Command } from 'commander';
import { UsageError } from './failure.ts';

/** Options before the command. */
export interface GlobalOptions {
  readonly app?: string;
  readonly broker?: string;
  readonly resultBackend?: string;
  readonly config?: string;
  readonly workdir?: string;
  readonly color: boolean;
  readonly quiet?: boolean;
}

/** What every command gets. */
export interface Context {
  readonly global: GlobalOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; names of modules start here. */
  readonly cwd: string;
  /** Where the command was typed; `--workdir` has left it. */
  readonly startedIn: string;
  readonly version: string;
  /** What was typed for all options, and for which command: options of the user's app are among them. */
  readonly typed: Readonly<Record<string, unknown>>;
  readonly command: string;
  /** Ends the command with its usage and this text. */
  usage(message: string): UsageError;
}

/** Goes to `--workdir` before anything else happens, as Celery does. */
export function createContext(
  command: Command,
  global: GlobalOptions,
  env: Context['env'],
  version: string,
): Context {
  const startedIn = process.cwd();
  if (global.workdir !== undefined) {
    try {
      process.chdir(global.workdir);
    } catch (error) {
      const reason =
        (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (error as Error).message;
      throw new UsageError(
        command,
        `Invalid value for '--workdir': Directory '${global.workdir}' ${reason}.`,
      );
    }
  }
  const usage = (message: string): UsageError => new UsageError(command, message);
  const typed = { ...command.opts<Record<string, unknown>>(), ...global };
  return { global, env, cwd: process.cwd(), startedIn, version, typed, command: command.name(), usage };
}
