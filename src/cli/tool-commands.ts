import type { Command } from 'commander';
import type { LogtoolCommand } from './logtool/logtool.ts';
import type { ShellOptions } from './shell.ts';
import type { UpgradeOptions } from './upgrade/upgrade.ts';
import { text, valued } from './options.ts';
import type { Setup } from './wiring.ts';
import { group, runs } from './wiring.ts';

/** The commands that need no broker: `shell`, `logtool`, `upgrade`, `completion`. */
export function addToolCommands(program: Command, setup: Setup): void {
  addShell(program, setup);
  addLogtool(program, setup);
  addUpgrade(program, setup);
  addCompletion(program, setup);
}

function addShell(program: Command, setup: Setup): void {
  const command = program
    .command('shell')
    .description('Start a Node.js prompt that has the app as `app` and its tasks by their names.')
    .summary('start a Node.js prompt with the app and its tasks')
    .usage('[OPTIONS]')
    .addOption(valued('-e, --eval <code>', 'run this code instead, and print its value', text))
    .option('-T, --without-tasks', 'leave out the tasks');
  runs(command, setup, async (context, _args, options: ShellOptions) => {
    const { runShell } = await import('./shell.ts');
    return runShell(context, options);
  });
}

const LOGTOOL: readonly [LogtoolCommand, string][] = [
  ['stats', 'count tasks, by name and by how they ended'],
  ['traces', 'print the entries that have a traceback'],
  ['errors', 'print the lines of tasks that failed'],
  ['incomplete', 'print the ids of tasks that were received and have not ended'],
  ['debug', 'print the lines that are not about tasks'],
];

function addLogtool(program: Command, setup: Setup): void {
  const logtool = group(program, 'logtool', 'Read logs of workers, of Celery and of celery-ts.');
  for (const [name, summary] of LOGTOOL) {
    const command = logtool
      .command(name)
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .summary(summary)
      .usage('[OPTIONS] [FILES]...')
      .argument('[files...]', 'log files; standard input when there are none')
      .option('-j, --json', 'print it as JSON');
    runs(command, setup, async (_context, files, options: { readonly json?: boolean }) => {
      const { runLogtool } = await import('./logtool/logtool.ts');
      return runLogtool(name, files, options);
    });
  }
}

function addUpgrade(program: Command, setup: Setup): void {
  const upgrade = group(program, 'upgrade', 'Bring files of older versions up to date.');
  const command = upgrade
    .command('settings')
    .description(
      'Give the settings in a file their names of today: CELERY_RESULT_BACKEND becomes result_backend. ' +
        'Python, TypeScript, JavaScript, JSON and YAML files; the old file is kept as FILE.orig.',
    )
    .summary('give the settings in a file their names of today')
    .usage('[OPTIONS] FILENAME')
    .argument('<filename>')
    .option('--django', 'for Django: CELERY_ before names in upper case')
    .option('--compat', 'the same as --django')
    .option('--no-backup', 'do not keep the old file');
  runs(command, setup, async (context, words, options: UpgradeOptions) => {
    const { runUpgrade } = await import('./upgrade/upgrade.ts');
    return runUpgrade(context, words, options);
  });
}

function addCompletion(program: Command, setup: Setup): void {
  const command = program
    .command('completion')
    .description(
      'Print a script that completes commands and options: `eval "$(celery-ts completion bash)"` in ~/.bashrc, ' +
        'the same with zsh in ~/.zshrc, `celery-ts completion fish | source` in fish.',
    )
    .summary('print a completion script for a shell')
    .usage('bash|zsh|fish')
    .argument('<shell>');
  runs(command, setup, async (context, [shell = '']) => {
    const { runCompletion } = await import('./completion.ts');
    return runCompletion(context, program, shell);
  });
}
