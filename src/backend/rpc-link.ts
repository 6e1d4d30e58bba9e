import { AccessRefused, OperationalError } from '../core/errors.ts';
import { Releasers } from '../core/lifecycle.ts';
import { retry, type RetryPolicy } from '../core/retry.ts';
import type { Queue } from '../transport/topology.ts';
import type { Channel, Delivery, Transport } from '../transport/transport.ts';

/** Pauses between attempts to listen again after a loss. */
const RECONNECT: RetryPolicy = {
  maxRetries: null,
  intervalStartMs: 100,
  intervalStepMs: 400,
  intervalMaxMs: 5_000,
};

/** What a link listens to. */
export interface Inbox {
  readonly queue: Queue;
  onDelivery(delivery: Delivery): void;
  /** The broker will not let us listen any more. */
  onRefused(error: AccessRefused): void;
}

/** One connection with its channel. */
interface Session {
  readonly channel: Channel;
  readonly own: Releasers;
  listening?: Promise<void>;
}

/** One connection to the broker, opened on first use and again after a loss; its inbox is listened to from then on. */
export class RpcLink implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #inbox: Inbox;
  readonly #life = new AbortController();
  /** The one in use or being opened. */
  #session: Promise<Session> | undefined;
  /** The same, once it is open. */
  #current: Session | undefined;
  #listen = false;
  #reconnecting: Promise<void> | undefined;

  constructor(transport: Transport, inbox: Inbox) {
    this.#transport = transport;
    this.#inbox = inbox;
  }

  /** Aborted when the link is closed. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** The open channel, if there is one. */
  get openChannel(): Channel | undefined {
    return this.#current?.channel;
  }

  /** The open channel, opened if need be. @throws {OperationalError} when the broker cannot be reached or the link is closed */
  async channel(): Promise<Channel> {
    return (await this.#open()).channel;
  }

  /** Returns when the inbox takes messages; it goes on to do so, also after a loss. */
  async listen(): Promise<void> {
    this.#listen = true;
    await this.#listenOn(await this.#open());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new OperationalError('The result backend is closed'));
    const session = this.#session;
    await this.#reconnecting;
    // One that could not be opened has released what it had.
    const opened = await session?.catch(() => undefined);
    await opened?.own.release();
  }

  #open(): Promise<Session> {
    if (this.#session !== undefined) return this.#session;
    const opening = this.#connect(() => {
      if (this.#session !== opening) return;
      this.#session = undefined;
      this.#current = undefined;
    });
    this.#session = opening;
    return opening;
  }

  /** @param drop called when the session is of no use any more */
  async #connect(drop: () => void): Promise<Session> {
    const own = new Releasers();
    try {
      this.#life.signal.throwIfAborted();
      const connection = own.own(await this.#transport.connect(this.#life.signal));
      const channel = own.own(await connection.openChannel());
      const session: Session = { channel, own };
      let isLost = false as boolean;
      void Promise.race([connection.closed, channel.closed]).then(() => {
        isLost = true;
        drop();
        return this.#lost(session);
      });
      if (this.#listen) await this.#listenOn(session);
      if (!isLost) this.#current = session;
      return session;
    } catch (error) {
      // Not before the caller has noted what it opens.
      await own.release();
      drop();
      throw error;
    }
  }

  async #listenOn(session: Session): Promise<void> {
    session.listening ??= this.#subscribe(session);
    try {
      await session.listening;
    } catch (error) {
      delete session.listening;
      throw error;
    }
  }

  async #subscribe({ channel, own }: Session): Promise<void> {
    const { queue } = this.#inbox;
    await channel.declareQueue(queue);
    await channel.consume(
      queue,
      (delivery) => this.#inbox.onDelivery(delivery),
      // Somebody deleted the queue: begin anew.
      () => void release(own),
    );
  }

  async #lost({ own }: Session): Promise<void> {
    await release(own);
    if (this.#listen && !this.#life.signal.aborted) this.#reconnecting ??= this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    try {
      // Until there is one that was not lost while we waited for it.
      do {
        await retry(() => this.#open(), RECONNECT, {
          signal: this.#life.signal,
          retryIf: (error) => !(error instanceof AccessRefused),
        });
      } while (this.#session === undefined);
    } catch (error) {
      // Otherwise the link is being closed.
      if (error instanceof AccessRefused) this.#inbox.onRefused(error);
    } finally {
      this.#reconnecting = undefined;
    }
  }
}

/** Nobody waits for it, and what cannot even be closed is of no use any more. */
async function release(own: Releasers): Promise<void> {
  await own.release().catch(() => undefined);
}
