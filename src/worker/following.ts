import { isCallOption } from '../app/call-options.ts';
import { toCamelCase } from '../app/option-names.ts';
import type { ApplyOptions } from '../app/options.ts';
import type { Celery } from '../app/celery.ts';
import type { PublishTarget } from '../app/routes.ts';
import { abandonedSteps, afterFailure, afterSuccess } from '../canvas/callbacks.ts';
import type { FollowUp, FollowUps, Origin, Sender } from '../canvas/callbacks.ts';
import type { Logger } from '../core/logger.ts';
import type { Embed } from '../message/message.ts';
import type { EncodedValue, RemoteError, ResultTuple, RetryRequest } from '../message/outcome.ts';
import { decodeTaskBody } from '../message/protocol2.ts';
import { DEFAULT_LIMITS, decodeValue } from '../message/registry.ts';
import { nextRun } from './next-run.ts';
import type { Request } from './request.ts';
import type { Results } from './results.ts';

/** The broker may be away for a while: a task that has run must not end without what follows it. */
const UNTIL_SENT = { maxRetries: null, intervalStart: 0.2, intervalStep: 0.5, intervalMax: 5 } as const;

export interface FollowingOptions {
  readonly app: Celery;
  readonly results: Results;
  readonly hostname: string;
  /** Content types that may be decoded. */
  readonly accept: ReadonlySet<string>;
  readonly logger: Logger;
  /** Gives up what could not be sent yet. */
  readonly signal: AbortSignal;
}

/** Sends what follows a task: its next run, its callbacks, the next step of its chain, its error callbacks; fails what never will. */
export class Following implements Sender {
  readonly #app: Celery;
  readonly #results: Results;
  readonly #origin: string;
  readonly #accept: ReadonlySet<string>;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;

  constructor({ app, results, hostname, accept, logger, signal }: FollowingOptions) {
    this.#app = app;
    this.#results = results;
    this.#origin = `gen${process.pid}@${hostname.slice(hostname.indexOf('@') + 1)}`;
    this.#accept = accept;
    this.#logger = logger;
    this.#signal = signal;
  }

  /** @returns what was sent, as children of the task */
  success(request: Request, embed: EncodedValue, result: EncodedValue): Promise<readonly ResultTuple[]> {
    return this.#sendAll(request, afterSuccess(decodeValue(embed) as Embed, decodeValue(result)));
  }

  /** @param error - told to those who wait for the rest of the chain; null: it is not stored */
  async failure(request: Request, embed: EncodedValue, error: RemoteError | null): Promise<void> {
    await this.#afterFailure(request, decodeValue(embed) as Embed, error);
  }

  /** The same for a task whose process is gone: nobody has read its message yet. */
  async unrunFailure(request: Request, error: RemoteError | null): Promise<void> {
    let embed: Embed;
    try {
      ({ embed } = decodeTaskBody(request.envelope, this.#accept, DEFAULT_LIMITS));
    } catch (error) {
      this.#logger.error(`The error callbacks of ${request.label} cannot be read`, error);
      return;
    }
    await this.#afterFailure(request, embed, error);
  }

  /** Sends the next run of the task where this one came from, unless `retry()` names another place. */
  async retry(request: Request, retry: RetryRequest): Promise<void> {
    const message = nextRun(request, retry, this.#origin);
    await this.#app.producer.publish(message, this.#targetOf(request, retry.options), {
      retry: { maxRetries: null, intervalStartMs: 200, intervalStepMs: 500, intervalMaxMs: 5000 },
      signal: this.#signal,
    });
  }

  async send(call: FollowUp, origin: Origin): Promise<string> {
    const options: ApplyOptions = {
      ...applyOptions(call.options),
      kwargs: call.kwargs,
      rootId: origin.rootId,
      parentId: origin.id,
      addToParent: false,
      ...(call.chain !== null && { chain: call.chain }),
      retry: true,
      retryPolicy: UNTIL_SENT,
      signal: this.#signal,
    };
    try {
      return (await this.#app.call(call.task, call.args, options)).id;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      // The arguments do not fit the task: it is the one to fail, where it runs.
      return (await this.#app.sendTask(call.task, call.args, options)).id;
    }
  }

  async #afterFailure(request: Request, embed: Embed, error: RemoteError | null): Promise<void> {
    if (error !== null) await this.#results.storeAbandoned(abandonedSteps(embed), error);
    await this.#sendAll(request, afterFailure(embed, request.id));
  }

  async #sendAll(request: Request, { calls, unsupported }: FollowUps): Promise<readonly ResultTuple[]> {
    for (const part of unsupported) {
      this.#logger.error(
        `Task ${request.label} is part of a workflow that is not supported yet (${part}): it is not continued`,
      );
    }
    const { headers, envelope } = request;
    const origin = { id: headers.id, rootId: headers.root_id ?? headers.id };
    const { replyTo } = envelope.properties;
    const ids = await Promise.all(
      calls.map((call) =>
        this.send(
          replyTo === undefined ? call : { ...call, options: { reply_to: replyTo, ...call.options } },
          origin,
        ),
      ),
    );
    return ids.map((id) => [[id, null], null]);
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
      options: applyOptions({ queue, exchange, routing_key: routingKey }),
      task: this.#app.tasks.get(request.headers.task),
    }).target;
  }
}

/** `apply_async` options in Celery's names as ours. */
function applyOptions(options: Readonly<Record<string, unknown>>): ApplyOptions {
  const entries = Object.entries(options)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => [toCamelCase(name), value] as const);
  // A signature of another version may hold more than a call takes here.
  return Object.fromEntries(entries.filter(([name]) => isCallOption(name)));
}
