import { setTimeout as sleep } from 'node:timers/promises';
import type { Celery } from '../app/celery.ts';
import { CeleryError, OperationalError } from '../core/errors.ts';
import { Releasers } from '../core/lifecycle.ts';
import { pythonRepr } from '../core/python-repr.ts';
import { decodeBody } from '../message/registry.ts';
import type { Envelope } from '../message/message.ts';
import { connectTransport } from '../transport/connect.ts';
import type { Queue } from '../transport/topology.ts';
import type { Channel, Connection, Delivery } from '../transport/transport.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { interruptible } from './interrupt.ts';
import { print, printError } from './output.ts';
import { pythonJson } from './replies.ts';

/** Options of `celery-ts migrate` as commander gives them. */
export interface MigrateOptions {
  readonly limit?: number;
  readonly timeout?: number;
  readonly ackMessages?: boolean;
  readonly tasks?: readonly string[];
  readonly queues?: readonly string[];
  readonly forever?: boolean;
  readonly json?: boolean;
}

/** How often queues that were empty are looked at again. */
const LOOK_MS = 250;

/** Serializers that a body is shown in; another one does not keep a task from going over. */
const SHOWN = new Set(['application/json', 'application/x-yaml', 'application/x-msgpack']);

/** A queue of the source, and what it becomes. */
interface Route {
  readonly from: string;
  readonly to: Queue;
}

/** `celery-ts migrate`: each task goes straight into the queue of the same name, or that of `-Q a:b`. */
export function runMigrate(
  context: Context,
  [source = '', destination = '']: readonly string[],
  options: MigrateOptions,
): Promise<number> {
  return withApp(context, ({ app }) =>
    interruptible(async (signal) => {
      const own = new Releasers();
      try {
        const sourceBroker = await connect(source, own, signal);
        const to = await (await connect(destination, own, signal)).openChannel();
        const from = await sourceBroker.openChannel();
        const routes = await present(routesOf(app, options.queues), sourceBroker);
        for (const route of routes) await to.declareQueue(route.to);
        const quiet = context.global.quiet === true || options.json === true;
        const migration = new Migration(from, to, { ...options, quiet });
        await migration.count(routes);
        try {
          await migration.run(routes, signal);
        } finally {
          migration.end(quiet);
        }
        if (options.json === true) print(pythonJson(migration.counts));
        return EXIT.ok;
      } finally {
        await own.release();
      }
    }),
  );
}

async function connect(url: string, own: Releasers, signal: AbortSignal): Promise<Connection> {
  const transport = connectTransport(url, {
    heartbeatS: 0,
    connectionTimeoutS: 10,
    failoverStrategy: 'round-robin',
    transportOptions: {},
    useSsl: false,
  });
  const connection = await transport.connect(signal);
  own.push(() => connection[Symbol.asyncDispose]());
  return connection;
}

/** Those whose queue the source has. */
async function present(routes: readonly Route[], source: Connection): Promise<Route[]> {
  const found: Route[] = [];
  for (const route of routes) {
    try {
      await source.administer().checkQueue(route.from);
      found.push(route);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      printError(`Queue ${route.from} is left out: ${error.message}`);
    }
  }
  return found;
}

function routesOf(app: Celery, queues: readonly string[] | undefined): Route[] {
  const words = queues ?? app.queues.all().map(({ name }) => name);
  return words.map((word) => {
    const [from = word, to = from] = word.split(':');
    return { from, to: renamed(app.queues.get(from), from, to) };
  });
}

/** The queue under its new name; what was called like it is renamed with it. */
function renamed(queue: Queue, from: string, to: string): Queue {
  const { exchange } = queue;
  return {
    ...queue,
    name: to,
    routingKey: queue.routingKey === from ? to : queue.routingKey,
    ...(exchange !== undefined && {
      exchange: { ...exchange, name: exchange.name === from ? to : exchange.name },
    }),
  };
}

class Migration {
  readonly #from: Channel;
  readonly #to: Channel;
  readonly #options: MigrateOptions & { readonly quiet: boolean };
  readonly #tasks: ReadonlySet<string>;
  #total = 0;
  #migrated = 0;
  /** Taken and not removed: they go back when the connection is closed. */
  #held = 0;

  constructor(from: Channel, to: Channel, options: MigrateOptions & { readonly quiet: boolean }) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#tasks = new Set(options.tasks);
  }

  get counts(): { readonly migrated: number; readonly restored: number } {
    return { migrated: this.#migrated, restored: this.#held };
  }

  async count(routes: readonly Route[]): Promise<void> {
    for (const { from } of routes) this.#total += await this.#from.size(from);
  }

  /** Until the queues are empty and stay so as long as the options say. */
  async run(routes: readonly Route[], signal: AbortSignal): Promise<void> {
    const { limit = Infinity, timeout = 0, forever = false } = this.#options;
    let emptySince = performance.now();
    while (this.#migrated < limit) {
      signal.throwIfAborted();
      let found = false;
      for (const route of routes) {
        if (this.#migrated < limit && (await this.#one(route))) found = true;
      }
      if (found) emptySince = performance.now();
      else if (!forever && performance.now() - emptySince >= timeout * 1000) return;
      else await sleep(LOOK_MS, undefined, { signal });
    }
  }

  end(quiet: boolean): void {
    if (this.#held > 0 && !quiet) print(`Restoring ${String(this.#held)} unacknowledged message(s)`);
  }

  async #one({ from, to }: Route): Promise<boolean> {
    const delivery = await this.#from.get(from);
    if (delivery === undefined) return false;
    const body = readBody(delivery.envelope);
    if (this.#tasks.size > 0 && !this.#tasks.has(taskOf(delivery, body))) {
      this.#held += 1;
      return true;
    }
    await this.#to.publish(delivery.envelope, '', to.name);
    this.#migrated += 1;
    if (!this.#options.quiet) this.#tell(delivery, body);
    if (this.#options.ackMessages === true) await delivery.ack();
    else this.#held += 1;
    return true;
  }

  #tell({ envelope }: Delivery, body: unknown): void {
    const what = body === undefined ? `<${String(envelope.body.length)} bytes>` : pythonRepr(body);
    const total = Math.max(this.#total, this.#migrated);
    print(`Migrating task ${String(this.#migrated)}/${String(total)}: ${what}`);
  }
}

/** Undefined for a body that cannot be shown, such as a pickled one. */
function readBody({ body, contentType, contentEncoding, headers }: Envelope): unknown {
  try {
    return decodeBody({ body, contentType, contentEncoding, headers }, SHOWN);
  } catch (error) {
    if (error instanceof CeleryError) return undefined;
    throw error;
  }
}

/** Protocol 2 has the name in the headers, protocol 1 in the body. */
function taskOf({ envelope }: Delivery, body: unknown): string {
  const { task } = envelope.headers;
  if (typeof task === 'string') return task;
  const named = body as { readonly task?: unknown } | null | undefined;
  return typeof named === 'object' && typeof named?.task === 'string' ? named.task : '';
}
