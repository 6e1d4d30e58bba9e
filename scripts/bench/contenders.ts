import { join } from 'node:path';
import { Skipped, type Bench, type Case } from './model.ts';
import { PEERS_FOLDER, ROOT } from './peers.ts';

/** Debian's: a virtual environment may come before it in the path. */
const PYTHON = '/usr/bin/python3';
export const PROGRAMS = join(import.meta.dirname, 'programs');

/** Bytes. */
const LARGE = 4_194_304;

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  /** What the program reads from `BENCH`. */
  readonly bench: Readonly<Record<string, unknown>>;
}

/** What a name on the command line stands for. Of `celery-ts` there are variants, such as `celery-ts x4` or `celery-ts solo`. */
export const CONTENDERS: Readonly<Record<string, string>> = {
  'celery-ts': 'celery-ts, prefork, --prefetch-multiplier 50',
  'celery-ts x4': 'celery-ts, prefork, --prefetch-multiplier 4 (the default)',
  'celery-ts solo': 'celery-ts, solo, --prefetch-multiplier 50',
  'celery-ts late': 'celery-ts, prefork, 50, task_acks_late',
  'celery-ts info': 'celery-ts, prefork, 50, --loglevel INFO',
  'celery-ts async': 'celery-ts, async pool, --prefetch-multiplier 4 (the default)',
  'celery-ts .ts': 'celery-ts with an app in TypeScript',
  celery: "Python's Celery, prefork, its default prefetch of 4",
  'celery late': "Python's Celery, prefork, task_acks_late",
  'celery info': "Python's Celery, prefork, --loglevel INFO",
  'celery threads': "Python's Celery, threads",
  'celery unconfirmed': "Python's Celery without confirm_publish",
  bullmq: 'BullMQ, in-process, concurrency 10 at least',
  'bullmq sandbox': 'BullMQ, sandboxed in child processes',
  'celery-node': 'celery-node, in-process, acknowledges before it runs, no limit of concurrency',
  raw: 'amqplib or ioredis: the same messages, acknowledgements and results, nothing else',
  'ideal js': 'the task in plain Node processes, without a queue',
  'ideal python': 'the task in plain Python processes, without a queue',
};

export function isCeleryTs(contender: string): boolean {
  return contender.startsWith('celery-ts');
}

export function isPython(contender: string): boolean {
  return contender === 'celery' || contender.startsWith('celery ');
}

export function isBullmq(contender: string): boolean {
  return contender.startsWith('bullmq');
}

/** Whether contenders read the same messages, so that one may go on where another has stopped. */
export function familyOf(contender: string): string {
  return isBullmq(contender) ? 'bullmq' : 'celery';
}

function backendOf({ servers }: Bench, { results }: Case): string | null {
  if (results === 'off') return null;
  return results === 'rpc' ? 'rpc://' : servers.url('redis');
}

function refuse(contender: string, of: Case): void {
  if (isBullmq(contender) && of.broker !== 'redis') throw new Skipped('BullMQ runs on Redis only');
}

/** How the worker of a contender is started. */
export function workerCommand(bench: Bench, of: Case, contender: string): Command {
  refuse(contender, of);
  const broker = bench.servers.url(of.broker);
  const backend = backendOf(bench, of);
  if (isCeleryTs(contender)) return celeryTs(bench, of, contender, { broker, backend });
  if (isPython(contender)) return python(of, contender, { broker, backend });
  const settings: Record<string, unknown> = { broker, backend, peers: PEERS_FOLDER };
  const node = (file: string): Command => ({
    command: process.execPath,
    args: [join(PROGRAMS, file)],
    bench: settings,
  });
  switch (contender) {
    case 'bullmq':
      settings['concurrency'] = Math.max(of.concurrency, 10);
      return node('bullmq-worker.js');
    case 'bullmq sandbox':
      Object.assign(settings, { concurrency: of.concurrency, sandbox: true });
      return node('bullmq-worker.js');
    case 'celery-node':
      if (of.results === 'rpc') settings['backend'] = broker;
      return node('celery-node-worker.js');
    case 'raw':
      // Few of the large ones: else all are taken, and counted, at once.
      settings['prefetch'] = Math.max(
        1,
        Math.min(of.concurrency * 50, Math.floor(LARGE / (of.payload ?? 1))),
      );
      return node('raw-worker.js');
    default:
      throw new Skipped(`${contender} is no worker`);
  }
}

