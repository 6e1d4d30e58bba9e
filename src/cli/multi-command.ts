import type { Command } from 'commander';
import type { Setup } from './wiring.ts';
import { runs } from './wiring.ts';

/** `celery-ts multi`; what follows it has a form of its own. */
export function addMulti(program: Command, setup: Setup): void {
  const command = program
    .command('multi')
    .description('Start, stop and restart several workers in the background; see `multi help`.')
    .summary('start, stop and restart several workers in the background')
    .usage('COMMAND NODES... [WORKER OPTIONS]')
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions();
  const takesValue = (flag: string): boolean | undefined => {
    const worker = program.commands.find((each) => each.name() === 'worker');
    const options = [...(worker?.options ?? []), ...program.options];
    return options.find(({ short, long }) => short === flag || long === flag)?.required;
  };
  runs(command, setup, async (context, words) => {
    const { runMulti } = await import('./multi/multi.ts');
    return runMulti(context, words, takesValue);
  });
}
