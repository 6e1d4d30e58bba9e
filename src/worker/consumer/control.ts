import { deferred, sleep } from '../../core/async.ts';
import type { LamportClock } from '../../core/clock.ts';
import { KeyError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { delayMs } from '../../core/retry.ts';
import type { ControlRequest } from '../../message/pidbox.ts';
import { buildControlReply, parseControlRequest } from '../../message/pidbox.ts';
import { decodeBody } from '../../message/registry.ts';
import { errorRepr } from '../../message/remote-error.ts';
import type { ResolvedSettings } from '../../settings/settings.ts';
import type { Exchange, Queue } from '../../transport/topology.ts';
import type { Channel, Connection, Delivery } from '../../transport/transport.ts';
import { NO_REPLY, runCommand } from '../control/panel.ts';
import type { Panel, WorkerView } from '../control/panel.ts';

const REOPEN = {
  maxRetries: null,
  intervalStartMs: 1000,
  intervalStepMs: 2000,
  intervalMaxMs: 32_000,
} as const;

export interface ControlMailboxOptions {
  readonly view: WorkerView;
  readonly panel: Panel;
  readonly clock: LamportClock;
  readonly settings: ResolvedSettings;
  readonly accept: ReadonlySet<string>;
  readonly logger: Logger;
}

/** The mailbox over one connection. */
export interface OpenMailbox {
  /** Resolves when commands arrive, or the first attempt to have them has failed. Never rejects. */
  readonly opened: Promise<void>;
  close(): Promise<void>;
}

/** Takes remote control commands and answers them, over a channel of its own, also while all slots are busy. */
export class ControlMailbox {
  readonly #options: ControlMailboxOptions;
  readonly #queue: Queue;
  /** Reply exchanges that were declared on the channel at hand. */
  #declared = new WeakMap<Channel, Set<string>>();

  constructor(options: ControlMailboxOptions) {
    this.#options = options;
    this.#queue = mailboxQueue(options.view.hostname, options.settings);
  }

  serve(connection: Connection, signal: AbortSignal): OpenMailbox {
    const ending = new AbortController();
    const opened = deferred<undefined>();
    const running = this.#run(connection, AbortSignal.any([signal, ending.signal]), () => {
      opened.resolve(undefined);
    });
    return {
      opened: opened.promise,
      close: async () => {
        ending.abort();
        opened.resolve(undefined);
        await running;
      },
    };
  }

  async #run(connection: Connection, signal: AbortSignal, onTried: () => void): Promise<void> {
    const ended = ending(signal);
    let isGone = false;
    void connection.closed.then(() => {
      isGone = true;
    });
    const isOver = (): boolean => isGone || signal.aborted;
    for (let attempt = 1; !isOver(); attempt += 1) {
      try {
        const channel = await this.#open(connection);
        onTried();
        try {
          await Promise.race([channel.closed, connection.closed, ended]);
        } finally {
          await channel[Symbol.asyncDispose]();
        }
      } catch (error) {
        if (!isOver()) this.#options.logger.error('pidbox: Cannot listen for remote control commands', error);
      }
      onTried();
      // Aborted by the end of the mailbox, which the loop sees.
      if (!isOver()) await sleep(delayMs(REOPEN, attempt), signal).catch(() => undefined);
    }
    // Over before it began: whoever waits for the mailbox must not wait for ever.
    onTried();
  }

  async #open(connection: Connection): Promise<Channel> {
    const channel = await connection.openChannel({ confirm: false });
    try {
      await channel.declareQueue(this.#queue);
      await channel.consume(this.#queue, (delivery) => {
        this.#onDelivery(channel, delivery).catch((error: unknown) => {
          this.#options.logger.error('pidbox: A remote control command could not be answered', error);
        });
      });
    } catch (error) {
      await channel[Symbol.asyncDispose]();
      throw error;
    }
    return channel;
  }

  async #onDelivery(channel: Channel, { envelope }: Delivery): Promise<void> {
    const { accept, clock, view, settings } = this.#options;
    clock.forward();
    const { clock: sent } = envelope.headers;
    if (typeof sent === 'number') clock.adjust(sent);
    const request = parseControlRequest(decodeBody(envelope, accept));
    if (!isAddressed(view.hostname, request)) return;
    const reply = await this.#dispatch(request);
    const { ticket, replyTo } = request;
    if (replyTo === null || reply === NO_REPLY) return;
    await this.#declareReplyExchange(channel, replyTo.exchange);
    const message = buildControlReply(
      { node: view.hostname, reply, ticket },
      { serializer: settings.task_serializer, clock: clock.forward() },
    );
    await channel.publish(message, replyTo.exchange, replyTo.routingKey);
  }

  async #dispatch(request: ControlRequest): Promise<unknown> {
    const { panel, view, logger } = this.#options;
    try {
      const command = panel.get(request.method);
      if (command === undefined) throw new KeyError(request.method);
      return await runCommand(command, view, request.arguments);
    } catch (error) {
      logger.error(`pidbox command error: ${errorRepr(error)}`, error);
      return { error: errorRepr(error) };
    }
  }

  /** Publishing to an exchange that does not exist would end the channel. */
  async #declareReplyExchange(channel: Channel, name: string): Promise<void> {
    if (name === '') return;
    const declared = this.#declared.get(channel) ?? new Set();
    this.#declared.set(channel, declared);
    if (declared.has(name)) return;
    await channel.declareExchange({ name, type: 'direct', durable: false, autoDelete: false });
    declared.add(name);
  }
}

/** Exactly as Celery declares it: RabbitMQ refuses a queue of the same name with other properties. */
function mailboxQueue(hostname: string, settings: ResolvedSettings): Queue {
  const exchange: Exchange = {
    name: `${settings.control_exchange}.pidbox`,
    type: 'fanout',
    durable: false,
    autoDelete: false,
  };
  const durable = settings.control_queue_durable;
  return {
    name: `${hostname}.${exchange.name}`,
    exchange,
    routingKey: '',
    durable,
    exclusive: settings.control_queue_exclusive,
    autoDelete: !durable,
    noAck: true,
    arguments: {
      'x-expires': Math.round(settings.control_queue_expires * 1000),
      'x-message-ttl': Math.round(settings.control_queue_ttl * 1000),
    },
  };
}

function isAddressed(hostname: string, { destination, pattern, matcher }: ControlRequest): boolean {
  if (destination !== null && destination.length > 0) return destination.includes(hostname);
  if (pattern === null || matcher === null) return true;
  return matcher === 'pcre' ? matchesStart(hostname, pattern) : matchesGlob(hostname, pattern);
}

/** Python's `re.match`: anchored at the start only. */
function matchesStart(text: string, pattern: string): boolean {
  return new RegExp(`^(?:${pattern})`).test(text);
}

/** Python's `fnmatch`: `*`, `?`, `[seq]`, `[!seq]`. */
function matchesGlob(text: string, pattern: string): boolean {
  const source = pattern.replace(
    /\[(!?)(\]?[^\]]*)\]|[\s\S]/g,
    (match: string, negated?: string, set?: string) => {
      if (set !== undefined) return `[${negated === '!' ? '^' : ''}${set.replace(/[\\\]^[]/g, '\\$&')}]`;
      if (match === '*') return '[\\s\\S]*';
      return match === '?' ? '[\\s\\S]' : match.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    },
  );
  return new RegExp(`^${source}$`).test(text);
}

function ending(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
