import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { runCli, startCli } from '../support/cli.ts';
import type { CliResult } from '../support/cli.ts';
import type { Project } from '../support/project.ts';
import { createProject, TASKS } from '../support/project.ts';

const projects: Project[] = [];
const FILES = ['--pidfile=run/%n.pid', '--logfile=run/%n%I.log', '--hostname=h'];

function project(): Project {
  const made = createProject({ 'tasks.ts': TASKS, 'run/.keep': '' });
  projects.push(made);
  return made;
}

const cli = (made: Project, ...args: readonly string[]): Promise<CliResult> =>
  runCli(args, { cwd: made.folder });

/** Ids of the workers that the pidfiles of a project name. */
const pids = (made: Project): number[] =>
  readdirSync(made.path('run'))
    .filter((name) => name.endsWith('.pid'))
    .map((name) => Number(readFileSync(made.path(`run/${name}`), 'utf8')));

async function until(what: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  while (!what()) await sleep(50, undefined, { signal });
}

const ps = (pid: number, ...columns: readonly string[]): string[] =>
  execFileSync('ps', ['-o', columns.map((column) => `${column}=`).join(','), '-p', String(pid)], {
    encoding: 'utf8',
  })
    .trim()
    .split(/\s+/);

afterEach(() => {
  for (const made of projects) {
    for (const pid of pids(made)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone.
      }
    }
  }
});

afterAll(() => {
  for (const made of projects) made.remove();
});

describe('multi', () => {
  it('starts three workers, restarts one and stops all', { timeout: 120_000 }, async () => {
    const made = project();
    const options = ['-c', '1', '-l', 'INFO', ...FILES];
    const started = await cli(made, '-A', 'tasks', 'multi', 'start', '3', '-c:2', '2', ...options);
    expect(started.stdout.replace(/ v\S+/, '')).toBe(
      'celery-ts multi\n> Starting nodes...\n\t> celery1@h: OK\n\t> celery2@h: OK\n\t> celery3@h: OK\n',
    );
    expect(started.code).toBe(0);
    const first = pids(made);
    expect(new Set(first).size).toBe(3);
    await until(() => existsSync(made.path('run/celery2-2.log')));
    expect(existsSync(made.path('run/celery1-2.log'))).toBe(false);
    await until(() => readFileSync(made.path('run/celery2.log'), 'utf8').includes('celery2@h ready.'));

    const restarted = await cli(made, '-A', 'tasks', 'multi', 'restart', 'celery2', ...options);
    expect(restarted.stdout.replace(/ v\S+/, '').replaceAll(String(first[1]), 'PID')).toMatch(
      /^celery-ts multi\n> Stopping nodes\.\.\.\n\t> celery2@h: TERM -> PID\n> Waiting for 1 node -> PID\.{4,}\n\t> celery2@h: OK\n> Restarting node celery2@h: OK\n$/,
    );
    const second = pids(made);
    expect([second[0], second[2]]).toEqual([first[0], first[2]]);
    expect(second[1]).not.toBe(first[1]);

    const stopped = await cli(made, 'multi', 'stopwait', '3', ...FILES);
    expect(stopped.stdout).toContain('> Waiting for 3 nodes -> ');
    for (const name of ['celery1', 'celery2', 'celery3']) {
      expect(stopped.stdout).toContain(`\n\t> ${name}@h: OK\n> ${name}@h: DOWN\n`);
    }
    expect(stopped.code).toBe(0);
    expect(pids(made)).toEqual([]);

    const again = await cli(made, 'multi', 'stop', '2', '--nosplash', ...FILES);
    expect(again).toMatchObject({ code: 0, stdout: '> celery1@h: DOWN\n> celery2@h: DOWN\n' });
    const told = await cli(made, 'multi', 'stop', '2', '--json', ...FILES);
    expect(JSON.parse(told.stdout)).toEqual([
      { node: 'celery1@h', running: false },
      { node: 'celery2@h', running: false },
    ]);
  });

  it('says which node could not start, and why', async () => {
    const made = project();
    const failed = await cli(made, '-A', 'nosuch', 'multi', 'start', 'w', '--nosplash', ...FILES);
    expect(failed).toMatchObject({
      code: 1,
      stdout: '> Starting nodes...\n\t> w@h: FAILED\n* Child terminated with exit code 2\n',
    });
    expect(failed.stderr).toContain("Error: Cannot load the app 'nosuch'");
    const two = await cli(made, '-A', 'nosuch', 'multi', 'start', 'v', 'w', '--nosplash', ...FILES);
    expect(two.stdout).toContain('> v@h: FAILED');
    expect(two.stderr.match(/Cannot load the app 'nosuch'/g)).toHaveLength(1);
    const told = await cli(made, '-A', 'nosuch', 'multi', 'start', 'w', '--json', ...FILES);
    expect([told.code, JSON.parse(told.stdout)]).toEqual([
      1,
      [{ node: 'w@h', running: false, exit_code: 2 }],
    ]);
  });

  it('kills', async () => {
    const made = project();
    const start = ['-A', 'tasks', 'multi', 'start', 'w', '-c', '1', ...FILES];
    expect((await cli(made, ...start)).code).toBe(0);
    const [pid = 0] = pids(made);
    expect(JSON.parse((await cli(made, 'multi', 'stop', 'w', '-CONT', '-j', ...FILES)).stdout)).toEqual([
      { node: 'w@h', signal: 'CONT', pid },
    ]);
    const killed = await cli(made, 'multi', 'kill', 'w', '--nosplash', ...FILES);
    expect(killed.stdout).toBe(`Sending KILL to node w@h (${String(pid)})\n`);
    // The pidfile of a killed worker stays, and says no more than its absence.
    const stopped = await cli(made, 'multi', 'stopwait', 'w', '--nosplash', ...FILES);
    expect(stopped.stdout).toMatch(/> w@h: DOWN\n$/);
  });
});

