import type { Command } from 'commander';
import { AMQP_COMMANDS, signatureOf } from './amqp/table.ts';
import type { AmqpOptions } from './amqp/amqp.ts';
import type { BindingsOptions } from './bindings.ts';
import type { MigrateOptions } from './migrate.ts';
import { commaList, float, natural, valued } from './options.ts';
import type { Setup } from './wiring.ts';
import { group, runs } from './wiring.ts';

/** The commands that look after a broker: `list bindings`, `amqp`, `migrate`. */
export function addBrokerCommands(program: Command, setup: Setup): void {
  addList(program, setup);
  addAmqp(program, setup);
  addMigrate(program, setup);
}

function addList(program: Command, setup: Setup): void {
  const list = group(program, 'list', 'List what the broker has.');
  const command = list
    .command('bindings')
    .description('List the bindings of queues to exchanges. RabbitMQ tells them by its management plugin.')
    .summary('list the bindings of queues to exchanges')
    .usage('[OPTIONS]')
    .option('-j, --json', 'print them as JSON');
  runs(command, setup, async (context, _args, options: BindingsOptions) => {
    const { runBindings } = await import('./bindings.ts');
    return runBindings(context, options);
  });
}

function addAmqp(program: Command, setup: Setup): void {
  const amqp = program
    .command('amqp')
    .description('Look after exchanges, queues and messages; without a command, a shell for that.')
    .summary('look after exchanges, queues and messages')
    .usage('[COMMAND] [ARGS]...');
  runs(amqp, setup, async (context) => {
    const { runAmqpShell } = await import('./amqp/amqp.ts');
    return runAmqpShell(context);
  });
  for (const each of AMQP_COMMANDS) {
    const command = amqp
      .command(each.name)
      .description(`${each.help[0]?.toUpperCase() ?? ''}${each.help.slice(1)}.`)
      .summary(each.help)
      .usage(`[OPTIONS] ${signatureOf(each)}`)
      .argument('[words...]')
      .option('-j, --json', 'print the answer as JSON');
    runs(command, setup, async (context, words, options: AmqpOptions) => {
      const { runAmqp } = await import('./amqp/amqp.ts');
      return runAmqp(context, each, words, options);
    });
  }
  const repl = amqp.command('repl').description('Start the shell.').summary('start the shell').usage('');
  runs(repl, setup, async (context) => {
    const { runAmqpShell } = await import('./amqp/amqp.ts');
    return runAmqpShell(context);
  });
}

function addMigrate(program: Command, setup: Setup): void {
  const command = program
    .command('migrate')
    .description(
      'Copy the waiting tasks of one broker to another; with --ack-messages move them. The brokers may be of different kinds.',
    )
    .summary('copy or move tasks from one broker to another')
    .usage('[OPTIONS] SOURCE DESTINATION')
    .argument('<source>')
    .argument('<destination>')
    .addOption(valued('-n, --limit <n>', 'stop after so many tasks', natural))
    .addOption(valued('-t, --timeout <seconds>', 'wait so long for more tasks; default 0', float))
    .option('-a, --ack-messages', 'remove them from the source')
    .addOption(valued('-T, --tasks <names>', 'only tasks of these names: a,b', commaList))
    .addOption(valued('-Q, --queues <names>', 'only these queues; a:b puts those of a into b', commaList))
    .option('-F, --forever', 'go on until Ctrl-C')
    .option('-j, --json', 'print the counts as JSON at the end');
  runs(command, setup, async (context, words, options: MigrateOptions) => {
    const { runMigrate } = await import('./migrate.ts');
    return runMigrate(context, words, options);
  });
}
