import { withTimeout } from '../../core/async.ts';
import { OperationalError, TimeoutError } from '../../core/errors.ts';
import { newTaskId } from '../../core/task-id.ts';
import { encodeEnvelope, type EnvelopeTarget } from '../../message/envelope-json.ts';
import { decodeStored } from '../virtual/stored.ts';
import type { Envelope } from '../../message/message.ts';
import type { RedisLink } from '../../redis/open.ts';
import type { Binding } from '../administration.ts';
import type { Exchange, Queue } from '../topology.ts';
import type { MessageStore, StoredTopology, Subscription, TakenMessage, Taking } from '../virtual/store.ts';
import { TAKE_AT_MOST } from '../virtual/taking.ts';
import { Bindings, bindingsOf } from './bindings.ts';
import { HeldMessages, type Leftover } from './held.ts';
import { Keys } from './keys.ts';
import { type LocalMessage, LocalQueues } from './local-queues.ts';
import type { RedisOptions } from './options.ts';
import { QueueOrder } from './queue-order.ts';
import { PUSH_BOUND, runScript, TAKE } from './scripts.ts';
import { TemporaryQueues } from './temporary.ts';
import { fanoutChannels, type OpenLink, Subscriptions } from './subscriptions.ts';
import { writeTogether } from './write-together.ts';

/** How long a closing connection waits for a server that does not answer: the messages come back by themselves, only later. */
const CLOSE_TIMEOUT_MS = 5_000;

/** Where a message is sent to. */
type Target = Pick<EnvelopeTarget, 'exchange' | 'routingKey'>;

/** kombu's Redis broker, over one connection for commands and, once somebody consumes, one for what Redis tells by itself. */
export class RedisStore implements MessageStore {
  readonly closed: Promise<Error | undefined>;
  readonly takesSeveral = true;
  readonly #link: RedisLink;
  readonly #options: RedisOptions;
  readonly #keys: Keys;
  readonly #bindings: Bindings;
  readonly #held: HeldMessages;
  readonly #temporary: TemporaryQueues;
  readonly #subscriptions: Subscriptions;
  readonly #local: LocalQueues;
  readonly #order: QueueOrder;
  readonly #write: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #consumers = new Map<string, number>();
  /** Deleted here while somebody consumed them. */
  readonly #deleted = new Set<string>();
  /** Taken messages of fanout queues, which only this process has. */
  readonly #localHeld = new Map<number, { readonly queue: string; readonly message: LocalMessage }>();
  #numbers = 0;

