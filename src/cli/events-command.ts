import { Option } from './commander.ts';
import type { Command } from 'commander';
import { isInBackground, reportStart } from './background.ts';
import type { EventsFlags } from './events.ts';
import { float, oneOf, text, valued } from './options.ts';
import type { Setup } from './wiring.ts';
import { runs } from './wiring.ts';
import { daemonOptions, LOG_LEVEL_NAMES } from './worker-command.ts';

/** `celery-ts events` and its options. */
export function addEvents(program: Command, setup: Setup): void {
  const command = program
    .command('events')
    .description('Watch the events that workers and clients send.')
    .summary('watch the events of workers and clients')
    .usage('[OPTIONS]')
    .addOption(new Option('-d, --dump', 'print every event as a line'))
    .addOption(new Option('-j, --json', 'with --dump: each event as a line of JSON'))
    .addOption(
      valued('-c, --camera <module>', 'take pictures of the cluster with this class: module:Class', text),
    )
    .addOption(valued('-F, --frequency <seconds>', 'seconds between two pictures; default 1', float))
    .addOption(valued('--freq <seconds>', 'the same as --frequency', float))
    .addOption(valued('-r, --maxrate <rate>', 'pictures at most, such as 10/m', text))
    .addOption(
      valued(
        '-l, --loglevel <level>',
        `log lines of this level and above: ${LOG_LEVEL_NAMES.join(', ')}`,
        oneOf(LOG_LEVEL_NAMES, (value) => value.toUpperCase()),
      ).default('WARNING'),
    )
    .addOption(valued('-f, --logfile <path>', 'write the log to this file instead of stderr', text))
    .addOption(valued('--pidfile <path>', 'keep the process id in this file while it runs', text));
  command.addOption(new Option('--detach', 'take pictures in the background'));
  runs(daemonOptions(command), setup, async (context, _words, options: EventsFlags) => {
    const { takePrivileges } = await import('./privileges.ts');
    takePrivileges(options);
    if (options.detach === true && !isInBackground(context.env)) {
      if (options.camera === undefined) throw context.usage('Only --camera goes into the background.');
      const { detach } = await import('./detach.ts');
      const { logfile, executable } = options;
      return detach(context, { logfile, executable });
    }
    const report = reportStart(context.env);
    const { runEvents } = await import('./events.ts');
    return runEvents(context, options, report);
  });
}
