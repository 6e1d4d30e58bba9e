import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';

const PROGRAM = resolve(import.meta.dirname, '../../bin/celery-ts.js');

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Text for its standard input, which is then closed. */
  readonly input?: string;
  /** Program to run instead of this repository's, and what runs it. */
  readonly program?: string;
  readonly node?: string;
}

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Text or pattern in the output, or anything else that is true of it. */
export type Pattern = RegExp | string | ((stdout: string) => boolean);

/** A command that is running. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<CliResult>;
  /** All output so far, both streams in order of arrival. */
  readonly output: string;
  readonly stdout: string;
  /** Resolves with the output as soon as it matches; rejects when the program ends before. */
  waitFor(pattern: Pattern, timeoutMs?: number): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `celery-ts` with these arguments. */
export function startCli(args: readonly string[], options: CliOptions): RunningCli {
  const child = spawn(options.node ?? process.execPath, [options.program ?? PROGRAM, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NODE_OPTIONS: undefined, VITEST: undefined, NO_COLOR: undefined, ...options.env },
    stdio: 'pipe',
  });
  const seen = { output: '', stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      seen[name] += text;
      seen.output += text;
      for (const watcher of watchers) watcher();
    });
  }
  if (options.input !== undefined) child.stdin.write(options.input);
  child.stdin.end();
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout: seen.stdout, stderr: seen.stderr });
      for (const watcher of watchers) watcher();
    });
  });
  const matches = (pattern: Pattern): boolean => {
    if (typeof pattern === 'function') return pattern(seen.stdout);
    return typeof pattern === 'string' ? seen.output.includes(pattern) : pattern.test(seen.output);
  };
  const waitFor = (pattern: Pattern, timeoutMs = 20_000) =>
    new Promise<string>((resolve, reject) => {
      const done = (settle: () => void) => {
        watchers.delete(check);
        clearTimeout(timer);
        settle();
      };
      const check = () => {
        if (matches(pattern)) done(() => resolve(seen.output));
        else if (child.exitCode !== null || child.signalCode !== null) {
          done(() => reject(new Error(`ended before ${String(pattern)}:\n${seen.output}`)));
        }
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`no ${String(pattern)} within ${timeoutMs} ms:\n${seen.output}`))),
        timeoutMs,
      );
      watchers.add(check);
      check();
    });
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    get output() {
      return seen.output;
    },
    get stdout() {
      return seen.stdout;
    },
    waitFor,
    kill: (signal) => void child.kill(signal),
  };
}

/** Runs `celery-ts` with these arguments to its end. */
export function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  return startCli(args, options).ended;
}
