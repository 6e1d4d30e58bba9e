import type {
  Accepted,
  HelloReply,
  QueueInfo,
  RequestInfo,
  ScheduledInfo,
  TaskWhereabouts,
  WorkerStats,
} from './control-replies.ts';
import type { BroadcastOptions, Reply } from './mailbox-client.ts';

/** Answers by node name; null when nobody answered. */
export type ByNode<Answer> = Readonly<Record<string, Answer>> | null;

/** Sends commands; `app.control`. */
export interface Broadcaster {
  broadcast(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    options?: BroadcastOptions,
  ): Promise<Reply[]>;
}

/**
 * Questions to the workers: `await app.control.inspect({ timeout: 2 }).active()`.
 *
 * A worker that could not answer gives `{ error: … }` in place of what is documented.
 */
export class Inspect {
  readonly #control: Broadcaster;
  readonly #options: BroadcastOptions;

  /** Made by `app.control.inspect()`. */
  constructor(control: Broadcaster, options: BroadcastOptions) {
    this.#control = control;
    this.#options = options;
  }

  /** Whether they are there. */
  ping(): Promise<ByNode<Accepted>> {
    return this.#ask('ping');
  }

  /** Tasks that run. @param safe texts of the arguments instead of the values */
  active(safe = false): Promise<ByNode<readonly RequestInfo[]>> {
    return this.#ask('active', safe ? { safe } : {});
  }

  /** Tasks that were received and wait for a free process. */
  reserved(): Promise<ByNode<readonly RequestInfo[]>> {
    return this.#ask('reserved');
  }

  /** Tasks that wait for their time, or for their rate limit. */
  scheduled(): Promise<ByNode<readonly ScheduledInfo[]>> {
    return this.#ask('scheduled');
  }

  /** Ids of revoked tasks. */
  revoked(): Promise<ByNode<readonly string[]>> {
    return this.#ask('revoked');
  }

  /** Names of the tasks, with attributes such as `rate_limit`, `max_retries`, `acks_late` behind: `tasks.add [max_retries=3]`. */
  registered(...attributes: readonly string[]): Promise<ByNode<readonly string[]>> {
    return this.#ask('registered', { taskinfoitems: attributes });
  }

  /** Queues that are consumed. */
  activeQueues(): Promise<ByNode<readonly QueueInfo[]>> {
    return this.#ask('active_queues');
  }

  /** Counts, the pool, the broker, the resources used. */
  stats(): Promise<ByNode<WorkerStats>> {
    return this.#ask('stats');
  }

  /** Settings that were changed, or all; secrets masked. */
  conf(withDefaults = false): Promise<ByNode<Readonly<Record<string, unknown>>>> {
    return this.#ask('conf', { with_defaults: withDefaults });
  }

  /** Where these tasks are, by id; those that are not with a worker are missing. */
  queryTask(...ids: readonly string[]): Promise<ByNode<Readonly<Record<string, TaskWhereabouts>>>> {
    return this.#ask('query_task', { ids });
  }

  /** Versions and settings. */
  report(): Promise<ByNode<Accepted>> {
    return this.#ask('report');
  }

  /** Logical clocks. */
  clock(): Promise<ByNode<{ readonly clock: number }>> {
    return this.#ask('clock');
  }

  /** Tells of a worker that starts, and gets what the others know. */
  hello(
    fromNode: string,
    revoked: Readonly<Record<string, unknown>> = {},
  ): Promise<ByNode<HelloReply | null>> {
    return this.#ask('hello', { from_node: fromNode, revoked });
  }

  /** Memory that the main processes use, such as `53.008MB`. */
  memsample(): Promise<ByNode<string>> {
    return this.#ask('memsample');
  }

  /** The samples of `memsample` since the last time, as text. */
  memdump(samples = 10): Promise<ByNode<string>> {
    return this.#ask('memdump', { samples });
  }

  /** Writes a heap snapshot on each worker's machine. */
  objgraph(): Promise<ByNode<{ readonly filename: string }>> {
    return this.#ask('objgraph');
  }

  /** Asks with an inspect command of your own. */
  ask<Answer = unknown>(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
  ): Promise<ByNode<Answer>> {
    return this.#ask(command, args);
  }

  async #ask<Answer>(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<ByNode<Answer>> {
    const replies = await this.#control.broadcast(command, args, { ...this.#options, reply: true });
    // Each command answers in its own shape, which the documentation of the method states.
    return replies.length === 0 ? null : (Object.assign({}, ...replies) as ByNode<Answer>);
  }
}
