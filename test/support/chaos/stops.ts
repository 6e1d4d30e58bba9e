import { setTimeout as pause } from 'node:timers/promises';
import { Celery } from '../../../src/app/celery.ts';
import { Releasers } from '../../../src/core/lifecycle.ts';
import { type BrokerName, type ChaosBroker, startBroker } from './broker.ts';
import { Runs } from './runs.ts';
import { type ChaosWorker, Workers } from './workers.ts';

const QUEUES = ['a', 'b', 'c'] as const;
/** Short tasks per queue that are under way or waiting when the broker stops. */
const BEFORE = 4;
/** Calls per queue while it stands still; the client may be told that they failed. */
const DURING = 2;
/** Longest time after which a queue, or remote control, must be there again: the pauses between two attempts grow to 32 s. */
const RESUME_S = 120;
const PING_S = 5;

export interface StopsOptions {
  readonly broker: BrokerName;
  readonly rounds: number;
  /** How long the broker stands still. */
  readonly stopMs: number;
  readonly print?: (line: string) => void;
}

export interface StopsCounts {
  readonly rounds: number;
  /** Tasks that the broker had accepted, all of which have run. */
  readonly tasks: number;
  /** Calls that the client was told had failed while the broker was away. */
  readonly refused: number;
  /** Runs beyond the first of a task that was sent before a stop. */
  readonly duplicates: number;
  /** The same for calls during a stop, which the client may have repeated without being told that the first had arrived. */
  readonly duplicatesOfCalls: number;
  /** Longest time from the start of the broker until all queues gave results, and until remote control answered. */
  readonly slowestResumeS: number;
  readonly slowestPingS: number;
}

/**
 * A worker of three queues, and a client that waits for results, live through a broker that stops and starts, again and again.
 *
 * @throws when a queue or remote control is not there again in time, or an accepted task does not run
 */
export async function stopRounds(options: StopsOptions): Promise<StopsCounts> {
  const own = new Releasers();
  try {
    return await new Stops(options, own).run();
  } finally {
    await own.release();
  }
}

interface Parts {
  readonly broker: ChaosBroker;
  readonly worker: ChaosWorker;
  readonly client: Celery;
  readonly runs: Runs;
}

class Stops {
  readonly #options: StopsOptions;
  readonly #own: Releasers;
  #refused = 0;
  readonly #during = new Set<string>();

  constructor(options: StopsOptions, own: Releasers) {
    this.#options = options;
    this.#own = own;
  }

  async run(): Promise<StopsCounts> {
    const { rounds } = this.#options;
    const parts = await this.#start();
    const slowest = { resume: 0, ping: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const took = await this.#round(parts, round);
      slowest.resume = Math.max(slowest.resume, took.resumeS);
      slowest.ping = Math.max(slowest.ping, took.pingS);
    }
    await parts.runs.read();
    return {
      rounds,
      tasks: parts.runs.ended.size,
      refused: this.#refused,
      ...this.#duplicates(parts.runs),
      slowestResumeS: slowest.resume,
      slowestPingS: slowest.ping,
    };
  }

