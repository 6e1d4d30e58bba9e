import type { Command } from 'commander';
import { nearest } from '../core/nearest.ts';
import { createContext } from './context.ts';
import type { Context, GlobalOptions } from './context.ts';
import { UnknownWord } from './failure.ts';
import { applyEnvironment } from './options.ts';

/** Runs a command; every one imports its code when it is called, so that `--help` answers at once. */
export type Action<Options> = (
  context: Context,
  args: readonly string[],
  options: Options,
) => Promise<number>;

/** What all commands are wired with. */
export interface Setup {
  readonly version: string;
  readonly env: Context['env'];
  readonly exit: (code: number) => void;
}

/** A command that is not there, and the one that was meant. */
export function unknownCommand(program: Command, name: string): UnknownWord {
  const similar = nearest(
    name,
    program.commands.map((command) => command.name()),
  );
  return new UnknownWord(
    program,
    `No such command '${name}'.${similar === undefined ? '' : ` Did you mean '${similar}'?`}`,
  );
}

/** A command that only has commands below it. */
export function group(program: Command, name: string, description: string): Command {
  const summary = description.charAt(0).toLowerCase() + description.slice(1).replace(/\.$/, '');
  const command = program.command(name).description(description).summary(summary);
  command.usage('COMMAND').helpOption('--help', 'show this text and exit').allowExcessArguments();
  return command.action(() => {
    const [word] = command.args;
    if (word === undefined) return command.help();
    throw unknownCommand(command, word);
  });
}

/** Fills in the options before the command from their variables. */
export function applyGlobalEnvironment(program: Command, env: Context['env']): void {
  applyEnvironment(program, env, {
    app: 'APP',
    broker: 'BROKER_URL',
    resultBackend: 'RESULT_BACKEND',
    config: 'CONFIG_MODULE',
    color: 'NO_COLOR',
  });
}

/** Wires a command to its code, with the options of the environment filled in. */
export function runs<Options extends object>(command: Command, setup: Setup, action: Action<Options>): void {
  command.helpOption('--help', 'show this text and exit').allowExcessArguments(false);
  command.action(async () => {
    const program = command.parent?.parent ?? command.parent ?? command;
    applyGlobalEnvironment(program, setup.env);
    applyEnvironment(command, setup.env);
    const context = createContext(command, program.opts<GlobalOptions>(), setup.env, setup.version);
    setup.exit(await action(context, command.args, command.opts<Options>()));
  });
}
