import type { ChildProcess as NodeChild } from 'node:child_process';
import { FrameWriter } from './frames.ts';
import { JobFrameWriter } from './job-frames.ts';
import { encodeParentMessage } from './messages.ts';
import { childTitle, openSocket, spawnChild } from './spawn-child.ts';

export interface EarlyChildrenOptions {
  readonly count: number;
  /** Node name of the worker. */
  readonly hostname: string;
  /** The app's module: what loading it takes, tsx for TypeScript, is loaded at once. */
  readonly file: string;
}

/**
 * Child processes that start while the supervisor is still loading the app: they load the library and, for TypeScript, tsx,
 * but no module of the user. A pool takes them over when it starts; who made them closes those that no pool took.
 */
export class EarlyChildren {
  readonly #waiting: NodeChild[] = [];

  constructor({ count, hostname, file }: EarlyChildrenOptions) {
    for (let number = 1; number <= count; number += 1) {
      // The title gives the room for the one it gets later.
      const node = spawnChild(childTitle(hostname, `ForkPoolWorker-${number}`));
      try {
        const { header, parts } = encodeParentMessage({ kind: 'prepare', file }, new JobFrameWriter());
        const socket = openSocket(node);
        socket.on('error', () => undefined); // Its end tells the same.
        new FrameWriter(socket).send(header, parts);
      } catch {
        return; // The pool starts its children itself, and tells what is wrong.
      }
      this.#waiting.push(node);
    }
  }

  /** Those that live. */
  get size(): number {
    return this.#waiting.filter(isAlive).length;
  }

  /** One that lives, to be told its `init`; undefined when there is none left. */
  take(): NodeChild | undefined {
    for (;;) {
      const node = this.#waiting.shift();
      if (node === undefined || isAlive(node)) return node;
    }
  }

  close(): void {
    for (const node of this.#waiting.splice(0)) node.kill('SIGKILL');
  }
}

function isAlive(node: NodeChild): boolean {
  return node.pid !== undefined && node.exitCode === null && node.signalCode === null;
}
