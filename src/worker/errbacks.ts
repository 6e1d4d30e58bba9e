import type { Celery } from '../app/celery.ts';
import { isCalledAtOnce } from '../app/errbacks.ts';
import type { AbandonedErrbacks } from '../canvas/abandon.ts';
import type { Logger } from '../core/logger.ts';
import type { Envelope, SignatureJson } from '../message/message.ts';
import type { Outcome, RemoteError } from '../message/outcome.ts';
import { buildTaskMessage, NO_EMBED, parseTaskHeaders } from '../message/protocol2.ts';
import type { Job, Pool } from '../pool/pool.ts';

export interface ErrbacksOptions {
  readonly app: Celery;
  readonly pool: Pool;
  readonly hostname: string;
  readonly logger: Logger;
}

/**
 * Error callbacks that are called at once, of tasks that have not failed in a process that could call them: it is gone, or there
 * never was one. A process of the pool calls them.
 */
export class Errbacks {
  readonly #options: ErrbacksOptions;
  /** Jobs that no process has yet. */
  readonly #waiting = new Map<Job, (outcome: Outcome) => void>();

  constructor(options: ErrbacksOptions) {
    this.#options = options;
  }

  /** @param envelope - the message of the failed task @returns those that are to be sent */
  async call(
    errbacks: readonly SignatureJson[],
    envelope: Envelope,
    error: RemoteError,
  ): Promise<readonly SignatureJson[]> {
    const { app, hostname, logger } = this.#options;
    const toSend = errbacks.filter((errback) => !isCalledAtOnce(app, errback));
    if (toSend.length === errbacks.length) return toSend;
    const job = jobOf(envelope, hostname, error);
    const outcome = await new Promise<Outcome>((done) => {
      this.#submit(job, done);
    });
    if (outcome.kind !== 'ignore') {
      logger.error(
        `Error callbacks of ${job.task}[${job.id}] were not called to their end (${outcome.kind})`,
      );
    }
    return toSend;
  }

  /** The same for a task that was never sent: of the body of a chord. */
  callOfUnsent(
    { task, taskId, args, kwargs, errbacks }: AbandonedErrbacks,
    error: RemoteError,
  ): Promise<readonly SignatureJson[]> {
    const embed = { ...NO_EMBED, errbacks };
    const origin = this.#options.hostname;
    const message = buildTaskMessage({ task, id: taskId, args, kwargs, embed, serializer: 'json', origin });
    return this.call(errbacks, message, error);
  }

  /** The pool has given back what waited for a slot; it still runs what it gets. */
  submitAgain(ids: ReadonlySet<string>): void {
    for (const [job, done] of [...this.#waiting]) if (ids.has(job.id)) this.#submit(job, done);
  }

  #submit(job: Job, done: (outcome: Outcome) => void): void {
    this.#waiting.set(job, done);
    const events = {
      onAccepted: () => {
        this.#waiting.delete(job);
      },
      onState: () => Promise.resolve(),
      onSoftTimeout: () => undefined,
    };
    void this.#options.pool.submit(job, events).then(done);
  }
}

function jobOf(envelope: Envelope, hostname: string, failure: RemoteError): Job {
  const { headers, userHeaders } = parseTaskHeaders(envelope.headers);
  const { body, contentType, contentEncoding, properties } = envelope;
  const { compression } = envelope.headers;
  return {
    ...{ id: headers.id, task: headers.task, headers, userHeaders, body, contentType, contentEncoding },
    ...(typeof compression === 'string' && { compression }),
    deliveryInfo: { exchange: '', routing_key: '', priority: properties.priority ?? null },
    replyTo: properties.replyTo ?? null,
    correlationId: properties.correlationId ?? null,
    ...{ hostname, ignoreResult: true, timeLimit: undefined, softTimeLimit: undefined, failure },
  };
}
