import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Celery } from '../../../src/app/celery.ts';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { type BrokerName, type ChaosBroker, startBroker } from './broker.ts';
import { Proxy } from './proxy.ts';
import { RedisTrace } from './redis-trace.ts';
import { type Fault, type Sending, type RunCounts, Runs } from './runs.ts';
import { type ChaosWorker, type Kind, Workers } from './workers.ts';

const SENT_AT_ONCE = 50;
/** Redis only: how long a Python worker's messages stay its own. */
const VISIBILITY_TIMEOUT_S = 5;
const STALL_MS = 120_000;
/** A worker may work for so long before it is killed. */
const SPARED_MS = 2000;
const TELL_EVERY_MS = 10_000;
const QUIET_MS = 3000;
/** From the broker to the run of a task, and back, a message is so long on its way where the machine is not overloaded. */
const WAY_MS = 500;
const EMPTY_TIMEOUT_MS = 120_000;
/** What kombu lost is sent again; each round of that may lose some more. */
const RESENDS = 5;

export interface StormOptions {
  readonly broker: BrokerName;
  readonly tasks: number;
  /** Length of a task. */
  readonly taskMs?: number;
  /** Workers of each kind. */
  readonly workers?: number;
  readonly concurrency?: number;
  readonly killEveryMs?: number;
  readonly cutEveryMs?: number;
  /** Workers of these kinds. */
  readonly kinds?: readonly Kind[];
  readonly print?: (line: string) => void;
}

export interface StormCounts extends RunCounts {
  readonly tasks: number;
  readonly kills: Readonly<Record<Kind, number>>;
  /** Workers that ended although nobody had killed or stopped them. */
  readonly endedAlone: Readonly<Record<Kind, number>>;
  readonly cuts: number;
  /** Connections that were cut. */
  readonly connections: number;
  /** Calls that the client was told had failed, and sent again. */
  readonly refused: number;
  /** Runs that each kind of worker began. */
  readonly runsOf: Readonly<Record<Kind, number>>;
  /** Redis: popped and recorded nowhere, which only kombu's two steps can do; sent again. */
  readonly lostByKombu: number;
  /** Redis: messages, of those sent once, that came back although they had been acknowledged; not measured on RabbitMQ. */
  readonly afterAck: number;
  /** Runs of tasks that had run, although no fault kept the broker from hearing of it. */
  readonly needless: number;
  /** Messages left in the broker at the end. */
  readonly left: number;
  readonly seconds: number;
}

/**
 * Python and TypeScript workers share one queue, while each second one of them is killed and replaced, and all connections are
 * cut again and again.
 *
 * @throws when a task is lost or stuck
 */
export async function storm(options: StormOptions): Promise<StormCounts> {
  const own = new Releasers();
  try {
    return await new Storm(options, own).run();
  } finally {
    await own.release();
  }
}

class Storm {
  readonly #options: Required<Omit<StormOptions, 'print'>> & { readonly print: (line: string) => void };
  readonly #own: Releasers;
  readonly #kills: Record<Kind, number> = { python: 0, typescript: 0 };
  readonly #endedAlone: Record<Kind, number> = { python: 0, typescript: 0 };
  readonly #over = new AbortController();
  readonly #ended = once(this.#over.signal, 'abort');
  readonly #faults: Fault[] = [];
  readonly #sendings = new Map<string, Sending>();
  #cuts = 0;
  #connections = 0;
  #refused = 0;
  #lostByKombu = 0;

