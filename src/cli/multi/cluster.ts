import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cannotWrite } from '../file-failure.ts';
import { isAlive, pidOf } from '../pidfile.ts';
import type { Node } from './nodes.ts';

/** How often a node that shuts down is looked at. */
const LOOK_MS = 100;

/** What is told while nodes stop. */
export interface StopListener {
  onDown(node: Node): Promise<void> | void;
  onPreamble(): void;
  onSignal(node: Node, pid: number): void;
  onVanished(node: Node, pid: number): void;
  onWaiting(pids: readonly number[]): void;
  /** Once a second. */
  onProgress(): void;
  onGone(node: Node): void;
}

/** How the command that starts a node has ended. */
export interface NodeStart {
  readonly exitCode: number;
  /** Warnings and errors. */
  readonly said: string;
}

/** Starts one node; resolves when its command ends, which is when the worker runs in the background. */
export async function startNode(node: Node): Promise<NodeStart> {
  for (const path of [node.pidfile, node.logfile]) createFolder(path);
  return new Promise((resolve, reject) => {
    const child = spawn(node.executable, node.argv, { stdio: ['ignore', 'inherit', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ exitCode: code ?? (signal === null ? 1 : 128), said });
    });
  });
}

function createFolder(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw cannotWrite('folder of', path, error);
  }
}

/** Sends the signal to all nodes that run; returns them with their process ids. */
export async function signalNodes(
  nodes: readonly Node[],
  signal: NodeJS.Signals,
  listener: StopListener,
): Promise<Map<Node, number>> {
  const running = new Map<Node, number>();
  for (const node of nodes) {
    const pid = pidOf(node.pidfile);
    if (pid === undefined) await listener.onDown(node);
    else running.set(node, pid);
  }
  if (running.size > 0) listener.onPreamble();
  for (const [node, pid] of running) {
    listener.onSignal(node, pid);
    if (send(pid, signal)) continue;
    running.delete(node);
    listener.onVanished(node, pid);
    await listener.onDown(node);
  }
  return running;
}

/** Waits until these nodes are gone. */
export async function waitForNodes(
  running: Map<Node, number>,
  listener: StopListener,
  signal: AbortSignal,
): Promise<void> {
  let looks = 0;
  if (running.size > 0) listener.onWaiting([...running.values()]);
  while (running.size > 0) {
    const gone = [...running].filter(([, pid]) => !isAlive(pid));
    for (const [node] of gone) {
      running.delete(node);
      listener.onGone(node);
      await listener.onDown(node);
      if (running.size > 0) listener.onWaiting([...running.values()]);
    }
    if (running.size === 0) return;
    if (looks % (1000 / LOOK_MS) === 0) listener.onProgress();
    looks += 1;
    await sleep(LOOK_MS, undefined, { signal });
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
