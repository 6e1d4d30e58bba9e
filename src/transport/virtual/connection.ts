import { OperationalError } from '../../core/errors.ts';
import type { Channel, ChannelOptions, Connection } from '../transport.ts';
import type { Administration } from '../administration.ts';
import { VirtualAdministration } from './administration.ts';
import { VirtualChannel } from './channel.ts';
import type { MessageStore } from './store.ts';

/** A connection whose broker is a `MessageStore`; it owns the store. */
export class VirtualConnection implements Connection {
  readonly closed: Promise<Error | undefined>;
  readonly #store: MessageStore;
  readonly #channels = new Set<VirtualChannel>();
  #refusal: OperationalError | undefined;
  #disposed: Promise<void> | undefined;

  constructor(store: MessageStore) {
    this.#store = store;
    this.closed = store.closed.then((error) => {
      const reason = error ?? new OperationalError('the connection is closed');
      this.#refusal ??=
        reason instanceof OperationalError ? reason : new OperationalError(reason.message, { cause: error });
      for (const channel of [...this.#channels]) channel.fail(reason);
      return error;
    });
  }

  openChannel({ patient = false }: ChannelOptions = {}): Promise<Channel> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    const channel = new VirtualChannel(this.#store, patient, (closed) => this.#channels.delete(closed));
    this.#channels.add(channel);
    return Promise.resolve(channel);
  }

  administer(): Administration {
    return new VirtualAdministration(this.#store);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#refusal ??= new OperationalError('the connection is closed');
    try {
      await Promise.all([...this.#channels].map((channel) => channel[Symbol.asyncDispose]()));
    } finally {
      await this.#store[Symbol.asyncDispose]();
    }
  }
}
