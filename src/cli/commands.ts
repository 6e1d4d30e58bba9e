import { Option } from 'commander';
import type { Command } from 'commander';
import { CliCommand } from './command.ts';
import { createContext } from './context.ts';
import type { CallOptions } from './call.ts';
import type { Context, GlobalOptions } from './context.ts';
import type { PurgeOptions } from './purge.ts';
import type { RemoteOptions } from './remote.ts';
import type { ResultOptions } from './result.ts';
import type { WorkerFlags } from './worker-options.ts';
import { UsageError } from './failure.ts';
import { nearest } from '../core/nearest.ts';
import { applyEnvironment, commaList, float, integer, natural, oneOf, text, valued } from './options.ts';

export const LOG_LEVEL_NAMES: readonly string[] = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'FATAL'];

/** Runs a command; every one imports its code when it is called, so that `--help` answers at once. */
type Action<Options> = (context: Context, args: readonly string[], options: Options) => Promise<number>;

interface Setup {
  readonly version: string;
  readonly env: Context['env'];
  readonly exit: (code: number) => void;
}

/** The whole command line: global options and the commands. */
export function buildProgram(version: string, env: Context['env'], exit: (code: number) => void): Command {
  const setup: Setup = { version, env, exit };
  const program = new CliCommand('celery-ts')
    .description('Distributed task queue: run workers, send tasks, look after both.')
    .usage('[OPTIONS] COMMAND [ARGS]...')
    .addOption(
      valued(
        '-A, --app <app>',
        'where the app is: tasks, src/tasks.ts, proj.celery, each with :export',
        text,
      ),
    )
    .addOption(valued('-b, --broker <url>', 'broker to use instead of the configured one', text))
    .addOption(valued('--result-backend <url>', 'result backend to use instead of the configured one', text))
    .addOption(
      valued(
        '--config <module>',
        'config module to use instead of the celeryconfig that would be found',
        text,
      ),
    )
    .addOption(valued('--workdir <path>', 'go to this folder before anything else', text))
    .option('-C, --no-color', 'no colours')
    .option('-q, --quiet', 'print less: no banner, no count of nodes')
    .version(version, '--version', 'print the version and exit')
    .helpOption('--help', 'show this text and exit')
    .helpCommand(false)
    .enablePositionalOptions()
    .allowExcessArguments()
    .exitOverride()
    .configureHelp({ showGlobalOptions: false, subcommandTerm: (command) => command.name() })
    .addHelpText(
      'after',
      '\nGlobal options stand before the command. Options can come from the environment as well:\n' +
        'CELERY_<OPTION> for global ones, CELERY_<COMMAND>_<OPTION> for those of a command.',
    );
  program.action(() => {
    const [name] = program.args;
    if (name === undefined) return program.help();
    throw unknownCommand(program, name);
  });
  addWorker(program, setup);
  addCall(program, setup);
  addResult(program, setup);
  addRemote(program, setup);
  addPurge(program, setup);
  addReport(program, setup);
  addConfig(program, setup);
  return program;
}

function unknownCommand(program: Command, name: string): UsageError {
  const similar = nearest(
    name,
    program.commands.map((command) => command.name()),
  );
  return new UsageError(
    program,
    `No such command '${name}'.${similar === undefined ? '' : ` Did you mean '${similar}'?`}`,
  );
}

/** Wires a command to its code, with the options of the environment filled in. */
function runs<Options extends object>(command: Command, setup: Setup, action: Action<Options>): void {
  command.helpOption('--help', 'show this text and exit').allowExcessArguments(false);
  command.action(async () => {
    const program = command.parent?.parent ?? command.parent ?? command;
    applyEnvironment(program, setup.env, {
      app: 'APP',
      broker: 'BROKER_URL',
      resultBackend: 'RESULT_BACKEND',
      config: 'CONFIG_MODULE',
      color: 'NO_COLOR',
    });
    applyEnvironment(command, setup.env);
    const context = createContext(command, program.opts<GlobalOptions>(), setup.env, setup.version);
    setup.exit(await action(context, command.args, command.opts<Options>()));
  });
}

