import { BackendError, BackendGetMetaError, ContentDisallowed } from '../core/errors.ts';
import { READY_STATES, SUCCESS } from '../core/states.ts';
import { acceptedTypes, serializerByName } from '../message/registry.ts';
import { decodeMeta, encodeMeta } from '../message/result-codec.ts';
import type { ResultTuple } from '../message/outcome.ts';
import type { ResultMeta } from '../message/result-meta.ts';
import type { BackendCapabilities, ResultBackend } from './backend.ts';
import type { ChordMember, ChordPart } from './chord.ts';
import type { BackendOptions } from './connect.ts';
import { redisBackendAddress } from './redis/address.ts';
import { Chords } from './redis/chords.ts';
import { RedisConnection } from './redis/connection.ts';
import { decodeGroup, encodeGroup } from './redis/groups.ts';
import { RedisKeys } from './redis/keys.ts';
import { Persistence } from './redis/persistence.ts';
import { Reads } from './redis/reads.ts';
import { Subscriber } from './redis/subscriber.ts';
import { Waiting } from './redis/waiting.ts';
import { Writes } from './redis/writes.ts';

/**
 * Results in Redis, as Celery keeps them: `redis://`, `rediss://`, `redis+socket://`, `sentinel://`.
 *
 * Opens one connection on first use, and a second one for all who wait; each again after a loss.
 *
 * @throws {@link ImproperlyConfigured} a URL or option that cannot be used
 */
export function redisBackend(url: string, options: BackendOptions): ResultBackend {
  return new RedisBackend(url, options);
}

class RedisBackend implements ResultBackend {
  readonly scheme: string;
  readonly url: string;
  readonly can: BackendCapabilities = {
    results: true,
    shared: true,
    crossProcess: true,
    expires: true,
    groups: true,
    chords: true,
  };
  readonly replyTo = undefined;
  readonly #serializer: string;
  /** Why documents of that serializer are not read, if they are not. */
  readonly #refused: ContentDisallowed | undefined;
  readonly #keys: RedisKeys;
  readonly #persistence: Persistence;
  readonly #connection: RedisConnection;
  readonly #subscriber: Subscriber;
  readonly #writes: Writes;
  readonly #reads: Reads;
  readonly #chords: Chords;
  readonly #mayWait: boolean;
  readonly #life = new AbortController();

