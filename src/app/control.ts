import { randomUUID } from 'node:crypto';
import { deferred } from '../core/async.ts';
import type { LamportClock } from '../core/clock.ts';
import { CeleryError, OperationalError, ValueError } from '../core/errors.ts';
import type { Envelope } from '../message/message.ts';
import { buildControlRequest, parseControlReply } from '../message/pidbox.ts';
import type { ControlReply, ControlReplyTo } from '../message/pidbox.ts';
import { acceptedTypes, decodeBody } from '../message/registry.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import type { Exchange, Queue } from '../transport/topology.ts';
import type { Channel, Delivery, Transport } from '../transport/transport.ts';
import type { Producer } from './producer.ts';

/** Whom a command is for and how long to wait for answers. */
export interface BroadcastOptions {
  /** Node names, such as `celery@host`. Default: every worker. */
  readonly destination?: readonly string[];
  /** With `matcher`: workers whose node name matches. */
  readonly pattern?: string;
  /** How `pattern` is written. */
  readonly matcher?: 'glob' | 'pcre';
  /** Wait for the answers. Default false. */
  readonly reply?: boolean;
  /** Seconds after the last answer, or the start, when waiting ends. Default 1. */
  readonly timeout?: number;
  /** Stop after so many answers. Default: the number of destinations, if any. */
  readonly limit?: number;
  /** Stops waiting; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The answer of one worker: `{ 'celery@host': { ok: 'pong' } }`. */
export type Reply = Readonly<Record<string, unknown>>;

/** What the control client takes from the app. */
export interface ControlHost {
  ready(): Promise<void>;
  readonly settings: ResolvedSettings;
  readonly clock: LamportClock;
  readonly producer: Producer;
  transport(): Transport;
}

/** Remote control: commands to running workers. */
export class Control {
  readonly #host: ControlHost;

  /** Made by the app: `app.control`. */
  constructor(host: ControlHost) {
    this.#host = host;
  }

  /**
   * Sends a command to the workers; with `reply` gives their answers, none when nobody answered in time.
   * @throws {OperationalError} the broker cannot be reached, or cannot carry remote control
   */
  async broadcast(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: BroadcastOptions = {},
  ): Promise<Reply[]> {
    if (options.destination !== undefined && !Array.isArray(options.destination)) {
      throw new ValueError('destination must be a list of node names');
    }
    await this.#host.ready();
    const transport = this.#host.transport();
    if (!transport.can.fanout) {
      throw new OperationalError(`The broker ${transport.url} does not carry remote control commands.`);
    }
    if (options.reply !== true) {
      await this.#cast(command, args, options);
      return [];
    }
    const replies = await this.#ask(transport, command, args, options);
    return replies.map(({ node, reply }) => ({ [node]: reply }));
  }

  /** Changes a task's rate limit on the workers: `'10/m'`, a number per second, or 0 for none. */
  rateLimit(
    task: string,
    rateLimit: string | number | null,
    options: BroadcastOptions = {},
  ): Promise<Reply[]> {
    return this.broadcast('rate_limit', { task_name: task, rate_limit: rateLimit }, options);
  }

  /** Asks the workers whether they answer. */
  ping(options: BroadcastOptions = {}): Promise<Reply[]> {
    return this.broadcast('ping', {}, { ...options, reply: true });
  }

  /** Questions to the workers, answered by node name. */
  inspect(options: BroadcastOptions = {}): Inspect {
    return new Inspect(this, options);
  }

