import type { Command } from 'commander';
import { addBrokerCommands } from './broker-commands.ts';
import type { CallOptions } from './call.ts';
import { Program } from './program.ts';
import type { Context } from './context.ts';
import { addEvents } from './events-command.ts';
import { addGraph } from './graph-command.ts';
import { commaList, float, natural, oneOf, text, valued } from './options.ts';
import { addMulti } from './multi-command.ts';
import { addBeat } from './no-beat.ts';
import type { PurgeOptions } from './purge.ts';
import type { RemoteOptions } from './remote.ts';
import type { ResultOptions } from './result.ts';
import { addToolCommands } from './tool-commands.ts';
import type { Setup } from './wiring.ts';
import { group, runs, unknownCommand } from './wiring.ts';
import { addWorker } from './worker-command.ts';

interface JsonOption {
  readonly json?: boolean;
}

/** The whole command line: global options and the commands. */
export function buildProgram(version: string, env: Context['env'], exit: (code: number) => void): Command {
  const setup: Setup = { version, env, exit };
  const program = new Program(setup)
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
  addEvents(program, setup);
  addMulti(program, setup);
  addPurge(program, setup);
  addBrokerCommands(program, setup);
  addGraph(program, setup);
  addReport(program, setup);
  addToolCommands(program, setup);
  addConfig(program, setup);
  addBeat(program, setup);
  return program;
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
    .addOption(valued('--routing-key <key>', 'routing key to send with', text))
    .addOption(
      valued('--count <number>', 'send it so many times and print an id a line', natural).default(1, '1'),
    )
    .option('-j, --json', 'print it as JSON');
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
    .option('--traceback', 'print the stored traceback at once instead')
    .option('-j, --json', 'print it as JSON, with the state and the traceback');
  runs(command, setup, async (context, args, options: ResultOptions) => {
    const { runResult } = await import('./result.ts');
    return runResult(context, args, options);
  });
}

function remoteOptions(command: Command): Command {
  return command
    .addOption(valued('-t, --timeout <seconds>', 'how long to wait for replies', float).default(1, '1'))
    .addOption(valued('-d, --destination <nodes>', 'ask only these nodes: w1@host,w2@host', commaList))
    .addOption(valued('--pattern <pattern>', 'ask only nodes whose name matches: w*@host', text))
    .addOption(
      valued(
        '--matcher <kind>',
        'how the pattern is written: glob, or pcre for a regular expression; default glob',
        oneOf(['glob', 'pcre']),
      ),
    )
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
    .addOption(valued('-X, --exclude-queues <names>', 'all configured queues but these: a,b', commaList))
    .option('-j, --json', 'print the counts as JSON; the question goes to stderr');
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
    .usage('[OPTIONS]')
    .option('-j, --json', 'print it as JSON');
  runs(command, setup, async (context, _args, options: JsonOption) => {
    const { runReport } = await import('./report.ts');
    return runReport(context, options);
  });
}

function addConfig(program: Command, setup: Setup): void {
  const config = group(program, 'config', 'Look after the configuration.');
  const command = config
    .command('check')
    .description('Load the app and its configuration and say what is wrong with it, or OK.')
    .summary('say what is wrong with the configuration')
    .usage('[OPTIONS]')
    .option('-j, --json', 'print it as JSON');
  runs(command, setup, async (context, _args, options: JsonOption) => {
    const { runConfigCheck } = await import('./config.ts');
    return runConfigCheck(context, options);
  });
}