  async #start(): Promise<Parts> {
    const own = this.#own;
    const broker = own.own(await startBroker(this.#options.broker));
    const url = broker.url(broker.port);
    const backend = broker.name === 'redis' ? url : 'rpc://';
    const workers = own.own(
      new Workers({ broker: url, backend, options: {}, concurrency: 3, queues: QUEUES }),
    );
    const runs = own.own(await Runs.at(workers.runsFile));
    const client = own.own(new Celery('client', { broker: url, backend }));
    client.markConfigured();
    const worker = workers.start('typescript');
    await worker.ready;
    return { broker, worker, client, runs };
  }

  async #round(parts: Parts, round: number): Promise<{ resumeS: number; pingS: number }> {
    const { rounds, stopMs, print } = this.#options;
    const { broker, runs, client, worker } = parts;
    const [how, stop] = broker.stops[round % broker.stops.length] ?? [];
    if (stop === undefined) throw new Error('The broker cannot be stopped');
    const where = `${broker.name} round ${round + 1}/${rounds}: ${how ?? ''} for ${stopMs / 1000} s`;
    try {
      const expected = await this.#sendBefore(parts, round);
      const goOn = await stop();
      const calls = this.#callDuring(client, round);
      await pause(stopMs);
      await goOn();
      const startMs = performance.now();
      const queues = await Promise.all(QUEUES.map((queue) => this.#answers(client, queue, startMs)));
      const pingS = await this.#pings(client, worker, startMs);
      const accepted = [...expected, ...(await calls)];
      const missing = (): string[] => accepted.filter((id) => !runs.ended.has(id));
      if (!(await runs.until(() => missing().length === 0, RESUME_S * 1000)))
        throw new Error(`tasks have not run: ${missing().join(', ')}`);
      const resumed = QUEUES.map((queue, at) => `${queue} ${seconds(queues[at] ?? 0)}`).join(', ');
      print?.(
        `${where}; resumed after: ${resumed}, control ${seconds(pingS)}; ${accepted.length} tasks ran, ` +
          `${this.#duplicates(runs).duplicates} duplicates so far`,
      );
      return { resumeS: Math.max(...queues), pingS };
    } catch (error) {
      throw new Error(`${where}: ${String(error)}\nThe worker:\n${worker.output}`, { cause: error });
    }
  }

  /** One task runs all the time, others end in the moment of the stop, others wait. */
  async #sendBefore({ client, runs }: Parts, round: number): Promise<string[]> {
    const long = `round${round}-long`;
    const longS = this.#options.stopMs / 1000 + 1;
    await client.sendTask('chaos.step', [longS], { taskId: long, queue: 'a', ignoreResult: true });
    if (!(await runs.until(() => runs.of(long).length > 0, RESUME_S * 1000)))
      throw new Error('the task does not begin');
    const ids = QUEUES.flatMap((queue) =>
      Array.from({ length: BEFORE }, (_, at) => ({ queue, taskId: `round${round}-${queue}${at}` })),
    );
    await Promise.all(
      ids.map(({ queue, taskId }) =>
        client.sendTask('chaos.step', [0.2], { taskId, queue, ignoreResult: true }),
      ),
    );
    return [long, ...ids.map(({ taskId }) => taskId)];
  }

  /** Resolves, perhaps not before the broker is back, with the ids of the calls that were accepted. */
  async #callDuring(client: Celery, round: number): Promise<string[]> {
    const calls = QUEUES.flatMap((queue) =>
      Array.from({ length: DURING }, async (_, at) => {
        const taskId = `round${round}-${queue}-during${at}`;
        this.#during.add(taskId);
        try {
          await client.sendTask('chaos.step', [0.01], { taskId, queue, ignoreResult: true });
          return [taskId];
        } catch {
          this.#refused += 1;
          return [];
        }
      }),
    );
    return (await Promise.all(calls)).flat();
  }

  /** Seconds until a task of this queue has given its result. */
  async #answers(client: Celery, queue: string, startMs: number): Promise<number> {
    const value = `${queue} at ${startMs}`;
    const retryPolicy = { maxRetries: 60, intervalStart: 0.2, intervalStep: 0, intervalMax: 1 };
    const call = await client.sendTask<string>('chaos.echo', [value], { queue, retryPolicy });
    const result = await call.get({ timeout: RESUME_S });
    if (result !== value) throw new Error(`queue ${queue} gave ${result}`);
    return since(startMs);
  }

  /** Seconds until the worker has answered a broadcast. */
  async #pings(client: Celery, worker: ChaosWorker, startMs: number): Promise<number> {
    while (since(startMs) < RESUME_S) {
      const replies = await client.control.ping({ timeout: PING_S, limit: 1 });
      if (replies.length === 1 && JSON.stringify(replies).includes(worker.name)) return since(startMs);
    }
    throw new Error(`remote control has not answered for ${RESUME_S} s`);
  }

  #duplicates(runs: Runs): Pick<StopsCounts, 'duplicates' | 'duplicatesOfCalls'> {
    const found = { duplicates: 0, duplicatesOfCalls: 0 };
    for (const id of runs.ids) {
      found[this.#during.has(id) ? 'duplicatesOfCalls' : 'duplicates'] += runs.of(id).length - 1;
    }
    return found;
  }
}

function since(startMs: number): number {
  return (performance.now() - startMs) / 1000;
}

function seconds(count: number): string {
  return `${count.toFixed(1)} s`;
}
