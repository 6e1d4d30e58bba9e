import type { ChannelListener, Subscriber } from './subscriber.ts';

/** States that a slow reader has not taken yet; older ones are dropped beyond it. */
const MAX_UNREAD = 100;

/** What one waiter reads of one channel. */
export class Waiting implements ChannelListener {
  readonly #read: () => Promise<Buffer | undefined>;
  #unread: Buffer[] = [];
  /** Counts the messages: what was read before a message came is older than it, or the same. */
  #messages = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake = (): void => undefined;

  /** @param read what is stored now */
  constructor(read: () => Promise<Buffer | undefined>) {
    this.#read = read;
  }

  onSubscribed(): void {
    void this.#look();
  }

  onMessage(document: Buffer): void {
    this.#messages += 1;
    this.#push(document);
  }

  onFailed(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  async #look(): Promise<void> {
    const before = this.#messages;
    try {
      const document = await this.#read();
      if (document !== undefined && this.#messages === before) this.#push(document);
    } catch (error) {
      this.onFailed(error);
    }
  }

  #push(document: Buffer): void {
    this.#unread.push(document);
    if (this.#unread.length > MAX_UNREAD) this.#unread.shift();
    this.#wake();
  }

  /** The documents, each once, until the caller leaves. @throws why no more can come, or the signal's reason */
  async *documents(
    subscriber: Subscriber,
    channel: string,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer, void, undefined> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort);
    subscriber.add(channel, this);
    try {
      let last: Buffer | undefined;
      for (;;) {
        signal.throwIfAborted();
        const document = this.#unread.shift();
        if (document === undefined) {
          if (this.#failure) throw this.#failure.error;
          await new Promise<void>((resolve) => (this.#wake = resolve));
        } else if (last?.equals(document) !== true) {
          last = document;
          yield document;
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      subscriber.remove(channel, this);
    }
  }
}
