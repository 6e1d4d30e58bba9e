import type { ChannelModel, Channel as AmqpMethods } from 'amqplib';
import { deferred, withTimeout } from '../../core/async.ts';
import { OperationalError, TimeoutError } from '../../core/errors.ts';
import type { Channel, ChannelOptions, Connection } from '../transport.ts';
import type { Administration } from '../administration.ts';
import { AmqpAdministration } from './administration.ts';
import { AmqpChannel, CLOSE_TIMEOUT_MS, type ChannelHost } from './channel.ts';
import { lostError, operationError, replyCode } from './errors.ts';
import { managedBindings, type Management } from './management.ts';
import { readFrames } from './frame-reader.ts';
import { writeTogether } from './write-together.ts';

/** How long the last bytes may take to leave when the broker ended the connection. */
const LINGER_MS = 500;

/** What a connection has beside amqplib's. */
export interface ConnectionParts {
  /** Destroys the socket of the connection when aborted. */
  readonly socket: AbortController;
  /** As shown in errors, the password masked. */
  readonly url: string;
  readonly management: Management;
}

/** One open connection to RabbitMQ. */
export class AmqpConnection implements Connection, ChannelHost {
  readonly closed: Promise<Error | undefined>;
  readonly #model: ChannelModel;
  /** Aborting it destroys the socket. */
  readonly #socket: AbortController;
  readonly #url: string;
  readonly #management: Management;
  readonly #settled = deferred<Error | undefined>();
  readonly #channels = new Set<Channel>();
  #ended = false;
  #disposing: Promise<void> | undefined;

  constructor(model: ChannelModel, { socket, url, management }: ConnectionParts) {
    this.#model = model;
    this.#socket = socket;
    this.#url = url;
    this.#management = management;
    this.closed = this.#settled.promise;
    readFrames(model.connection);
    writeTogether(model.connection);
    model.on('error', (error) => this.#lost(error));
    model.on('close', (error) => this.#lost(error));
  }

  async openChannel({ confirm = true, patient = false }: ChannelOptions = {}): Promise<Channel> {
    const methods = await this.#open(() =>
      confirm ? this.#model.createConfirmChannel() : this.#model.createChannel(),
    );
    const channel = new AmqpChannel(this, methods, { confirm, patient });
    this.#channels.add(channel);
    void channel.closed.then(() => this.#channels.delete(channel));
    return channel;
  }

  administer(): Administration {
    return new AmqpAdministration({
      probe: (what, method) => this.probe(what, method),
      bindings: () => managedBindings(this.#management),
    });
  }

  async probe<T>(what: string, method: (channel: AmqpMethods) => Promise<T>): Promise<T | undefined> {
    const channel = await this.#open(() => this.#model.createChannel());
    // What the broker has to say is in the failure of the method itself.
    channel.on('error', () => undefined);
    try {
      const answer = await method(channel);
      await channel.close();
      return answer;
    } catch (error) {
      if (replyCode(error) === 404) return undefined;
      throw operationError(what, error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#close();
    return this.#disposing;
  }

  async #close(): Promise<void> {
    if (!this.#ended) {
      try {
        const either = Promise.race([this.#farewell(), this.closed]);
        await withTimeout(either, CLOSE_TIMEOUT_MS, 'The broker does not answer');
      } catch (error) {
        // It does not answer, or it closed the connection at the same moment.
        if (!(error instanceof TimeoutError) && !this.#hasEnded()) throw error;
      }
      this.#end(undefined);
    }
    this.#socket.abort();
  }

  async #farewell(): Promise<void> {
    // amqplib closes a connection ahead of what its channels have written (acks, messages), so they go first.
    await Promise.all([...this.#channels].map((channel) => channel[Symbol.asyncDispose]()));
    await this.#model.close();
  }

  #hasEnded(): boolean {
    return this.#ended;
  }

  async #open<T>(open: () => Promise<T>): Promise<T> {
    if (this.#ended || this.#disposing !== undefined) {
      throw new OperationalError(`Cannot open a channel: the connection to ${this.#url} is closed`);
    }
    try {
      return await open();
    } catch (error) {
      throw operationError('open a channel', error);
    }
  }

  /** Called once or twice when the connection breaks, and once when we closed it. */
  #lost(error: Error | undefined): void {
    if (this.#ended) return;
    if (this.#disposing !== undefined) {
      this.#end(undefined);
      return;
    }
    this.#end(lostError(error ?? new Error('closed by the broker'), this.#url));
    // A peer that is gone never acknowledges the last bytes; one that is there gets its close-ok.
    setTimeout(() => this.#socket.abort(), LINGER_MS).unref();
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#settled.resolve(error);
  }
}
