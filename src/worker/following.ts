import type { Celery } from '../app/celery.ts';
import { sendCanvas } from '../app/canvas.ts';
import type { ApplyOptions } from '../app/options.ts';
import type { PublishTarget } from '../app/routes.ts';
import { toApplyOptions } from '../app/signature-options.ts';
import { afterFailure, afterSuccess } from '../canvas/following.ts';
import type { FollowUp } from '../canvas/following.ts';
import type { SignatureOptions } from '../canvas/signature.ts';
import { startOf } from '../canvas/start.ts';
import type { Call } from '../canvas/start.ts';
import { newTaskId } from '../core/task-id.ts';
import type { Embed, SignatureJson } from '../message/message.ts';
import type { EncodedValue, ResultTuple, RetryRequest } from '../message/outcome.ts';
import { decodeValue } from '../message/registry.ts';
import { nextRun } from './next-run.ts';
import type { Request } from './request.ts';

/** The broker may be away for a while: a task that has run must not end without what follows it. */
const UNTIL_SENT = { maxRetries: null, intervalStart: 0.2, intervalStep: 0.5, intervalMax: 5 } as const;

export interface FollowingOptions {
  readonly app: Celery;
  readonly hostname: string;
  /** Gives up what could not be sent yet. */
  readonly signal: AbortSignal;
}

/** The task that others follow. */
export interface Origin {
  readonly id: string;
  readonly rootId: string;
  /** Queue of the process that waits for results. */
  readonly replyTo: string | undefined;
  /** With `task_inherit_parent_priority`; null otherwise. */
  readonly priority: number | null;
}

/** Sends what follows a task: its next run, its callbacks, the next step of its chain, its error callbacks. */
export class Following {
  readonly #app: Celery;
  readonly #origin: string;
  readonly #signal: AbortSignal;

  constructor({ app, hostname, signal }: FollowingOptions) {
    this.#app = app;
    this.#origin = `gen${process.pid}@${hostname.slice(hostname.indexOf('@') + 1)}`;
    this.#signal = signal;
  }

  /** @returns what was sent, as children of the task */
  success(
    request: Pick<Request, 'headers' | 'envelope'>,
    embed: Embed,
    result: EncodedValue,
  ): Promise<readonly ResultTuple[]> {
    return this.#startAll(afterSuccess(embed, decodeValue(result)), this.originOf(request));
  }

  /** @param taskId - the one that has failed, also one that never ran */
  async failure(errbacks: readonly SignatureJson[], taskId: string, origin: Origin): Promise<void> {
    await this.#startAll(afterFailure(errbacks, taskId), origin);
  }

  /** Sends the next run of the task where this one came from, unless `retry()` names another place. */
  async retry(request: Request, retry: RetryRequest): Promise<void> {
    const message = nextRun(request, retry, this.#origin);
    await this.#app.producer.publish(message, this.#targetOf(request, retry.options), {
      retry: { maxRetries: null, intervalStartMs: 200, intervalStepMs: 500, intervalMaxMs: 5000 },
      signal: this.#signal,
    });
  }

  /**
   * Sends what starts a signature, as if the task sent it itself: its calls are children of the task unless they say otherwise.
   * @returns what the task remembers of it as its child; null: nothing was to be sent
   */
  async start({ node, given }: FollowUp, origin: Origin): Promise<ResultTuple | null> {
    const { replyTo, priority } = origin;
    const options: SignatureOptions = { ...(priority !== null && { priority }), ...given.options };
    const chordHeader = this.#app.settings.task_allow_error_cb_on_chord_header;
    const start = startOf(node, { ...given, options }, { newId: newTaskId, replyTo, chordHeader });
    await sendCanvas(this.#app, start, (call) => this.#send(call, origin));
    return start.child;
  }

  originOf({ headers, envelope }: Pick<Request, 'headers' | 'envelope'>): Origin {
    const { replyTo, priority } = envelope.properties;
    const inherits = this.#app.settings.task_inherit_parent_priority;
    return {
      id: headers.id,
      rootId: headers.root_id ?? headers.id,
      replyTo,
      priority: inherits ? (priority ?? null) : null,
    };
  }

  async #startAll(followUps: readonly FollowUp[], origin: Origin): Promise<readonly ResultTuple[]> {
    const family = { root_id: origin.rootId, parent_id: origin.id };
    const children = await Promise.all(
      followUps.map(({ node, given }) =>
        // Said, and so handed on to all of it: to the body of a chord, too.
        this.start({ node, given: { ...given, options: { ...family, ...given.options } } }, origin),
      ),
    );
    return children.filter((child) => child !== null);
  }

  async #send(call: Call, { id, rootId }: Origin): Promise<void> {
    const options: ApplyOptions = {
      ...{ parentId: id, rootId },
      ...toApplyOptions(call.options),
      kwargs: call.kwargs,
      addToParent: false,
      retry: true,
      retryPolicy: UNTIL_SENT,
      signal: this.#signal,
    };
    try {
      await this.#app.call(call.task, call.args, options);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      // The arguments do not fit the task: it is the one to fail, where it runs.
      await this.#app.sendTask(call.task, call.args, options);
    }
  }

  #targetOf(request: Request, options: RetryRequest['options']): PublishTarget {
    const { queue, exchange, routing_key: routingKey } = options;
    if (queue === undefined && exchange === undefined && routingKey === undefined) {
      const { exchange: same, routingKey: key, queue: from } = request.delivery;
      // Declared again in case somebody has deleted it: a message without a queue would vanish.
      return {
        queue: this.#app.queues.consumeFrom.find(({ name }) => name === from),
        exchange: same,
        routingKey: key,
      };
    }
    return this.#app.router.route({
      name: request.headers.task,
      args: [],
      kwargs: {},
      options: toApplyOptions({ queue, exchange, routing_key: routingKey }),
      task: this.#app.tasks.get(request.headers.task),
    }).target;
  }
}
