import { randomUUID } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'vitest';
import { Celery } from '../../src/app/celery.ts';
import { Queue } from '../../src/app/entities.ts';
import { startCli, type RunningCli } from './cli.ts';
import { createProject, type Project } from './project.ts';
import { PythonSession, startPythonCelery } from './python-session.ts';

const FIXTURES = resolve(import.meta.dirname, '../fixtures/interop');

/** Where the cluster's messages and results go. */
export interface ClusterUrls {
  readonly broker: string;
  readonly backend: string;
  readonly resultSerializer: string;
}

/**
 * A Celery cluster of both languages: one worker of each (`ts@interop` on the queue `typescript`, `py@interop` on `python`), a
 * client of each. The tasks are those in `test/fixtures/interop`.
 */
export class Cluster implements AsyncDisposable {
  readonly project: Project;
  readonly env: Readonly<Record<string, string>>;
  readonly client: Celery;
  readonly typescript: RunningCli;
  readonly python: RunningCli;
  readonly session: PythonSession;
  readonly #more: RunningCli[] = [];

  private constructor(parts: {
    readonly project: Project;
    readonly env: Readonly<Record<string, string>>;
    readonly client: Celery;
    readonly workers: readonly [RunningCli, RunningCli];
    readonly session: PythonSession;
  }) {
    ({ project: this.project, env: this.env, client: this.client, session: this.session } = parts);
    [this.typescript, this.python] = parts.workers;
  }

  static async start({ broker, backend, resultSerializer }: ClusterUrls): Promise<Cluster> {
    const project = createProject({ 'notes.txt': '' });
    for (const name of ['ts_tasks.ts', 'py_tasks.py', 'session.py']) {
      copyFileSync(resolve(FIXTURES, name), project.path(name));
    }
    const env = {
      BROKER: broker,
      BACKEND: backend,
      RESULT_SERIALIZER: resultSerializer,
      NOTES: project.path('notes.txt'),
      PYTHONUNBUFFERED: '1',
    };
    const options = { cwd: project.folder, env };
    const common = ['-l', 'INFO', '-c', '2', '-E'];
    const ts = ['-A', 'ts_tasks', 'worker', '-n', 'ts@interop', '-Q', 'typescript', ...common];
    const py = ['-A', 'py_tasks', 'worker', '-n', 'py@interop', '-Q', 'python', ...common];
    const workers = [startCli(ts, options), startPythonCelery(py, options)] as const;
    const [session] = await Promise.all([
      PythonSession.start(project.path('session.py'), project.folder, env),
      ...workers.map((worker) => worker.waitFor(/ ready\./, 60_000)),
    ]);
    const client = makeClient({ broker, backend, resultSerializer });
    return new Cluster({ project, env, client, workers, session });
  }

  /** Runs a program in the Python client; see `PythonSession`. */
  py(program: string): Promise<unknown> {
    return this.session.run(program);
  }

  /** Calls a task with the TypeScript client and gets its result. */
  async call(name: string, ...args: unknown[]): Promise<unknown> {
    return (await this.client.sendTask(name, args)).get({ timeout: 20 });
  }

  /** Runs `celery-ts` on the TypeScript app. */
  cli(...args: string[]): RunningCli {
    return startCli(['-A', 'ts_tasks', ...args], { cwd: this.project.folder, env: this.env });
  }

  /** Runs Python's `celery` on the Python app until the cluster ends. */
  celery(...args: string[]): RunningCli {
    const running = startPythonCelery(['-A', 'py_tasks', ...args], {
      cwd: this.project.folder,
      env: this.env,
    });
    this.#more.push(running);
    return running;
  }

  /** What tasks of either language have noted. */
  notes(): unknown[] {
    const text = readFileSync(this.project.path('notes.txt'), 'utf8').trim();
    return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as unknown);
  }

  /** Waits until a task has noted this. */
  async noted(note: unknown): Promise<void> {
    await expect.poll(() => this.notes(), { timeout: 15_000, interval: 20 }).toContainEqual(note);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const processes = [this.typescript, this.python, ...this.#more];
    await this.session[Symbol.asyncDispose]();
    for (const running of processes) running.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const running of processes) running.kill('SIGKILL');
    }, 15_000);
    await Promise.all(processes.map(({ ended }) => ended));
    clearTimeout(late);
    await this.client.close();
    this.project.remove();
  }
}

function makeClient({ broker, backend, resultSerializer }: ClusterUrls): Celery {
  const client = new Celery(`client-${randomUUID()}`, {
    broker,
    backend,
    accept_content: ['json', 'msgpack', 'yaml'],
    result_serializer: resultSerializer,
    task_queues: [
      new Queue('typescript', 'typescript', 'typescript'),
      new Queue('python', 'python', 'python'),
      new Queue('py-prio', 'py-prio', 'py-prio', { maxPriority: 10 }),
      new Queue('parked', 'parked', 'parked'),
    ],
    task_routes: { 'py.*': 'python', 'ts.*': 'typescript' },
  });
  client.markConfigured();
  return client;
}
