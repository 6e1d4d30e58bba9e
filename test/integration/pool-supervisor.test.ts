import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { isAlive } from '../support/pool.ts';

const SUPERVISOR = join(import.meta.dirname, '../fixtures/pool/supervisor.js');

interface Supervisor {
  readonly pid: number;
  /** Children and guardian, all that it has started. */
  readonly pids: readonly number[];
  readonly nextLine: () => Promise<string | undefined>;
  readonly ended: Promise<unknown>;
}

/** A supervisor in a process group of its own, as a terminal starts it, with its tasks running. */
async function startSupervisor(task: string, size: number, ...args: string[]): Promise<Supervisor> {
  const program = spawn(process.execPath, [SUPERVISOR, task, String(size), ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(program, 'exit');
  const lines = createInterface(program.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => (await lines.next()).value as string | undefined;
  expect(await nextLine()).toBe('running');
  const pid = program.pid ?? 0;
  const listed = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(pid)], { encoding: 'utf8' });
  const processes = listed
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  expect(processes.filter((words) => words.includes('celery-ts-guardian'))).toHaveLength(1);
  expect(processes).toHaveLength(size + 1);
  const pids = processes.map(([first]) => Number(first));
  return { pid, pids, nextLine, ended };
}

/** Zombies are gone as far as anybody can notice; where nobody collects orphans they stay listed. */
function isRunning(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function survivors(pids: readonly number[], withinMs: number): Promise<readonly number[]> {
  const end = performance.now() + withinMs;
  let left = pids;
  while (left.length > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    left = left.filter(isRunning);
  }
  return left;
}

describe('kill -9 of the supervisor', () => {
  it.each(
    Array.from(
      { length: 20 },
      (_, round) => [round, round % 4 === 3 ? 'tasks.sleep' : 'tasks.spin'] as const,
    ),
  )('leaves no child and no guardian (%i: %s)', async (_, task) => {
    const supervisor = await startSupervisor(task, 2, ...(task === 'tasks.sleep' ? ['60'] : []));
    process.kill(supervisor.pid, 'SIGKILL');
    await supervisor.ended;
    expect(await survivors(supervisor.pids, 1000)).toEqual([]);
  });
});

describe('Ctrl-C to the whole process group', () => {
  it.each(['SIGINT', 'SIGQUIT'] as const)('does not touch the tasks: %s', async (signal) => {
    const supervisor = await startSupervisor('tasks.sleep', 2, '0.5');
    process.kill(-supervisor.pid, signal);
    expect(await supervisor.nextLine()).toBe('success success');
    expect(await supervisor.ended).toEqual([0, null]);
    expect(await survivors(supervisor.pids, 1000)).toEqual([]);
  });
});
