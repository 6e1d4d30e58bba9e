import { Option } from './commander.ts';
import type { Command } from 'commander';
import type { Celery } from '../app/celery.ts';
import type { UserCliCommand } from '../app/cli-extensions.ts';
import { importAll, openApp, withApp } from './app.ts';
import { createContext } from './context.ts';
import type { GlobalOptions } from './context.ts';
import { EXIT } from './failure.ts';
import { interruptible } from './interrupt.ts';
import type { Setup } from './wiring.ts';
import { applyGlobalEnvironment, runs } from './wiring.ts';

/**
 * Adds the options and commands that the user's app brings.
 * @returns whether it brings any
 */
export async function extendProgram(program: Command, setup: Setup): Promise<boolean> {
  applyGlobalEnvironment(program, setup.env);
  const context = createContext(program, program.opts<GlobalOptions>(), setup.env, setup.version);
  const { app } = await openApp(context);
  try {
    const { options, commands } = app.cliExtensions;
    for (const { place, flags, description } of options) {
      const command = place === 'all' ? program : program.commands.find((each) => each.name() === place);
      command?.addOption(new Option(flags, description));
    }
    for (const command of commands) addCommand(program, setup, command);
    return options.length + commands.length > 0;
  } finally {
    await app.close();
  }
}

function addCommand(
  program: Command,
  setup: Setup,
  { form, description, options, run }: UserCliCommand,
): void {
  const command = program.command(form).description(description).summary(description);
  for (const [flags, text] of Object.entries(options ?? {})) command.addOption(new Option(flags, text));
  runs(command, setup, (context, args, values: Readonly<Record<string, string | boolean | undefined>>) =>
    withApp(context, async (opened) => {
      await importAll(opened, context);
      const call = (signal: AbortSignal) =>
        Promise.resolve(run({ app: opened.app, args, options: values, signal }));
      return (await interruptible(call)) ?? EXIT.ok;
    }),
  );
}

/** The settings that options of the user's stand for, from what was typed for them. */
export async function userSettings(
  app: Celery,
  typed: Readonly<Record<string, unknown>>,
  command: string,
): Promise<Record<string, unknown>> {
  const settings: Record<string, unknown> = {};
  for (const { place, flags, description, handle } of app.cliExtensions.options) {
    if (place !== 'all' && place !== command) continue;
    const value = typed[new Option(flags, description).attributeName()];
    if (typeof value !== 'string' && value !== true) continue;
    Object.assign(settings, await handle(value, app));
  }
  return settings;
}