it.each(['SIGTERM', 'SIGINT'] as const)(
  'a worker ended by %s while it loads leaves no pidfile',
  async (signal) => {
    const source = `process.stdout.write('loading\\n');\nawait new Promise(() => setInterval(() => undefined, 1000));\n`;
    const made = createProject({ 'slow.js': source, 'package.json': '{"type":"module"}', 'run/.keep': '' });
    projects.push(made);
    const worker = startCli(['-A', 'slow', 'worker', '-P', 'solo', '--pidfile=run/w.pid'], {
      cwd: made.folder,
    });
    await worker.waitFor('loading');
    expect(pids(made)).toEqual([worker.pid]);
    process.kill(worker.pid, signal);
    expect(await worker.ended).toMatchObject({ code: null, signal });
    expect(pids(made)).toEqual([]);
  },
);

describe('worker --detach', () => {
  const WORKER = ['-n', 'd@h', '-c', '1', '--pidfile=run/%n.pid'];

  it('leaves no terminal, a pidfile and a logfile, and is stopped by them', async () => {
    const made = project();
    const started = await runCli(
      ['--workdir', made.folder, '-A', 'tasks', 'worker', '-D', '-l', 'INFO', ...WORKER]
        .concat('-f', 'run/%n%I.log')
        .concat('--umask', '027'),
      { cwd: '/' },
    );
    expect(started).toMatchObject({ code: 0, stdout: '' });
    const [pid = 0] = pids(made);
    const [session, terminal, ...args] = ps(pid, 'sid', 'tty', 'args');
    expect([session, terminal]).toEqual([String(pid), '?']);
    expect(args).not.toContain('-D');
    expect(statSync(made.path('run/d.log')).mode & 0o777).toBe(0o640);
    await until(() => readFileSync(made.path('run/d.log'), 'utf8').includes('d@h ready.'));
    process.kill(pid, 'SIGTERM');
    await until(() => pids(made).length === 0);
  });

  it('tells at once what keeps the worker from starting', async () => {
    const made = project();
    const refused = await cli(made, '-A', 'tasks', 'worker', '--detach', '--pidfile=nosuch/x.pid');
    expect(refused).toMatchObject({ code: 73, stdout: '' });
    expect(refused.stderr).toContain('Cannot write the pidfile');
    expect((await cli(made, '-A', 'tasks', 'worker', '-D', '-c', 'x')).code).toBe(2);
  });

  it('is there for cameras, too', async () => {
    const made = createProject({
      'tasks.ts': TASKS,
      'run/.keep': '',
      'camera.ts': 'export class Camera { onShutter() { process.stdout.write(""); } }',
    });
    projects.push(made);
    const files = ['--pidfile=run/events.pid', '--logfile=run/events.log'];
    const camera = ['-A', 'tasks', 'events', '--camera', 'camera:Camera', '--detach', ...files];
    expect(await cli(made, ...camera)).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const [pid = 0] = pids(made);
    expect(ps(pid, 'tty')).toEqual(['?']);
    process.kill(pid, 'SIGTERM');
    await until(() => pids(made).length === 0);
    const refused = await cli(made, '-A', 'tasks', 'events', '--detach', '--dump');
    expect(refused.code).toBe(2);
  });

  it('keeps to one worker for a pidfile', async () => {
    const made = project();
    const start = ['-A', 'tasks', 'worker', '--detach', ...WORKER];
    expect((await cli(made, ...start)).code).toBe(0);
    const [pid] = pids(made);
    const second = await cli(made, ...start);
    expect(second.code).toBe(73);
    expect(second.stderr).toContain(`Seems we're already running? (pid: ${String(pid)})`);
  });

  it.runIf(process.getuid?.() === 0)('runs as another user', async () => {
    const made = createProject({ 'tasks.ts': TASKS });
    execFileSync('chmod', ['-R', 'a+rwX', `${made.folder}/..`]);
    const worker = ['-A', 'tasks', 'worker', '-D', '-c', '1', '-n', 'd@h', '--pidfile=d.pid'];
    const started = await cli(made, ...worker, '--uid', 'nobody');
    expect(started).toMatchObject({ code: 0, stderr: '' });
    const pid = Number(readFileSync(made.path('d.pid'), 'utf8'));
    const children = () =>
      execFileSync('ps', ['-o', 'user=', '-g', String(pid)], { encoding: 'utf8' })
        .trim()
        .split(/\s+/);
    expect(new Set(children())).toEqual(new Set(['nobody']));
    process.kill(pid, 'SIGTERM');
    await until(() => !existsSync(made.path('d.pid')));
    made.remove();
  });

  it.each([
    [['--uid', 'no-such-user'], "Error: There is no user 'no-such-user'.\n", 1],
    [['--umask', 'x'], "Error: Invalid value for '--umask': 'x' is no file mode: write it as 022.\n", 2],
  ])('refuses %j', async (flags, problem, code) => {
    const made = project();
    const refused = await cli(made, '-A', 'tasks', 'worker', '-D', ...flags);
    expect(refused.code).toBe(code);
    expect(refused.stderr.endsWith(problem)).toBe(true);
  });
});
