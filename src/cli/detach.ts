import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { packageFile } from '../core/package.ts';
import { READY, READY_FD, READY_MARK } from './background.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { cannotWrite } from './file-failure.ts';
import { printError } from './output.ts';

const PROGRAM = packageFile('bin/celery-ts.js');

/** How the process in the background is started. */
export interface DetachOptions {
  /** Expanded path of its log, which also gets what Node itself writes when it crashes. */
  readonly logfile: string | undefined;
  /** Node.js to run it with. Default: that of this process. */
  readonly executable: string | undefined;
}

/**
 * Runs this command line once more, in a session of its own and without a terminal, and waits until it has started.
 * @returns 0, or the exit code of a process that could not start; what it said is printed
 */
export async function detach(
  context: Context,
  { logfile, executable = process.execPath }: DetachOptions,
): Promise<number> {
  const log = logfile === undefined ? undefined : openLog(logfile);
  const argv = process.argv.slice(2).filter((word) => word !== '--detach' && word !== '-D');
  const child = spawn(executable, [...process.execArgv, PROGRAM, ...argv], {
    cwd: context.startedIn,
    detached: true,
    env: { ...context.env, [READY]: String(READY_FD) },
    stdio: ['ignore', 'ignore', log ?? 'ignore', 'pipe'],
  });
  if (log !== undefined) closeSync(log);
  const { ready, said, code } = await start(child);
  if (said !== '') printError(said.trimEnd());
  return ready ? EXIT.ok : (code ?? EXIT.failure);
}

interface Start {
  readonly ready: boolean;
  readonly said: string;
  readonly code: number | null;
}

function start(child: ChildProcess): Promise<Start> {
  return new Promise((resolve, reject) => {
    let said = '';
    const pipe = child.stdio[READY_FD] as Readable | null | undefined;
    pipe?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (!said.endsWith(READY_MARK)) return;
      pipe.destroy();
      resolve({ ready: true, said: said.slice(0, -READY_MARK.length), code: null });
    });
    child.once('error', (error) => {
      const problem = `Error: Cannot run ${child.spawnfile}: ${error.message}`;
      reject(new CliFailure(problem, undefined, { cause: error }));
    });
    child.once('close', (code) => resolve({ ready: false, said, code }));
  });
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a');
  } catch (error) {
    throw cannotWrite('log file', path, error);
  }
}
