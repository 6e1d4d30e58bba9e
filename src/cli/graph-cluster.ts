import type { Celery } from '../app/celery.ts';
import type { DotAttributes, DotEdge, DotNode } from '../core/dot.ts';
import { CONSUMER_STEPS, WORKER_STEPS } from '../worker/blueprint.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { drawn } from './graph.ts';
import type { GraphOptions } from './graph.ts';
import { print } from './output.ts';

const STEPS: Readonly<Record<string, readonly string[]>> = { worker: WORKER_STEPS, consumer: CONSUMER_STEPS };

/** `celery-ts graph bootsteps [worker] [consumer]`: each step and the one that has to be there before it. */
export function runBootstepsGraph(
  context: Context,
  words: readonly string[],
  { json }: GraphOptions,
): Promise<number> {
  const unknown = words.find((word) => !Object.hasOwn(STEPS, word));
  if (unknown !== undefined) {
    throw context.usage(`Invalid value: '${unknown}' is not one of 'worker', 'consumer'.`);
  }
  const wanted = words.length === 0 ? Object.keys(STEPS) : words;
  const nodes: DotNode[] = [];
  const edges: DotEdge[] = [];
  const before = (id: string, earlier: string | undefined): void => {
    nodes.push({ id });
    if (earlier !== undefined) edges.push({ from: id, to: earlier });
  };
  for (const blueprint of wanted) {
    const title = blueprint.charAt(0).toUpperCase() + blueprint.slice(1);
    for (const [index, step] of (STEPS[blueprint] ?? []).entries()) {
      const earlier = STEPS[blueprint]?.[index - 1];
      before(`${title}: ${step}`, earlier === undefined ? undefined : `${title}: ${earlier}`);
    }
  }
  if (wanted.length === 2) edges.push({ from: 'Consumer: Connection', to: 'Worker: Consumer' });
  print(drawn({ nodes, edges }, json));
  return Promise.resolve(EXIT.ok);
}

/** Words `nodes:a,b threads:2,2 wmax:4`. */
interface ClusterWords {
  readonly nodes?: readonly string[];
  readonly threads: readonly number[];
  readonly broker?: string;
  readonly backend?: string;
  /** So many workers, and processes of each, are drawn at most; 0: all. */
  readonly workersMax: number;
  readonly threadsMax: number;
}

/** `celery-ts graph workers`: the workers that answer, or those that are named, with their processes, broker and backend. */
export function runWorkersGraph(
  context: Context,
  words: readonly string[],
  { json }: GraphOptions,
): Promise<number> {
  const read = readWords(context, words);
  return withApp(context, async ({ app }) => {
    print(drawn(cluster(app, read, read.nodes === undefined ? await running(app) : named(read)), json));
    return EXIT.ok;
  });
}

interface DrawnWorker {
  readonly name: string;
  readonly processes: number;
}

function named({ nodes = [], threads }: ClusterWords): DrawnWorker[] {
  return nodes.map((name, index) => ({ name, processes: threads[index] ?? 0 }));
}

async function running(app: Celery): Promise<DrawnWorker[]> {
  const answers = await app.control.inspect().stats();
  return Object.entries(answers ?? {}).map(([name, stats]) => {
    const { pool } = stats as { readonly pool?: { readonly 'max-concurrency'?: unknown } };
    return { name, processes: Number(pool?.['max-concurrency'] ?? 0) };
  });
}

const BROKER: DotAttributes = { shape: 'circle', fillcolor: 'cadetblue3', color: 'cadetblue4' };
const BACKEND: DotAttributes = { shape: 'folder', fillcolor: 'peachpuff3', color: 'black' };

function cluster(app: Celery, words: ClusterWords, workers: readonly DrawnWorker[]) {
  const broker = words.broker ?? app.transport().url;
  const backend = words.backend ?? app.settings.result_backend ?? undefined;
  const nodes: DotNode[] = [{ id: `broker ${broker}`, label: [broker], attributes: BROKER }];
  const edges: DotEdge[] = [];
  const store = backend === undefined ? undefined : app.backend.url;
  if (store !== undefined) nodes.push({ id: `backend ${store}`, label: [store], attributes: BACKEND });
  for (const { name, processes } of first(workers, words.workersMax)) {
    nodes.push({ id: name });
    edges.push({ from: name, to: `broker ${broker}` });
    if (store !== undefined) edges.push({ from: name, to: `backend ${store}` });
    const numbers = Array.from({ length: processes }, (_, index) => index + 1);
    for (const number of first(numbers, words.threadsMax)) {
      const id = `${name} ${String(number)}`;
      nodes.push({ id, label: [`P${String(number)}`] });
      edges.push({ from: id, to: name, attributes: { arrowhead: 'none', arrowtail: 'tee' } });
    }
    left(nodes, edges, { of: name, shown: words.threadsMax, all: processes });
  }
  left(nodes, edges, { of: `broker ${broker}`, shown: words.workersMax, all: workers.length });
  return { nodes, edges };
}

function first<T>(items: readonly T[], most: number): readonly T[] {
  return most === 0 ? items : items.slice(0, most);
}

/** One box for those that are not drawn. */
function left(
  nodes: DotNode[],
  edges: DotEdge[],
  { of, shown, all }: { readonly of: string; readonly shown: number; readonly all: number },
): void {
  if (shown === 0 || all <= shown) return;
  const id = `${of} …`;
  nodes.push({ id, label: [`… ${String(all - shown)} more`] });
  edges.push({ from: id, to: of });
}

const KEYS = ['nodes', 'threads', 'broker', 'backend', 'wmax', 'tmax'];

function readWords(context: Context, words: readonly string[]): ClusterWords {
  const given = new Map<string, string>();
  for (const word of words) {
    const [, key = '', value = ''] = /^(\w+):(.*)$/s.exec(word) ?? [];
    if (!KEYS.includes(key)) {
      throw context.usage(
        `Invalid value: '${word}' is none of ${KEYS.map((each) => `${each}:…`).join(', ')}.`,
      );
    }
    given.set(key, value);
  }
  const list = (key: string) => given.get(key)?.split(',').filter(Boolean);
  const [nodes, broker, backend] = [list('nodes'), given.get('broker'), given.get('backend')];
  return {
    ...(nodes !== undefined && { nodes }),
    ...(broker !== undefined && { broker }),
    ...(backend !== undefined && { backend }),
    threads: (list('threads') ?? []).map(Number),
    workersMax: Number(given.get('wmax') ?? 4),
    threadsMax: Number(given.get('tmax') ?? 3),
  };
}