  constructor(link: RedisLink, open: OpenLink, options: RedisOptions) {
    this.#link = link;
    this.#options = options;
    this.#keys = new Keys(options);
    this.#bindings = new Bindings(link.client, this.#keys);
    this.#held = new HeldMessages(link, this.#keys, options, this.#bindings);
    this.#temporary = new TemporaryQueues(link, this.#keys);
    this.#subscriptions = new Subscriptions(link, open, {
      change: () => this.#tell(),
      fanout: (pattern, text) => this.#fanoutArrived(pattern, text),
      lost: (error) => link.fail(asOperational(error)),
    });
    this.#local = new LocalQueues(options, this.#subscriptions);
    this.#order = new QueueOrder(options.queueOrder);
    this.#write = writeTogether(link.client);
    this.closed = link.closed.then(async (error) => {
      void this.#held.end();
      this.#temporary.end();
      await this.#subscriptions.end();
      return error;
    });
  }

  /** What is held and not known to be settled, once the connection was lost. */
  leave(): Leftover {
    return this.#held.leave();
  }

  adopt(leftover: Leftover): Promise<void> {
    return this.#do('take up what a lost connection held', () => this.#held.adopt(leftover));
  }

  async declareExchange(exchange: Exchange): Promise<void> {
    if (exchange.noDeclare === true) return Promise.resolve();
    this.#bindings.declare(exchange);
    return Promise.resolve();
  }

  async declareQueue(queue: Queue): Promise<void> {
    this.#deleted.delete(queue.name);
    if (queue.noDeclare === true) return;
    const bound = bindingsOf(queue);
    for (const { exchange, routingKey } of bound) {
      this.#bindings.declare(exchange);
      if (exchange.type === 'fanout') this.#local.bind(queue.name, exchange.name, routingKey);
    }
    await this.#do(`declare queue ${queue.name}`, () => this.#temporary.declared(queue));
    await this.#do(`declare queue ${queue.name}`, () =>
      Promise.all(
        bound.map(({ exchange, routingKey }) => this.#bindings.bind(queue.name, exchange, routingKey)),
      ),
    );
  }

  async deleteQueue(name: string): Promise<void> {
    await this.#do(`delete queue ${name}`, () =>
      Promise.all([
        this.#bindings.forget(name),
        this.#local.delete(name),
        this.#link.client.del(...this.#keys.lists(name)),
        this.#temporary.deleted(name),
      ]),
    );
    if (!this.#consumers.has(name)) return;
    this.#deleted.add(name);
    this.#tell();
  }

  async publish(envelope: Envelope, exchange: string, routingKey: string): Promise<boolean> {
    const what = `publish to exchange '${exchange}'`;
    const target = { exchange, routingKey };
    if (exchange === '') {
      await this.#do(what, () => this.#push(envelope, target, routingKey));
      return true;
    }
    if (this.#bindings.typeOf(exchange) === 'fanout') {
      const text = textOf(envelope, target);
      const publish = (channel: string): Promise<number> => this.#link.client.publish(channel, text);
      const channels = fanoutChannels(this.#options, exchange, routingKey);
      const reached = await this.#do(what, () => Promise.all(channels.map(publish)));
      return reached.some((count) => count > 0);
    }
    const queues = await this.#do(what, () => this.#bindings.targets(exchange, routingKey));
    if (queues === undefined) throw new OperationalError(`there is no exchange '${exchange}' to publish to`);
    const reached: [queue: string, binding: string | undefined][] = [...queues];
    const { deadletterQueue } = this.#options;
    if (reached.length === 0 && deadletterQueue !== undefined) reached.push([deadletterQueue, undefined]);
    const lengths = await this.#do(what, () =>
      Promise.all(reached.map(([queue, binding]) => this.#push(envelope, target, queue, binding))),
    );
    return lengths.some((length) => length !== 0);
  }

  /**
   * Each copy has a tag of its own: it is the key by which it is held.
   *
   * @param binding only while the queue has it
   */
  #push(envelope: Envelope, target: Target, queue: string, binding?: string): Promise<unknown> {
    const list = this.#keys.listFor(queue, envelope.properties.priority);
    const text = textOf(envelope, target);
    if (binding === undefined) return this.#link.client.lpush(list, text);
    return runScript(
      this.#link.client,
      PUSH_BOUND,
      [this.#keys.bindings(target.exchange), list],
      [binding, text],
    );
  }

  topology(): Promise<StoredTopology> {
    return this.#do('list bindings', () => this.#bindings.all());
  }

  unbind(binding: Binding): Promise<void> {
    return this.#do(`unbind queue ${binding.queue}`, () => this.#bindings.unbind(binding));
  }

  deleteExchange(name: string): Promise<void> {
    return this.#do(`delete exchange ${name}`, () => this.#bindings.deleteExchange(name));
  }

  async size(queue: string): Promise<number> {
    if (this.#local.has(queue)) return this.#local.size(queue);
    const lists = this.#keys.lists(queue);
    const sizes = await this.#do(`count queue ${queue}`, () =>
      Promise.all(lists.map((list) => this.#link.client.llen(list))),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async purge(queue: string): Promise<number> {
    if (this.#local.has(queue)) return this.#local.take(queue, Infinity).length;
    const multi = this.#link.client.multi();
    for (const list of this.#keys.lists(queue)) multi.llen(list).del(list);
    const replies = await this.#do(`purge queue ${queue}`, () => multi.exec());
    return (replies ?? []).reduce((sum, [, count], at) => sum + (at % 2 === 0 ? Number(count) : 0), 0);
  }

  async take(from: readonly Subscription[], room: number, limit = TAKE_AT_MOST): Promise<Taking> {
    const gone = from.map(({ queue }) => queue).filter((queue) => this.#deleted.has(queue));
    const messages: TakenMessage[] = [];
    const remote = new Map<string, Subscription>();
    for (const subscription of from) {
      if (this.#deleted.has(subscription.queue)) continue;
      if (this.#local.has(subscription.queue)) {
        const most = subscription.noAck ? limit : Math.min(limit, room - messages.length);
        messages.push(...this.#takeLocal(subscription, most));
      } else remote.set(subscription.queue, subscription);
    }
    // One command more in the same packet.
    this.#held.flush();
    const left = Math.min(limit, room - messages.length);
    if (remote.size > 0 && (left > 0 || [...remote.values()].some(({ noAck }) => noAck))) {
      messages.push(...(await this.#takeRemote(remote, Math.max(0, left), limit)));
    }
    return { messages, gone };
  }

  #takeLocal({ queue, noAck }: Subscription, most: number): TakenMessage[] {
    return this.#local.take(queue, most).map((message) => {
      const tag = (this.#numbers += 1);
      if (!noAck) this.#localHeld.set(tag, { queue, message });
      return { ...message, tag, queue, noAck };
    });
  }

  async #takeRemote(
    from: ReadonlyMap<string, Subscription>,
    room: number,
    limit: number,
  ): Promise<TakenMessage[]> {
    const queues = this.#order.of([...from.keys()]);
    const subscriptions = queues.flatMap((queue) => from.get(queue) ?? []);
    const lists = this.#keys.steps.flatMap((step) => queues.map((queue) => this.#keys.list(queue, step)));
    const ordered = this.#options.queueOrder === 'round_robin' ? 0 : 1;
    const loose = subscriptions.map(({ noAck }) => (noAck ? 1 : 0));
    const reply = (await this.#do('take messages', () =>
      runScript(
        this.#link.client,
        TAKE,
        [...this.#keys.held, this.#held.receipts, ...lists],
        [this.#options.leaseMs, room, limit, queues.length, ordered, ...loose],
      ),
    )) as (string | number)[];
    const messages: TakenMessage[] = [];
    const score = String(reply[0]);
    for (let at = 1; at < reply.length; at += 3) {
      const subscription = subscriptions[Number(reply[at]) - 1];
      if (subscription === undefined) continue;
      const [held, text] = [String(reply[at + 1]), String(reply[at + 2])];
      messages.push(this.#taken(subscription, { held, score, text }));
    }
    this.#order.served(messages.at(-1)?.queue);
    // Fewer than there was room for: the lists are empty.
    if (messages.length < room || room === 0) this.#subscriptions.arm(lists);
    return messages;
  }

  #taken(
    { queue, noAck }: Subscription,
    { held, score, text }: { held: string; score: string; text: string },
  ): TakenMessage {
    const tag = (this.#numbers += 1);
    const { envelope, exchange, routingKey, redelivered } = decodeStored(text);
    if (!noAck) {
      const list = this.#keys.listFor(queue, envelope.properties.priority);
      this.#held.add(tag, { tag: held, score, list });
    }
    return { envelope, exchange, routingKey, redelivered, tag, queue, noAck };
  }

  ack(tag: number, isPatient = false): Promise<void> {
    if (this.#localHeld.delete(tag)) return Promise.resolve();
    this.#write();
    return this.#held.ack(tag, isPatient);
  }

  async requeue(tags: readonly number[], to: 'front' | 'end'): Promise<void> {
    for (const tag of to === 'front' ? tags.toReversed() : tags) {
      const local = this.#localHeld.get(tag);
      if (local === undefined) continue;
      this.#localHeld.delete(tag);
      this.#local.putBack(local.queue, local.message, to);
    }
    const putBack = this.#do('give messages back', () => this.#held.putBack(tags, to));
    await (to === 'end' ? putBack : this.#inTime(putBack));
    this.#tell();
  }

  /** On the way out: a server that does not answer must not hold us up. */
  async #inTime(work: Promise<unknown>): Promise<void> {
    try {
      await withTimeout(work, CLOSE_TIMEOUT_MS, 'no answer');
    } catch (error) {
      // Lost at the same moment: what was held comes back all the same.
      if (this.#link.client.status !== 'ready') return;
      if (!(error instanceof TimeoutError)) throw error;
      this.#link.fail(new OperationalError(`Connection to ${this.#link.url} was lost: no answer`));
    }
  }

  async consumerStarted({ name }: Queue): Promise<void> {
    this.#deleted.delete(name);
    this.#consumers.set(name, (this.#consumers.get(name) ?? 0) + 1);
    this.#order.add(name);
    if (this.#local.has(name)) await this.#do(`consume queue ${name}`, () => this.#local.open(name));
    else {
      this.#held.startRecovery();
      this.#temporary.startSweeping();
    }
  }

  async consumerStopped({ name, autoDelete }: Queue): Promise<void> {
    const left = (this.#consumers.get(name) ?? 1) - 1;
    this.#consumers.set(name, left);
    if (left > 0) return;
    this.#consumers.delete(name);
    this.#order.remove(name);
    this.#deleted.delete(name);
    if (autoDelete) await this.#inTime(this.deleteQueue(name));
    else await this.#inTime(this.#do(`leave queue ${name}`, () => this.#local.close(name)));
  }

  onMessage(listener: () => void): Disposable {
    this.#listeners.add(listener);
    this.#subscriptions.watch();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size > 0) return;
        this.#subscriptions.unwatch();
        this.#held.stopRecovery();
      },
    };
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #fanoutArrived(pattern: string, text: string): void {
    if (this.#local.arrived(pattern, text)) this.#tell();
  }

  async #do<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#write();
    try {
      return await work();
    } catch (error) {
      if (error instanceof OperationalError) throw error;
      throw this.#link.error(what, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inTime(this.#held.end());
    await this.#subscriptions.end();
    await this.#link[Symbol.asyncDispose]();
    await this.closed;
  }
}

function textOf(envelope: Envelope, target: Target): string {
  return encodeEnvelope(envelope, { ...target, deliveryTag: newTaskId() });
}

function asOperational(error: Error): OperationalError {
  return error instanceof OperationalError ? error : new OperationalError(error.message, { cause: error });
}
