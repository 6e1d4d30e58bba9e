import { CommanderError } from './commander.ts';
import { packageVersion } from '../core/package.ts';
import { buildProgram } from './commands.ts';
import { CliFailure, EXIT } from './failure.ts';

/** Runs the command line of this process and ends it with Celery's exit code. */
export async function main(): Promise<void> {
  // A worker does not end because nobody reads what it prints any more.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const exitCode = await run(process.argv.slice(2), process.env);
  // The user's modules may hold sockets and timers of their own; what this program opened is closed by now.
  await written(process.stdout);
  await written(process.stderr);
  process.exit(exitCode);
}

/** Parses and runs one command line; returns the exit code. */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = buildProgram(packageVersion(), env, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode; // --help, --version
    if (error instanceof CliFailure) {
      if (error.message !== '') process.stderr.write(`${error.message}\n`);
      return error.exitCode;
    }
    const { reportError, wantsStacks } = await import('./report-error.ts');
    return reportError(error, wantsStacks(argv, env));
  }
}

function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
