import { Option } from './commander.ts';
import type { Command } from 'commander';
import { autoscaleLimits } from './autoscale-limits.ts';
import { isInBackground, reportStart } from './background.ts';
import { addBeatOptions } from './no-beat.ts';
import { commaList, float, integer, natural, oneOf, text, valued } from './options.ts';
import { umaskOf } from './umask.ts';
import type { Setup } from './wiring.ts';
import { runs } from './wiring.ts';
import type { WorkerFlags } from './worker-options.ts';

export const LOG_LEVEL_NAMES: readonly string[] = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'FATAL'];

/** `celery-ts worker` and its options. */
export function addWorker(program: Command, setup: Setup): void {
  const upper = (value: string) => value.toUpperCase();
  const accepted = 'accepted for existing scripts; ';
  const command = program
    .command('worker')
    .description('Start a worker.')
    .summary('start a worker')
    .usage('[OPTIONS] [SETTING=VALUE]...')
    .argument(
      '[settings...]',
      'settings for this worker: worker.prefetch_multiplier=7 task_soft_time_limit=33',
    )
    .optionsGroup('Worker:')
    .addOption(
      valued(
        '-n, --hostname <name>',
        'node name, such as w1@%h; %h host name, %n its first label, %d the rest',
        text,
      ),
    )
    .addOption(
      valued(
        '-l, --loglevel <level>',
        `log lines of this level and above: ${LOG_LEVEL_NAMES.join(', ')}`,
        oneOf(LOG_LEVEL_NAMES, upper),
      ).default('WARNING'),
    )
    .addOption(
      valued(
        '-f, --logfile <path>',
        'write the log to this file instead of stderr; %n, %h, %i, %I expand',
        text,
      ),
    )
    .addOption(valued('--pidfile <path>', 'keep the process id in this file while the worker runs', text))
    .addOption(
      valued(
        '-S, --statedb <path>',
        'keep in this file what was revoked, for the next start; %n, %h expand',
        text,
      ),
    )
    .addOption(
      valued(
        '-I, --include <modules>',
        'modules with tasks to import besides the configured ones: a,b',
        commaList,
      ),
    )
    .addOption(
      valued(
        '-O, --optimization <profile>',
        `${accepted}default and fair are the same`,
        oneOf(['default', 'fair']),
      ),
    )
    .addOption(valued('--prefetch-multiplier <n>', 'messages to hold for each process', integer))
    .addOption(new Option('--disable-prefetch', 'take a message only when a process is free for it'))
    .optionsGroup('Pool:')
    .addOption(
      valued('-c, --concurrency <n>', 'tasks to run at the same time; default: the number of CPUs', natural),
    )
    .addOption(
      valued(
        '-P, --pool <pool>',
        'prefork: child processes, one task at a time in each (default); async: many at a time in each, for tasks that wait (gevent and eventlet mean it); solo: this process, one task at a time',
        text,
      ),
    )
    .addOption(
      valued('--autoscale <max,min>', 'size the pool by load, between these limits', autoscaleLimits),
    )
    .addOption(valued('--time-limit <seconds>', 'kill a task that runs longer', float))
    .addOption(valued('--soft-time-limit <seconds>', 'tell a task that runs longer to end', float))
    .addOption(valued('--max-tasks-per-child <n>', 'replace a child process after this many tasks', natural))
    .addOption(
      valued(
        '--max-memory-per-child <KiB>',
        'replace a child process that takes more memory, after its task',
        natural,
      ),
    )
    .optionsGroup('Queues:')
    .addOption(valued('-Q, --queues <names>', 'take messages from these queues only: a,b', commaList))
    .addOption(
      valued(
        '-X, --exclude-queues <names>',
        'take messages from all configured queues but these: a,b',
        commaList,
      ),
    )
    .addOption(new Option('--purge', 'delete the waiting messages of the queues before starting'))
    .addOption(new Option('--discard', 'the same as --purge'))
    .optionsGroup('Events:')
    .addOption(new Option('-E, --task-events', 'send events about tasks, for monitors'))
    .addOption(new Option('--events', 'the same as --task-events'))
    .addOption(
      valued('--heartbeat-interval <seconds>', 'how often to send a heartbeat event; default 2', natural),
    )
    .addOption(new Option('--without-heartbeat', 'send no heartbeat events'))
    .addOption(new Option('--without-gossip', 'do not listen to the other workers'))
    .addOption(new Option('--without-mingle', 'do not ask the other workers for revoked tasks at the start'))
    .optionsGroup('Daemon:')
    .addOption(new Option('-D, --detach', 'run in the background'));
  daemonOptions(command).optionsGroup('Options:');
  addBeatOptions(command);
  runs(command, setup, async (context, words, options: WorkerFlags) => {
    const { takePrivileges } = await import('./privileges.ts');
    takePrivileges(options);
    if (options.detach === true && !isInBackground(context.env)) {
      const { detachWorker } = await import('./worker-detach.ts');
      return detachWorker(context, words, options);
    }
    const report = reportStart(context.env);
    // Before the rest of the worker's code is loaded.
    const { startEarly } = await import('./worker-early.ts');
    const early = startEarly(context, options);
    const { runWorker } = await import('./worker.ts');
    return runWorker(context, { words, flags: options, early, report });
  });
}

/** Options of what can run as a daemon. */
export function daemonOptions(command: Command): Command {
  return command
    .addOption(valued('--uid <user>', 'run as this user, name or number', text))
    .addOption(valued('--gid <group>', 'run as this group, name or number', text))
    .addOption(valued('--umask <mode>', 'rights that new files do not get: 022', umaskOf))
    .addOption(valued('--executable <path>', 'Node.js to run it with in the background', text));
}