interface Urls {
  readonly broker: string;
  readonly backend: string | null;
}

const LEAN = ['--without-gossip', '--without-mingle', '--without-heartbeat'];

function celeryTs(bench: Bench, of: Case, contender: string, urls: Urls): Command {
  const pool = contender.endsWith(' solo') ? 'solo' : contender.endsWith(' async') ? 'async' : 'prefork';
  // Many at a time are enough to have in hand without more for each.
  const isDefault = contender.endsWith(' x4') || pool === 'async';
  return {
    command: process.execPath,
    args: [
      ...(bench.profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${bench.profiles}`]),
      join(ROOT, 'bin/celery-ts.js'),
      ...['-A', contender.endsWith(' .ts') ? 'typed' : 'tasks', 'worker', '-P', pool],
      ...['-c', String(of.concurrency), '--prefetch-multiplier', isDefault ? '4' : '50'],
      ...['--loglevel', of.full === true || contender.endsWith(' info') ? 'INFO' : 'WARNING'],
      ...(of.full === true ? [] : LEAN),
    ],
    bench: { ...urls, settings: settingsOf(contender) },
  };
}

function python(of: Case, contender: string, urls: Urls): Command {
  const pool = contender.endsWith(' threads') ? 'threads' : 'prefork';
  return {
    command: PYTHON,
    args: [
      ...['-m', 'celery', '-A', 'tasks', 'worker', '-P', pool, '-c', String(of.concurrency)],
      ...['--loglevel', of.full === true || contender.endsWith(' info') ? 'INFO' : 'WARNING'],
      ...(of.full === true ? [] : LEAN),
    ],
    bench: { ...urls, settings: settingsOf(contender) },
  };
}

function settingsOf(contender: string): Record<string, unknown> {
  if (isCeleryTs(contender)) return contender.endsWith(' late') ? { task_acks_late: true } : {};
  return {
    task_acks_late: contender.endsWith(' late'),
    // What celery-ts always does: a message counts as sent when the broker has it.
    broker_transport_options: contender.endsWith(' unconfirmed') ? {} : { confirm_publish: true },
  };
}

/** How the program of a client is started, `publish` or `latency`, with its arguments. */
export function clientCommand(
  bench: Bench,
  of: Case,
  contender: string,
  program: 'publish' | 'latency',
  ...args: readonly string[]
): Command {
  refuse(contender, of);
  const broker = bench.servers.url(of.broker);
  const found = backendOf(bench, of);
  const isForeign = contender === 'celery-node' && found === 'rpc://';
  const backend = isForeign ? broker : found;
  const settings = { broker, backend, peers: PEERS_FOLDER, settings: settingsOf(contender) };
  if (isPython(contender)) {
    return { command: PYTHON, args: [join(PROGRAMS, `${program}.py`), ...args], bench: settings };
  }
  const who = isCeleryTs(contender) ? 'celery-ts' : isBullmq(contender) ? 'bullmq' : contender;
  return {
    command: process.execPath,
    args: [join(PROGRAMS, `${program}.js`), who, ...args],
    bench: settings,
  };
}

/** A process that does its share of the CPU-bound tasks without any queue. */
export function idealCommand(contender: string, tasks: number): Command {
  const python = contender.endsWith('python');
  return {
    command: python ? PYTHON : process.execPath,
    args: [join(PROGRAMS, python ? 'ideal.py' : 'ideal.js'), String(tasks)],
    bench: { broker: 'memory://', backend: null, settings: {} },
  };
}