  async #cast(command: string, args: Reply, options: BroadcastOptions): Promise<void> {
    const exchange = this.#exchange('fanout');
    const message = this.#request(command, args, options, null);
    await this.#host.producer.publish(
      message,
      { declareExchange: exchange, exchange: exchange.name, routingKey: '' },
      { signal: options.signal },
    );
  }

  async #ask(
    transport: Transport,
    command: string,
    args: Reply,
    options: BroadcastOptions,
  ): Promise<readonly ControlReply[]> {
    const signal = options.signal ?? new AbortController().signal;
    const connection = await transport.connect(signal);
    try {
      const channel = await connection.openChannel();
      const mailbox = this.#mailbox();
      const exchange = this.#exchange('fanout');
      await channel.declareExchange(exchange);
      await channel.declareQueue(mailbox);
      const ticket = randomUUID();
      const collector = new Collector(ticket, options, this.#host);
      const consumer = await channel.consume(mailbox, (delivery) => collector.take(delivery));
      const replyTo = { exchange: this.#exchange('direct').name, routingKey: mailbox.routingKey };
      const message = this.#request(command, args, options, { ticket, replyTo });
      await channel.publish(message, exchange.name, '');
      const replies = await collector.replies(channel);
      // The mailbox goes with its last consumer.
      await consumer[Symbol.asyncDispose]();
      return replies;
    } finally {
      await connection[Symbol.asyncDispose]();
    }
  }

  #request(
    method: string,
    args: Reply,
    { destination, pattern, matcher, timeout = 1 }: BroadcastOptions,
    answer: { readonly ticket: string; readonly replyTo: ControlReplyTo } | null,
  ): Envelope {
    const { settings, clock } = this.#host;
    return buildControlRequest(
      {
        method,
        arguments: args,
        destination: destination ?? null,
        pattern: pattern ?? null,
        matcher: matcher ?? null,
        ticket: answer?.ticket ?? null,
        replyTo: answer?.replyTo ?? null,
      },
      {
        serializer: settings.task_serializer,
        clock: clock.forward(),
        expiresMs: answer === null ? undefined : Date.now() + timeout * 1000,
      },
    );
  }

  /** Requests go to every worker, replies to the one who asked. */
  #exchange(type: 'fanout' | 'direct'): Exchange {
    const name = `${this.#host.settings.control_exchange}.pidbox`;
    return { name: type === 'fanout' ? name : `reply.${name}`, type, durable: false, autoDelete: false };
  }

  #mailbox(): Queue {
    const exchange = this.#exchange('direct');
    const id = randomUUID();
    const { control_queue_ttl: ttl, control_queue_expires: expires } = this.#host.settings;
    return {
      name: `${id}.${exchange.name}`,
      exchange,
      routingKey: id,
      durable: false,
      exclusive: false,
      autoDelete: true,
      noAck: true,
      arguments: { 'x-message-ttl': Math.round(ttl * 1000), 'x-expires': Math.round(expires * 1000) },
    };
  }
}

/** Questions to the workers: `app.control.inspect().ping()`. */
export class Inspect {
  readonly #control: Control;
  readonly #options: BroadcastOptions;

  /** Made by `app.control.inspect()`. */
  constructor(control: Control, options: BroadcastOptions) {
    this.#control = control;
    this.#options = options;
  }

  /** Answers by node name; null when nobody answered. */
  async ping(): Promise<Reply | null> {
    const replies = await this.#control.ping(this.#options);
    return replies.length === 0 ? null : (Object.assign({}, ...replies) as Reply);
  }
}

/** Gathers the replies to one request until there are enough, or none came for a while. */
class Collector {
  readonly #ticket: string;
  readonly #options: BroadcastOptions;
  readonly #host: ControlHost;
  readonly #limit: number;
  readonly #timeoutMs: number;
  readonly #replies: ControlReply[] = [];
  readonly #done = deferred<undefined>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ticket: string, options: BroadcastOptions, host: ControlHost) {
    this.#ticket = ticket;
    this.#options = options;
    this.#host = host;
    const { limit, destination = [] } = options;
    this.#limit = limit ?? (destination.length > 0 ? destination.length : Infinity);
    this.#timeoutMs = (options.timeout ?? 1) * 1000;
  }

  take(delivery: Delivery): void {
    const reply = this.#read(delivery);
    if (this.#replies.length >= this.#limit) return;
    if (reply === undefined || (reply.ticket !== null && reply.ticket !== this.#ticket)) return;
    if (reply.clock !== null) this.#host.clock.adjust(reply.clock);
    this.#replies.push(reply);
    if (this.#replies.length >= this.#limit) this.#done.resolve(undefined);
    else this.#timer?.refresh();
  }

  /** Ends with an error when the connection is lost meanwhile. */
  async replies(channel: Channel): Promise<readonly ControlReply[]> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#done.reject(signal?.reason);
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#timer = setTimeout(() => this.#done.resolve(undefined), this.#timeoutMs);
    void channel.closed.then((error) => {
      this.#done.reject(
        error ?? new OperationalError('The connection was closed while waiting for replies.'),
      );
    });
    try {
      await this.#done.promise;
      return this.#replies;
    } finally {
      clearTimeout(this.#timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #read({ envelope }: Delivery): ControlReply | undefined {
    try {
      const accept = acceptedTypes(this.#host.settings.accept_content);
      return parseControlReply(decodeBody(envelope, accept), envelope.headers);
    } catch (error) {
      // Whatever somebody else put into the mailbox: the workers' answers still count.
      if (error instanceof CeleryError) return undefined;
      throw error;
    }
  }
}
