import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startCli } from '../support/cli.ts';
import type { RunningCli } from '../support/cli.ts';
import { createProject, TASKS } from '../support/project.ts';

const PROGRAM = resolve(import.meta.dirname, '../../bin/celery-ts.js');
const socket = `celery-ts-${randomUUID()}`;

function tmux(...args: readonly string[]): string {
  return execFileSync('tmux', ['-L', socket, ...args], { encoding: 'utf8' });
}

function hasTmux(): boolean {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The screen, as soon as it shows all of these. */
async function screen(...wanted: readonly (RegExp | string)[]): Promise<string> {
  const signal = AbortSignal.timeout(30_000);
  for (;;) {
    const shown = tmux('capture-pane', '-p');
    if (wanted.every((each) => (typeof each === 'string' ? shown.includes(each) : each.test(shown))))
      return shown;
    await sleep(100, undefined, { signal }).catch(() => {
      throw new Error(`no ${wanted.join(', ')} on the screen:\n${shown}`);
    });
  }
}

const press = (...keys: readonly string[]): string => tmux('send-keys', ...keys);

describe.runIf(hasTmux())('the screen of celery-ts events', () => {
  const made = createProject({ 'tasks.ts': TASKS });
  let worker: RunningCli;
  const ids: string[] = [];
  const call = async (...args: readonly string[]): Promise<void> => {
    ids.push((await runCli(['-A', 'tasks', 'call', ...args], { cwd: made.folder })).stdout.trim());
  };

  beforeAll(async () => {
    worker = startCli(['-A', 'tasks', 'worker', '-E', '-c', '1', '-n', 'w@example.com', '-l', 'INFO'], {
      cwd: made.folder,
    });
    await worker.waitFor('ready.');
    tmux('new-session', '-d', '-x', '110', '-y', '20', '-c', made.folder, "PS1='shell> ' bash --norc");
    await screen('shell>');
    press(`${process.execPath} ${PROGRAM} -A tasks events`, 'Enter');
    await screen('Workers online: w@example.com');
  }, 60_000);

  afterAll(async () => {
    tmux('kill-server');
    worker.kill('SIGTERM');
    await worker.ended;
    made.remove();
  });

  it('lists tasks as they go on', async () => {
    await call('tasks.add', '-a', '[1, 2]');
    await call('tasks.fail', '-a', '["kaput"]');
    const shown = await screen(/tasks\.add .* SUCCESS/, /tasks\.fail .* FAILURE/);
    const [title, first, second] = shown.split('\n');
    expect(title).toMatch(/^UUID +TASK +WORKER +TIME +STATE/);
    expect([first?.slice(0, 36), second?.slice(0, 36)]).toEqual([ids[1], ids[0]]);
    expect(shown).toMatch(/Info: events:\d+ tasks:2 workers:1\/1/);
  });

  it('shows the traceback and the result of the selected task', async () => {
    press('k', 'k');
    await screen("exception=Error('kaput')");
    press('t');
    await screen(`Traceback: tasks.fail[${String(ids[1])}]`, 'Error: kaput', 'tasks.ts:8:9');
    press('x');
    await screen('UUID');
    press('j');
    await screen('result=3');
    press('r');
    await screen(/^Result: tasks\.add\[.*\]\s*\n3\s*\n/);
    press('x');
    await screen('UUID');
    press('i');
    await screen('Task details', 'args: (1, 2)', 'result: 3');
    press('x');
    await screen('UUID');
  });

  it('limits the rate of a task, revokes one, and lists the workers', async () => {
    press('l', '5/m');
    await screen('New rate limit: 5/m_');
    press('Enter');
    await screen('Rate limit: tasks.add', 'w@example.com: {"ok": "new rate limit set successfully"}');
    press('x');
    await call('tasks.sleep', '-a', '[0]', '--countdown', '300');
    await screen(/tasks\.sleep .* RECEIVED/);
    press('k', 'k', 'k');
    press('c');
    await screen(
      `Revoke: tasks.sleep[${String(ids[2])}]`,
      /w@example\.com: \{"ok": "tasks? .* flagged as revoked"\}/,
    );
    press('x');
    await screen('UUID');
    press('c', 'x', 'w');
    await screen(/^Workers/, /w@example\.com +ONLINE/);
    press('x', 'l', 'Left', '2', 'C-h', '1');
    await screen('New rate limit: 1_');
    press('Escape');
    await screen('Keys:');
    press('w');
    await screen(/^Workers/, /w@example\.com +ONLINE +pid:\d+/);
    press('q');
    await screen('UUID');
  });

  it('follows the size of the terminal, and leaves it as it was', async () => {
    tmux('resize-window', '-x', '60', '-y', '10');
    const small = await screen(/^-{60}$/m, /^UUID/);
    expect(small.trimEnd().split('\n')).toHaveLength(10);
    press('C-c');
    const left = await screen(/shell>\s*$/);
    expect(left).not.toContain('UUID');
    press('stty -a | grep -o " icanon" && echo typed', 'Enter');
    await screen(/^typed$/m);
  });

  it('needs a terminal', async () => {
    const refused = await runCli(['-A', 'tasks', 'events'], { cwd: made.folder });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('The screen needs a terminal.');
  });
});
