import { Option } from './commander.ts';
import type { Command } from 'commander';
import { UsageError } from './failure.ts';
import type { Setup } from './wiring.ts';
import { runs } from './wiring.ts';

const ADVICE =
  "celery-ts has no scheduler of periodic tasks yet. Python's serves its workers as well: run `celery beat` " +
  'with the same broker, and let it send tasks by their names.';

/** What the worker takes for beat in Celery: hidden, and answered with what to do instead. */
const OPTIONS = [
  new Option('-B, --beat'),
  new Option('-s, --schedule-filename <path>'),
  new Option('--schedule <path>'),
  new Option('--scheduler <class>'),
];

/** Adds the worker's options for beat. */
export function addBeatOptions(command: Command): void {
  for (const option of OPTIONS) {
    command.addOption(option.hideHelp());
    command.on(`option:${option.name()}`, () => {
      throw new UsageError(command, `${option.long ?? ''}: ${ADVICE}`);
    });
  }
}

/** `celery-ts beat`, with whatever options. */
export function addBeat(program: Command, setup: Setup): void {
  const command = program
    .command('beat', { hidden: true })
    .description(ADVICE)
    .usage('[OPTIONS]')
    .argument('[args...]')
    .allowUnknownOption();
  runs(command, setup, (context) => Promise.reject(context.usage(ADVICE)));
}