  constructor(url: string, { serializer, acceptContent, resultExpiresS, settings }: BackendOptions) {
    const address = redisBackendAddress(url, settings);
    this.scheme = url.slice(0, url.indexOf(':'));
    this.url = address.url;
    this.#mayWait = settings.redis_max_connections !== 1;
    this.#serializer = serializer;
    this.#refused = refusal(serializer, acceptContent);
    this.#keys = new RedisKeys(settings.result_backend_transport_options['global_keyprefix']);
    this.#persistence = new Persistence(settings, this.#life.signal);
    this.#connection = new RedisConnection(address, settings);
    this.#subscriber = new Subscriber(new RedisConnection(address, settings), this.#persistence);
    this.#reads = new Reads(this.#connection, this.#persistence);
    const common = {
      connection: this.#connection,
      persistence: this.#persistence,
      lifetimeMs: Math.round((resultExpiresS ?? 0) * 1000),
    };
    this.#chords = new Chords({
      ...common,
      keys: this.#keys,
      serializer,
      ordered: settings.result_backend_transport_options['result_chord_ordered'] !== false,
    });
    this.#writes = new Writes({
      ...common,
      isSuccess: (document) => this.#isSuccess(document),
    });
  }

  toString(): string {
    return this.url;
  }

  expect(): Promise<void> {
    return Promise.resolve();
  }

  async store(meta: ResultMeta): Promise<void> {
    const document = encodeMeta(meta, 'key-value', this.#serializer);
    await this.#writes.store(this.#keys.task(meta.taskId), document);
  }

  async fetch(taskId: string): Promise<ResultMeta | undefined> {
    const document = await this.#get(taskId, this.#keys.task(taskId));
    return document && this.#decode(taskId, document, decodeMeta);
  }

  watch(taskId: string, signal: AbortSignal): AsyncIterable<ResultMeta> {
    return this.#watch(taskId, signal);
  }

  async *#watch(taskId: string, signal: AbortSignal): AsyncGenerator<ResultMeta, void, undefined> {
    if (!this.#mayWait) {
      const why = 'redis_max_connections is 1, and waiting takes a second connection';
      throw new BackendError(`cannot wait for the result of ${taskId}: ${why}`);
    }
    const key = this.#keys.task(taskId);
    const waiting = new Waiting(() => this.#reads.get(key));
    try {
      for await (const document of waiting.documents(this.#subscriber, key, signal)) {
        const meta = this.#decode(taskId, document, decodeMeta);
        yield meta;
        if (READY_STATES.has(meta.status)) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw unreadable(taskId, error);
    }
  }

  forget(taskId: string): Promise<void> {
    return this.#delete(taskId, this.#keys.task(taskId));
  }

  async #delete(id: string, key: string): Promise<void> {
    try {
      await this.#persistence.short(() => this.#connection.run('forget', (client) => client.del(key)));
    } catch (cause) {
      if (cause instanceof BackendError) throw cause;
      throw new BackendError(`the result of ${id} was not forgotten: ${textOf(cause)}`, { cause });
    }
  }

  saveGroup(group: ResultTuple): Promise<void> {
    const [[groupId]] = group;
    return this.#writes.overwrite(this.#keys.group(groupId), encodeGroup(group, this.#serializer));
  }

  async loadGroup(groupId: string): Promise<ResultTuple | undefined> {
    const document = await this.#get(groupId, this.#keys.group(groupId));
    return document && this.#decode(groupId, document, decodeGroup);
  }

  forgetGroup(groupId: string): Promise<void> {
    return this.#delete(groupId, this.#keys.group(groupId));
  }

  startChord(groupId: string, size: number): Promise<void> {
    return this.#counting(groupId, this.#chords.start(groupId, size));
  }

  growChord(groupId: string, members: number): Promise<void> {
    return this.#counting(groupId, this.#chords.grow(groupId, members));
  }

  async endPart(part: ChordPart): Promise<readonly ChordMember[] | undefined> {
    if (this.#refused) throw this.#refused;
    return this.#counting(part.groupId, this.#chords.end(part));
  }

  endChord(groupId: string): Promise<void> {
    return this.#counting(groupId, this.#chords.forget(groupId));
  }

  async #counting<T>(groupId: string, counted: Promise<T>): Promise<T> {
    try {
      return await counted;
    } catch (cause) {
      if (cause instanceof BackendError) throw cause;
      throw new BackendError(`the chord ${groupId} was not counted: ${textOf(cause)}`, { cause });
    }
  }

  cleanup(): Promise<number> {
    return Promise.resolve(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new BackendError('the result backend is closed');
    await this.#writes.close(closed);
    this.#life.abort(closed);
    await this.#subscriber.close(closed);
    await this.#connection[Symbol.asyncDispose]();
  }

  async #get(id: string, key: string): Promise<Buffer | undefined> {
    try {
      return await this.#reads.get(key);
    } catch (error) {
      throw unreadable(id, error);
    }
  }

  #decode<T>(id: string, document: Buffer, decode: (document: Buffer, serializer: string) => T): T {
    try {
      if (this.#refused) throw this.#refused;
      return decode(document, this.#serializer);
    } catch (error) {
      throw unreadable(id, error);
    }
  }

  #isSuccess(document: Buffer): boolean {
    try {
      return decodeMeta(document, this.#serializer).status === SUCCESS;
    } catch {
      // Whatever it is, it is no result.
      return false;
    }
  }
}

function refusal(serializer: string, acceptContent: readonly string[]): ContentDisallowed | undefined {
  const { contentType } = serializerByName(serializer);
  if (acceptedTypes(acceptContent).has(contentType)) return undefined;
  return new ContentDisallowed(`results of type ${contentType} are not in result_accept_content`);
}

function unreadable(id: string, cause: unknown): BackendError {
  if (cause instanceof BackendError) return cause;
  return new BackendGetMetaError(`the result of ${id} could not be read: ${textOf(cause)}`, { cause });
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