function addWorker(program: Command, setup: Setup): void {
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
    .optionsGroup('Pool:')
    .addOption(
      valued('-c, --concurrency <n>', 'tasks to run at the same time; default: the number of CPUs', natural),
    )
    .addOption(
      valued(
        '-P, --pool <pool>',
        'prefork: child processes (default); solo: this process, one task at a time',
        text,
      ),
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
    .optionsGroup('Accepted for existing scripts, with no effect yet:')
    .addOption(new Option('--without-gossip', 'workers do not listen to each other yet'))
    .addOption(new Option('--without-mingle', 'workers do not ask each other at the start yet'))
    .addOption(new Option('--without-heartbeat', 'workers send no heartbeat events yet'))
    .optionsGroup('Options:');
  runs(command, setup, async (context, words, options: WorkerFlags) => {
    const { runWorker } = await import('./worker.ts');
    return runWorker(context, words, options);
  });
}

function addCall(program: Command, setup: Setup): void {
  const command = program
    .command('call')
    .description('Send a task by its name and print its id. The task need not be defined here.')
    .summary('send a task by its name')
    .usage('[OPTIONS] NAME')
    .argument('<name>')
    .addOption(valued('-a, --args <json>', 'positional arguments, a JSON array', text))
    .addOption(valued('-k, --kwargs <json>', 'keyword arguments, a JSON object', text))
    .addOption(valued('--eta <time>', 'run not before this time, ISO-8601', text))
    .addOption(valued('--countdown <seconds>', 'run not before so many seconds have passed', float))
    .addOption(valued('--expires <time>', 'do not run after this time: ISO-8601, or seconds from now', text))
    .addOption(valued('--serializer <name>', 'how to encode the message; default json', text))
    .addOption(valued('--queue <name>', 'queue to send to', text))
    .addOption(valued('--exchange <name>', 'exchange to send to', text))
    .addOption(valued('--routing-key <key>', 'routing key to send with', text));
  runs(command, setup, async (context, args, options: CallOptions) => {
    const { runCall } = await import('./call.ts');
    return runCall(context, args, options);
  });
}

function addResult(program: Command, setup: Setup): void {
  const command = program
    .command('result')
    .description('Wait for the result of a task and print it.')
    .summary('print the result of a task')
    .usage('[OPTIONS] TASK_ID')
    .argument('<task_id>')
    .addOption(valued('-t, --task <name>', 'name of the task, when it has a result backend of its own', text))
    .option('--traceback', 'print the stored traceback at once instead');
  runs(command, setup, async (context, args, options: ResultOptions) => {
    const { runResult } = await import('./result.ts');
    return runResult(context, args, options);
  });
}

function remoteOptions(command: Command): Command {
  return command
    .addOption(valued('-t, --timeout <seconds>', 'how long to wait for replies', float).default(1, '1'))
    .addOption(valued('-d, --destination <nodes>', 'ask only these nodes: w1@host,w2@host', commaList))
    .option('-j, --json', 'print the replies as JSON');
}

function addRemote(program: Command, setup: Setup): void {
  for (const kind of ['control', 'inspect'] as const) {
    const command = program
      .command(kind)
      .description(
        kind === 'control' ? 'Change what running workers do.' : 'Ask running workers about themselves.',
      )
      .summary(kind === 'control' ? 'change what running workers do' : 'ask running workers about themselves')
      .usage('[OPTIONS] COMMAND [ARGS]...')
      .argument('[command]', 'what to do; --list shows all')
      .argument('[args...]')
      .option('--list', `list the ${kind} commands and exit`);
    runs(remoteOptions(command), setup, async (context, args, options: RemoteOptions) => {
      const { runRemote } = await import('./remote.ts');
      return runRemote(kind, context, args, options);
    });
  }
  const status = program
    .command('status')
    .description('List the workers that answer.')
    .summary('list the workers that answer')
    .usage('[OPTIONS]');
  runs(remoteOptions(status), setup, async (context, _args, options: RemoteOptions) => {
    const { runStatus } = await import('./remote.ts');
    return runStatus(context, options);
  });
}

function addPurge(program: Command, setup: Setup): void {
  const command = program
    .command('purge')
    .description('Delete the messages that wait in the queues. They cannot be brought back.')
    .summary('delete waiting messages')
    .usage('[OPTIONS]')
    .option('-f, --force', 'do not ask')
    .addOption(valued('-Q, --queues <names>', 'only these queues: a,b', commaList))
    .addOption(valued('-X, --exclude-queues <names>', 'all configured queues but these: a,b', commaList));
  runs(command, setup, async (context, _args, options: PurgeOptions) => {
    const { runPurge } = await import('./purge.ts');
    return runPurge(context, options);
  });
}

function addReport(program: Command, setup: Setup): void {
  const command = program
    .command('report')
    .description('Print versions and settings, as a bug report needs them. Passwords are masked.')
    .summary('print versions and settings for a bug report')
    .usage('[OPTIONS]');
  runs(command, setup, async (context) => {
    const { runReport } = await import('./report.ts');
    return runReport(context);
  });
}

function addConfig(program: Command, setup: Setup): void {
  const group = program
    .command('config')
    .description('Look after the configuration.')
    .summary('check the configuration');
  group.usage('COMMAND').helpOption('--help', 'show this text and exit').allowExcessArguments();
  group.action(() => {
    const [name] = group.args;
    if (name === undefined) return group.help();
    throw unknownCommand(group, name);
  });
  const command = group
    .command('check')
    .description('Load the app and its configuration and say what is wrong with it, or OK.')
    .summary('say what is wrong with the configuration')
    .usage('[OPTIONS]');
  runs(command, setup, async (context) => {
    const { runConfigCheck } = await import('./config.ts');
    return runConfigCheck(context);
  });
}
