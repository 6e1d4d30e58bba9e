import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The Python that has Celery, or undefined: a virtual environment may come before it in the path. */
export const python: string | undefined = await findPython();

/** Runs a program with the real Celery and returns what it prints. */
export async function runPython(program: string, ...args: string[]): Promise<string> {
  if (python === undefined) throw new Error('No Python with Celery is installed');
  const { stdout } = await run(python, ['-c', program, ...args], { timeout: 60_000 });
  return stdout;
}

async function findPython(): Promise<string | undefined> {
  for (const candidate of ['python3', '/usr/bin/python3']) {
    try {
      await run(candidate, ['-c', 'import celery']);
      return candidate;
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
