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
import type { ControlArguments } from './control-replies.ts';
import type { Producer } from './producer.ts';
import type { Queues } from './queues.ts';

/** Whom a command is for and how long to wait for answers. */
export interface BroadcastOptions {
  /** Node names, such as `celery@host`. Default: every worker. */
  readonly destination?: readonly string[];
  /** Workers whose node name matches; `destination` goes before it. */
  readonly pattern?: string;
  /** How `pattern` is written: a glob as in a shell (default), or a regular expression that has to match from the start. */
  readonly matcher?: 'glob' | 'pcre';
  /** Wait for the answers. Default false. */
  readonly reply?: boolean;
  /** Seconds after the last answer, or the start, when waiting ends. Default 1. */
  readonly timeout?: number;
  /** Stop after so many answers. Default: the number of destinations, if any. */
  readonly limit?: number;
  /** Called with each answer as it comes. */
  readonly onReply?: (reply: Reply) => void;
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
  readonly queues: Queues;
  transport(): Transport;
}

/** Sends remote control requests and gathers the replies. */
export class MailboxClient {
  readonly #host: ControlHost;

  constructor(host: ControlHost) {
    this.#host = host;
  }

  /** See `Control.broadcast`. */
  async broadcast(command: string, args: ControlArguments, options: BroadcastOptions): Promise<Reply[]> {
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

  async #cast(command: string, args: ControlArguments, options: BroadcastOptions): Promise<void> {
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
    args: ControlArguments,
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
      const isHeard = await channel.offer(message, exchange.name, '');
      const replies = isHeard ? await collector.replies(channel) : [];
      // The mailbox goes with its last consumer.
      await consumer[Symbol.asyncDispose]();
      return replies;
    } finally {
      await connection[Symbol.asyncDispose]();
    }
  }

  #request(
    method: string,
    args: ControlArguments,
    { destination, pattern, matcher = 'glob', timeout = 1 }: BroadcastOptions,
    answer: { readonly ticket: string; readonly replyTo: ControlReplyTo } | null,
  ): Envelope {
    const { settings, clock } = this.#host;
    return buildControlRequest(
      {
        method,
        arguments: args,
        destination: destination ?? null,
        pattern: pattern ?? null,
        // One without the other would address everybody.
        matcher: pattern === undefined ? null : matcher,
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
    this.#options.onReply?.({ [reply.node]: reply.reply });
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
