import type { Logger } from '../core/logger.ts';
import { errorRepr } from '../message/remote-error.ts';

/** Whom a signal is about: a task or the name of one, the name of a node, the app. */
export type Sender = string | { readonly name?: unknown; readonly main?: unknown };

/** What is called when a signal is sent. What it returns is waited for where the signal says so; what it throws is logged. */
export type Receiver<Event> = (event: Event) => unknown;

/** Options of `connect`. */
export interface ConnectOptions {
  /** Only of this sender: a task, or the name of a task or node. */
  readonly sender?: Sender | undefined;
  /** Connecting again under the same id replaces the receiver, so that a module that is loaded twice is heard once. */
  readonly dispatchUid?: string | undefined;
}

interface Connection<Event> extends ConnectOptions {
  readonly receiver: Receiver<Event>;
}

/** Something that happens in clients and workers, and that code can be connected to. */
export class Signal<Event extends { readonly sender: Sender }> {
  /** As in `signals`. */
  readonly name: string;
  #connections: readonly Connection<Event>[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Whether anybody listens. */
  get isConnected(): boolean {
    return this.#connections.length > 0;
  }

  /**
   * Calls `receiver` whenever the signal is sent, after those that were connected before.
   * @returns ends it
   */
  connect(receiver: Receiver<Event>, options: ConnectOptions = {}): () => void {
    const { dispatchUid } = options;
    const connection = { ...options, receiver };
    const kept = this.#connections.filter((each) =>
      dispatchUid === undefined ? !isSame(each, connection) : each.dispatchUid !== dispatchUid,
    );
    this.#connections = [...kept, connection];
    return () => {
      this.#connections = this.#connections.filter((each) => each !== connection);
    };
  }

  /**
   * Calls `receiver` no longer, for whichever sender; or the one that was connected under this id.
   * @returns whether there was one
   */
  disconnect(receiver: Receiver<Event> | string): boolean {
    const before = this.#connections.length;
    this.#connections = this.#connections.filter(
      (each) => each.receiver !== receiver && each.dispatchUid !== receiver,
    );
    return this.#connections.length < before;
  }

  /**
   * Calls the receivers one after the other; never rejects.
   * @internal
   */
  async send(event: Event, logger?: Logger): Promise<void> {
    for (const { receiver, sender } of this.#connections) {
      if (sender !== undefined && nameOf(sender) !== nameOf(event.sender)) continue;
      try {
        await receiver(event);
      } catch (error) {
        const message = `A receiver of the signal ${this.name} failed: ${errorRepr(error)}`;
        if (logger === undefined) process.emitWarning(message, 'CeleryWarning');
        else logger.error(message, error);
      }
    }
  }
}

function isSame<Event>(one: Connection<Event>, other: Connection<Event>): boolean {
  return one.receiver === other.receiver && one.sender === other.sender;
}

function nameOf(sender: Sender): unknown {
  return typeof sender === 'string' ? sender : (sender.main ?? sender.name);
}
