import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { python } from './python.ts';

/** A running Python, and what it prints. */
export class PythonProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  #output = '';
  readonly #watchers = new Set<() => void>();
  readonly #ended: Promise<void>;

  /** @param args as on Python's command line: `-c program`, `-m celery …` */
  constructor(args: readonly string[], { cwd }: { readonly cwd?: string } = {}) {
    if (python === undefined) throw new Error('No Python with Celery is installed');
    this.child = spawn(python, args, {
      cwd,
      env: { ...process.env, PYTHONUNBUFFERED: '1', C_FORCE_ROOT: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        for (const watcher of this.#watchers) watcher();
      });
    }
    this.#ended = new Promise((resolve) => {
      this.child.once('close', () => {
        for (const watcher of this.#watchers) watcher();
        resolve();
      });
    });
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves with the match as soon as the output has one. */
  async until(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || this.child.exitCode !== null)
        throw new Error(`No ${String(pattern)} in:\n${this.#output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#watchers.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
      this.#watchers.clear();
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop('SIGKILL');
  }
}
