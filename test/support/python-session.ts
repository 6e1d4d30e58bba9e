import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { startCli, type CliOptions, type RunningCli } from './cli.ts';
import { python } from './python.ts';

/** Starts Python's `celery` with these arguments. */
export function startPythonCelery(args: readonly string[], options: CliOptions): RunningCli {
  return startCli(['celery', ...args], { ...options, program: '-m', node: python ?? 'python3' });
}

interface Answer {
  readonly value: unknown;
  readonly traceback?: string;
}

/** A Python process that runs one program after the other: an expression, or lines that `return`. */
export class PythonSession implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #stderr = '';

  private constructor(file: string, cwd: string, env: NodeJS.ProcessEnv) {
    const child = spawn(python ?? 'python3', [file], { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
    this.#child = child;
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-20_000);
    });
  }

  /** Runs a program that says `ready`, then answers every line of JSON with one of JSON. */
  static async start(file: string, cwd: string, env: NodeJS.ProcessEnv): Promise<PythonSession> {
    const session = new PythonSession(file, cwd, env);
    await session.#read();
    return session;
  }

  /** What the program returned; of an exception that escaped it `{ raises, module, args }`. */
  async run(program: string): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(program)}\n`);
    const { value } = JSON.parse(await this.#read()) as Answer;
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null && this.#child.kill('SIGKILL')) await ended;
  }

  async #read(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`The Python session ended:\n${this.#stderr}`);
    return line.value;
  }
}