  constructor(options: StormOptions, own: Releasers) {
    this.#own = own;
    this.#options = {
      ...{ taskMs: 10, workers: 2, concurrency: 4, killEveryMs: 1000, cutEveryMs: 3000 },
      ...{ kinds: ['python', 'typescript'], print: () => undefined },
      ...options,
    };
  }

  async run(): Promise<StormCounts> {
    const { broker: name, tasks, workers: each, concurrency, kinds, print } = this.#options;
    const own = this.#own;
    const broker = own.own(await startBroker(name));
    const proxy = own.own(await Proxy.before(broker.port));
    const url = broker.url(proxy.port);
    const trace =
      name === 'redis' ? own.own(await RedisTrace.of(broker.url(broker.port), 'chaos')) : undefined;
    const options = name === 'redis' ? { visibility_timeout: VISIBILITY_TIMEOUT_S } : {};
    const onEnded = (worker: ChaosWorker, how: string): void => this.#replaceEnded(workers, worker, how);
    const workers = own.own(new Workers({ broker: url, options, concurrency, onEnded }));
    const runs = own.own(await Runs.at(workers.runsFile));
    const client = own.own(
      new Celery('client', { broker: url, task_default_queue: 'chaos', broker_transport_options: options }),
    );
    client.markConfigured();
    const first = kinds.flatMap((kind) => Array.from({ length: each }, () => workers.start(kind)));
    await Promise.all(first.map(({ ready }) => ready));
    const startMs = performance.now();
    const ids = Array.from({ length: tasks }, (_, at) => `storm-${at}`);
    const chaos = Promise.all([
      this.#killOn(workers),
      this.#cutOn(proxy),
      this.#tell(async () => {
        await runs.read();
        return `${runs.ended.size} of ${tasks} have run`;
      }),
    ]);
    chaos.catch(() => undefined);
    const sent = this.#send(client, ids);
    const done = this.#allRun({ client, runs, broker, trace, ids, sent });
    try {
      await Promise.race([done, chaos.then(() => done)]);
    } finally {
      this.#over.abort();
      await Promise.allSettled([chaos, sent]);
    }
    const seconds = (performance.now() - startMs) / 1000;
    print(`${name}: every task has run after ${seconds.toFixed(0)} s; waiting for the queue to be empty`);
    const left = await this.#emptied(broker);
    await workers.stop();
    await runs.read();
    return this.#counts(runs, { tasks, left, seconds, afterAck: trace?.takenAfterAck.size ?? 0 });
  }

  #counts(runs: Runs, rest: Pick<StormCounts, 'tasks' | 'left' | 'seconds' | 'afterAck'>): StormCounts {
    const runsOf = { python: runs.begunBy('python'), typescript: runs.begunBy('typescript') };
    return {
      ...runs.counts(),
      ...rest,
      needless: runs.needless(this.#faults, WAY_MS, this.#sendings),
      ...{
        runsOf,
        kills: this.#kills,
        endedAlone: this.#endedAlone,
        cuts: this.#cuts,
        connections: this.#connections,
      },
      ...{ refused: this.#refused, lostByKombu: this.#lostByKombu },
    };
  }

  async #send(client: Celery, ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += SENT_AT_ONCE) {
      await Promise.all(ids.slice(at, at + SENT_AT_ONCE).map((id) => this.#sendOne(client, id)));
    }
  }

  /** A call that was refused is the caller's to repeat. */
  async #sendOne(client: Celery, taskId: string): Promise<void> {
    const args = [this.#options.taskMs / 1000];
    const fromMs = this.#sendings.get(taskId)?.fromMs ?? Date.now();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await client.sendTask('chaos.step', args, { taskId, ignoreResult: true });
        this.#sendings.set(taskId, { fromMs, toMs: Date.now() });
        return;
      } catch (error) {
        if (attempt === 10) throw error;
        this.#refused += 1;
      }
    }
  }

  async #allRun(all: {
    client: Celery;
    runs: Runs;
    broker: ChaosBroker;
    trace: RedisTrace | undefined;
    ids: readonly string[];
    sent: Promise<void>;
  }): Promise<void> {
    const { client, runs, broker, trace, ids, sent } = all;
    await sent;
    for (let resend = 0; ; resend += 1) {
      if (await this.#settled(runs, broker, ids.length)) return;
      const lost = ids.filter((id) => !runs.ended.has(id));
      const kombus = trace?.poppedUnrecorded(lost) ?? [];
      const left = await broker.messages(['chaos']);
      if (kombus.length < lost.length || left > 0 || resend === RESENDS) {
        const what = lost.map((id) => trace?.describe(id) ?? id).join('\n');
        throw new Error(`${lost.length} tasks have not run; ${left} messages are left:\n${what}`);
      }
      this.#lostByKombu += lost.length;
      await this.#send(client, lost);
    }
  }

  /** Resolves with true when all have run, with false when nothing moves any more. */
  async #settled(runs: Runs, broker: ChaosBroker, count: number): Promise<boolean> {
    for (let quietMs = 0; quietMs < STALL_MS; quietMs += QUIET_MS) {
      const before = runs.ended.size;
      if (await runs.until(() => runs.ended.size >= count, QUIET_MS)) return true;
      // Nobody has them, and nobody waits for them.
      if ((await broker.messages(['chaos'])) === 0 && !(await runs.read())) return false;
      if (runs.ended.size > before) quietMs = 0;
    }
    return false;
  }

  /**
   * Kills the worker that has been ready longest, of each kind in turn, and starts another. One that could not work for a while
   * is spared until it has: on a slow machine nobody would ever run a task otherwise.
   */
  async #killOn(workers: Workers): Promise<void> {
    const { kinds, killEveryMs } = this.#options;
    for (let turn = 0; ; turn += 1) {
      if (!(await this.#wait(killEveryMs))) return;
      const kind = kinds[turn % kinds.length] ?? 'typescript';
      const victim = await this.#victim(workers.alive.filter((worker) => worker.kind === kind));
      if (victim === undefined) return;
      const sparedMs = (victim.readyMs ?? 0) + SPARED_MS - Date.now();
      if (sparedMs > 0 && !(await this.#wait(sparedMs))) return;
      this.#faults.push({ atMs: Date.now(), worker: victim.name });
      await victim.kill();
      this.#kills[kind] += 1;
      workers.start(kind);
    }
  }

  /** Python's workers end by themselves at some errors of their connection; ours must not. */
  #replaceEnded(workers: Workers, worker: ChaosWorker, how: string): void {
    const text = `The ${worker.kind} worker ${worker.name} has ended by itself (${how}):\n${worker.output.slice(-3_000)}`;
    this.#options.print(text);
    this.#endedAlone[worker.kind] += 1;
    if (!this.#over.signal.aborted) workers.start(worker.kind);
  }

  async #victim(all: readonly ChaosWorker[]): Promise<ChaosWorker | undefined> {
    try {
      await Promise.race([this.#ended, Promise.any(all.map(({ ready }) => ready))]);
    } catch (error) {
      // What each of them printed last.
      throw error instanceof AggregateError ? new Error(error.errors.map(String).join('\n')) : error;
    }
    if (this.#over.signal.aborted) return undefined;
    const ready = all.filter(({ readyMs }) => readyMs !== undefined);
    return ready.sort((a, b) => (a.readyMs ?? 0) - (b.readyMs ?? 0))[0];
  }

  async #cutOn(proxy: Proxy): Promise<void> {
    while (await this.#wait(this.#options.cutEveryMs)) {
      this.#faults.push({ atMs: Date.now(), worker: undefined });
      this.#connections += proxy.cut();
      this.#cuts += 1;
    }
  }

  async #tell(progress: () => Promise<string>): Promise<void> {
    const { broker, print } = this.#options;
    while (await this.#wait(TELL_EVERY_MS)) {
      const { python, typescript } = this.#kills;
      print(`${broker}: ${await progress()}; ${python} + ${typescript} workers killed, ${this.#cuts} cuts`);
    }
  }

  /** @returns false when the storm is over */
  async #wait(ms: number): Promise<boolean> {
    try {
      await pause(ms, undefined, { signal: this.#over.signal });
      return true;
    } catch {
      return false;
    }
  }

  /** Copies of what has run may be left: the workers that are left take them. */
  async #emptied(broker: ChaosBroker): Promise<number> {
    const deadline = Date.now() + EMPTY_TIMEOUT_MS;
    for (;;) {
      const left = await broker.messages(['chaos']);
      if (left === 0 || Date.now() > deadline) return left;
      await pause(500);
    }
  }
}
