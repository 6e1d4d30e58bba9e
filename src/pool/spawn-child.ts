import type { ChildProcess as NodeChild } from 'node:child_process';
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import { WorkerLostError } from '../core/errors.ts';
import { packageFile } from '../core/package.ts';

// Also when this code runs from src or build, as in tests: a child runs plain JavaScript, and the copy of celery-ts that the
// user's own `import` gets.
const CHILD_MAIN = packageFile('dist/pool/child-main.js');

// Options of the supervisor that a child must not repeat: a debugger's port is taken, and code given as text is the program
// of the supervisor.
const OWN_OPTIONS =
  /^--?(inspect(-.*)?|debug(-.*)?|e|p|pe|eval|print|i|interactive|c|check|test|watch(-.*)?)(=|$)/;
const WITH_VALUE = /^--?(e|p|pe|eval|print|inspect-port|watch-path)$/;

/**
 * V8 lets the space for young objects grow to 3 x 16 MB in each process, which a pool has many times; tasks of all sizes are as fast
 * with less. Node's own option, here or in NODE_OPTIONS, goes before it.
 */
const YOUNG_SPACE = '--max-semi-space-size';
const YOUNG_SPACE_MB = 4;

/** How `ps` shows a child. */
export function childTitle(hostname: string, name: string): string {
  return `celery-ts: ${hostname} ${name}`;
}

/**
 * Starts the program of a child, with Node's own options as this process has them.
 *
 * @param title the child shows it in `ps`; passed as an argument for nothing but the room, which a title cannot exceed
 */
export function spawnChild(title: string): NodeChild {
  const execArgv: string[] = [];
  for (let index = 0; index < process.execArgv.length; index += 1) {
    const option = process.execArgv[index] ?? '';
    if (!OWN_OPTIONS.test(option)) execArgv.push(option);
    else if (WITH_VALUE.test(option)) index += 1;
  }
  const young = isYoungSpaceGiven(execArgv) ? [] : [`${YOUNG_SPACE}=${YOUNG_SPACE_MB}`];
  return spawn(process.execPath, [...execArgv, ...young, CHILD_MAIN, title], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
}

function isYoungSpaceGiven(execArgv: readonly string[]): boolean {
  // eslint-disable-next-line no-restricted-properties -- what Node itself reads of the environment, for a process of its own
  const given = [...execArgv, process.env['NODE_OPTIONS'] ?? ''];
  return given.some((option) => option.replaceAll('_', '-').includes(YOUNG_SPACE));
}

/**
 * The supervisor's end of the socket that the child has as descriptor 3.
 *
 * @throws {WorkerLostError} the process could not be started for want of descriptors
 */
export function openSocket(node: NodeChild): Duplex {
  // Told again by the return value: without descriptors left, Node gives no streams at all.
  node.on('error', () => undefined);
  const { stdio } = node as { stdio?: NodeChild['stdio'] };
  const socket = stdio?.[3];
  if (!(socket instanceof Duplex)) {
    throw new WorkerLostError('A child process could not be started: no file descriptors are left.');
  }
  return socket;
}

/** Resolves when the process is gone, or could not be started. */
export function processEnd(node: NodeChild): Promise<void> {
  return new Promise((resolve) => {
    // Not 'close': it waits for whoever else holds the output of the child.
    node.on('exit', () => {
      resolve();
    });
    node.on('error', () => {
      if (node.pid === undefined) resolve();
    });
  });
}

/** How a process ended, as Celery prints it: `exitcode 3`, `signal 9 (SIGKILL)`. */
export function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `signal ${constants.signals[signal]} (${signal})`;
  return code === null ? 'no exit code: it could not be started' : `exitcode ${code}`;
}
