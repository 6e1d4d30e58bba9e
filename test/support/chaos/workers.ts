import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { createProject, type Project } from '../project.ts';
import { python } from '../python.ts';

const PROGRAM = resolve(import.meta.dirname, '../../../bin/celery-ts.js');
const READY_TIMEOUT_MS = 120_000;

const OUR_TASKS = `
import { openSync, writeSync } from 'node:fs';
import { Celery } from 'celery-ts';

const { BROKER, BACKEND, RUNS, WORKER, OPTIONS } = process.env;
export const app = new Celery('chaos', {
  broker: BROKER, backend: BACKEND, task_default_queue: 'chaos', broker_transport_options: JSON.parse(OPTIONS),
  worker_proc_alive_timeout: 60,
});
const file = openSync(RUNS, 'a');
const note = (kind, id) => writeSync(file, kind + ' ' + WORKER + ' ' + id + ' ' + Date.now() + '\\n');
const late = { acksLate: true, rejectOnWorkerLost: true };
app.task('chaos.step', { ...late, ignoreResult: true, bind: true }, async (self, seconds) => {
  note('S', self.request.id);
  await new Promise((done) => setTimeout(done, seconds * 1000));
  note('E', self.request.id);
});
app.task('chaos.echo', late, (value) => value);
`;

const PYTHON_TASKS = `
import json, os, time
from celery import Celery

app = Celery('chaos', broker=os.environ['BROKER'])
app.conf.update(task_default_queue='chaos', broker_transport_options=json.loads(os.environ['OPTIONS']),
                task_ignore_result=True, worker_enable_remote_control=False, worker_proc_alive_timeout=60)
file = os.open(os.environ['RUNS'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(kind, id):
    os.write(file, f"{kind} {os.environ['WORKER']} {id} {time.time() * 1000:.0f}\\n".encode())

@app.task(name='chaos.step', bind=True, acks_late=True, reject_on_worker_lost=True)
def step(self, seconds):
    note('S', self.request.id)
    time.sleep(seconds)
    note('E', self.request.id)
`;

export type Kind = 'typescript' | 'python';

export interface WorkerSettings {
  readonly broker: string;
  readonly backend?: string;
  /** `broker_transport_options`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly concurrency: number;
  readonly queues?: readonly string[];
  /** A worker that nobody has killed or stopped has ended. */
  readonly onEnded?: (worker: ChaosWorker, how: string) => void;
}

/** A whole worker of either kind: its supervisor and the processes below it. */
export class ChaosWorker {
  readonly kind: Kind;
  readonly name: string;
  readonly child: ChildProcess;
  /** Resolves when it takes tasks; rejects when it ends before. */
  readonly ready: Promise<void>;
  readyMs: number | undefined;
  /** Its last output. */
  output = '';
  readonly #ended: Promise<void>;
  /** We have killed or stopped it. */
  isEnding = false;

  constructor(kind: Kind, name: string, child: ChildProcess) {
    this.kind = kind;
    this.name = name;
    this.child = child;
    this.#ended = once(child, 'close').then(() => undefined);
    this.ready = this.#becomeReady();
    // Whoever kills it before it is ready does not ask.
    this.ready.catch(() => undefined);
  }

  async #becomeReady(): Promise<void> {
    await new Promise<void>((ready, reject) => {
      const timer = setTimeout(() => reject(this.#failure('is not ready')), READY_TIMEOUT_MS);
      for (const stream of [this.child.stdout, this.child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          this.output = (this.output + text).slice(-20_000);
          if (this.readyMs !== undefined || !this.output.includes(' ready.')) return;
          this.readyMs = Date.now();
          clearTimeout(timer);
          ready();
        });
      }
      void this.#ended.then(() => {
        clearTimeout(timer);
        reject(this.#failure('has ended'));
      });
    });
  }

  #failure(what: string): Error {
    return new Error(`The ${this.kind} worker ${this.name} ${what}:\n${this.output}`);
  }

  /** SIGKILL: the supervisor of ours, whose guardian ends its processes; all processes of Python's, which has none. */
  async kill(): Promise<void> {
    this.isEnding = true;
    const { pid, exitCode, signalCode } = this.child;
    if (pid !== undefined && exitCode === null && signalCode === null) {
      process.kill(this.kind === 'python' ? -pid : pid, 'SIGKILL');
    }
    await this.#ended;
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    this.isEnding = true;
    this.child.kill('SIGTERM');
    await this.#ended;
  }
}

/** The project of the tasks, from which workers of both kinds are started. */
export class Workers implements AsyncDisposable {
  /** Where the tasks write down their runs. */
  readonly runsFile: string;
  readonly #project: Project;
  readonly #settings: WorkerSettings;
  readonly #alive = new Set<ChaosWorker>();
  #count = 0;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.#project = createProject({ 'tasks.js': OUR_TASKS, 'pytasks.py': PYTHON_TASKS });
    this.runsFile = this.#project.path('runs');
  }

  get alive(): readonly ChaosWorker[] {
    return [...this.#alive];
  }

  start(kind: Kind): ChaosWorker {
    const { broker, backend = 'disabled://', options, concurrency, queues = ['chaos'] } = this.#settings;
    this.#count += 1;
    const name = `${kind}${this.#count}`;
    const [command, first] =
      kind === 'python' ? [python ?? '', ['-m', 'celery', '-A', 'pytasks']] : ours('-A', 'tasks');
    const args = ['worker', '-c', String(concurrency), '-n', `${name}@h`, '-l', 'INFO', '-Q', queues.join()];
    const child = spawn(command, [...first, ...args, '--without-mingle'], {
      cwd: this.#project.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: kind === 'python',
      env: {
        ...process.env,
        ...{ NODE_OPTIONS: undefined, VITEST: undefined, NO_COLOR: undefined, C_FORCE_ROOT: '1' },
        ...{ BROKER: broker, BACKEND: backend, RUNS: this.runsFile, WORKER: name },
        OPTIONS: JSON.stringify(options),
      },
    });
    const worker = new ChaosWorker(kind, name, child);
    this.#alive.add(worker);
    child.once('close', (code, signal) => {
      this.#alive.delete(worker);
      if (!worker.isEnding) this.#settings.onEnded?.(worker, String(signal ?? code));
    });
    return worker;
  }

  async stop(): Promise<void> {
    await Promise.all(this.alive.map((worker) => worker.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.alive.map((worker) => worker.kill()));
    this.#project.remove();
  }
}

function ours(...args: string[]): [string, string[]] {
  return [process.execPath, [PROGRAM, ...args]];
}
