import { BackendError, BackendGetMetaError, BackendStoreError, OperationalError } from '../core/errors.ts';
import { retry, type RetryPolicy } from '../core/retry.ts';
import type { Envelope } from '../message/message.ts';
import { acceptedTypes, DEFAULT_LIMITS, openBody, serializerByName } from '../message/registry.ts';
import { decodeMeta, encodeMeta } from '../message/result-codec.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { Serializer } from '../message/serializer.ts';
import type { Queue } from '../transport/topology.ts';
import type { Delivery } from '../transport/transport.ts';
import type { BackendCapabilities, ReplyAddress, ResultBackend } from './backend.ts';
import { type ChordMember, noChords } from './chord.ts';
import type { BackendOptions } from './connect.ts';
import { ResultCache } from './result-cache.ts';
import { RpcLink } from './rpc-link.ts';

/** How long a result waits for the broker: about 20 seconds, as in Celery. */
const STORE_RETRY: RetryPolicy = {
  maxRetries: 20,
  intervalStartMs: 0,
  intervalStepMs: 1_000,
  intervalMaxMs: 1_000,
};

/** How long a task that is being sent waits for the reply queue, as `task_publish_retry_policy` by default. */
const EXPECT_RETRY: RetryPolicy = {
  maxRetries: 3,
  intervalStartMs: 0,
  intervalStepMs: 200,
  intervalMaxMs: 200,
};

/** The longest `x-expires` that RabbitMQ takes. */
const MAX_EXPIRES_MS = 4_294_967_295;

/**
 * `rpc://`: each state is a message to the process that sent the task, over the broker of the app.
 * @param replyTo also the name of the queue that answers come to
 */
export function rpcBackend(options: BackendOptions, replyTo: string): ResultBackend {
  return new RpcBackend(options, replyTo);
}

class RpcBackend implements ResultBackend {
  readonly scheme = 'rpc';
  readonly url = 'rpc://';
  readonly can: BackendCapabilities = {
    results: true,
    shared: false,
    crossProcess: false,
    expires: true,
    groups: false,
    chords: false,
  };
  readonly replyTo: string;
  readonly #serializer: Serializer;
  readonly #accept: ReadonlySet<string>;
  readonly #deliveryMode: 1 | 2;
  readonly #cache = new ResultCache();
  readonly #link: RpcLink;

  constructor(
    { serializer, acceptContent, persistent, resultExpiresS, transport }: BackendOptions,
    replyTo: string,
  ) {
    this.replyTo = replyTo;
    this.#serializer = serializerByName(serializer);
    this.#accept = acceptedTypes(acceptContent);
    this.#deliveryMode = persistent ? 2 : 1;
    this.#link = new RpcLink(transport(), {
      queue: replyQueue(replyTo, resultExpiresS),
      onDelivery: (delivery) => this.#receive(delivery),
      onRefused: (error) => this.#cache.fail(new BackendGetMetaError(error.message, { cause: error })),
    });
  }

  toString(): string {
    return this.url;
  }

  async expect(taskId: string): Promise<void> {
    this.#cache.expect(taskId);
    await this.#retry(() => this.#link.listen(), EXPECT_RETRY);
  }

  async store(meta: ResultMeta, reply?: ReplyAddress): Promise<void> {
    // Sent by somebody who wants no answer.
    if (reply === undefined) return;
    const envelope = this.#envelope(meta, reply.correlationId);
    try {
      await this.#send(envelope, reply.replyTo);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new BackendStoreError(`The result of ${meta.taskId} could not be sent: ${why}`, { cause: error });
    }
  }

  async #send(envelope: Envelope, replyTo: string): Promise<void> {
    const open = this.#link.openChannel;
    if (open !== undefined) {
      try {
        await open.publish(envelope, '', replyTo);
        return;
      } catch (error) {
        if (!isTransient(error)) throw error;
      }
    }
    await this.#retry(async () => {
      const channel = await this.#link.channel();
      await channel.publish(envelope, '', replyTo);
    }, STORE_RETRY);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a failure must reject, not throw
  async fetch(taskId: string): Promise<ResultMeta | undefined> {
    return this.#cache.get(taskId);
  }

  async *watch(taskId: string, signal: AbortSignal): AsyncIterable<ResultMeta> {
    this.#link.signal.throwIfAborted();
    yield* this.#cache.watch(taskId, signal);
  }

  forget(taskId: string): Promise<void> {
    this.#cache.forget(taskId);
    return Promise.resolve();
  }

  saveGroup(): Promise<void> {
    return Promise.reject(noGroups());
  }

  loadGroup(): Promise<ResultTuple | undefined> {
    return Promise.reject(noGroups());
  }

  forgetGroup(): Promise<void> {
    return Promise.reject(noGroups());
  }

  startChord(): Promise<void> {
    return Promise.reject(noChords(this.url));
  }

  growChord(): Promise<void> {
    return Promise.reject(noChords(this.url));
  }

  endPart(): Promise<readonly ChordMember[] | undefined> {
    return Promise.reject(noChords(this.url));
  }

  endChord(): Promise<void> {
    return Promise.reject(noChords(this.url));
  }

  cleanup(): Promise<number> {
    return Promise.resolve(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#cache.fail(new BackendGetMetaError('The result backend is closed'));
    return this.#link[Symbol.asyncDispose]();
  }

  #retry<T>(fn: () => Promise<T>, policy: RetryPolicy): Promise<T> {
    const { signal } = this.#link;
    return retry(fn, policy, { signal, retryIf: (error) => isTransient(error) && !signal.aborted });
  }

  #envelope(meta: ResultMeta, correlationId: string): Envelope {
    const { name, contentType, contentEncoding } = this.#serializer;
    return {
      body: encodeMeta(meta, 'rpc', name),
      contentType,
      contentEncoding,
      headers: {},
      properties: { correlationId, deliveryMode: this.#deliveryMode, priority: 0 },
    };
  }

  #receive({ envelope }: Delivery): void {
    const { correlationId = '' } = envelope.properties;
    try {
      const { serializer, bytes } = openBody(envelope, this.#accept, DEFAULT_LIMITS);
      const meta = decodeMeta(bytes, serializer.name);
      const taskId = meta.taskId === '' ? correlationId : meta.taskId;
      this.#cache.add(taskId, { ...meta, taskId });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const unreadable = new BackendGetMetaError(`The result of ${correlationId} cannot be read: ${why}`, {
        cause: error,
      });
      this.#cache.add(correlationId, unreadable);
    }
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof OperationalError && error.code === 'CELERY_OPERATIONAL';
}

function replyQueue(name: string, resultExpiresS: number | null): Queue {
  const expiresMs = Math.min(Math.round((resultExpiresS ?? 0) * 1000), MAX_EXPIRES_MS);
  return {
    name,
    routingKey: name,
    durable: false,
    exclusive: false,
    autoDelete: true,
    noAck: true,
    arguments: expiresMs > 0 ? { 'x-expires': expiresMs } : {},
  };
}

function noGroups(): BackendError {
  return new BackendError(
    'The rpc:// result backend cannot save or restore groups: a result is a message that only the process which sent the ' +
      'task can read. Use another result_backend, such as sqlite:///results.db.',
  );
}
