import { hostname } from 'node:os';
import type { RetryPolicy } from '../core/retry.ts';
import { buildEventMessage, eventRoutingKey } from '../message/event.ts';
import type { EventFields } from '../message/event.ts';
import { ClusterState } from '../monitor/state.ts';
import type { ClusterStateOptions } from '../monitor/state.ts';
import { makeEvent } from './event-dispatcher.ts';
import { eventExchange } from './event-exchange.ts';
import { EventReceiver } from './event-receiver.ts';
import type { ReceiverHost, ReceiverOptions } from './event-receiver.ts';

/** Options of `app.events.send`. */
export interface SendEventOptions {
  /** Node name that the event carries. Default `gen<pid>@<host>`. */
  readonly hostname?: string;
  /** When and how often to try again; false, the default: once only. */
  readonly retry?: RetryPolicy | false;
  readonly signal?: AbortSignal;
}

/** Events of an app: `app.events`. */
export class Events {
  readonly #host: ReceiverHost;

  /** Made by the app. */
  constructor(host: ReceiverHost) {
    this.#host = host;
  }

  /** Receives what workers and clients tell: `app.events.Receiver({ handlers: { '*': console.log } }).capture()`. */
  Receiver(options?: ReceiverOptions): EventReceiver {
    return new EventReceiver(this.#host, options);
  }

  /** A picture of the cluster made from events: `const state = app.events.State()`, then `state.event(event)` for each. */
  State(options?: ClusterStateOptions): ClusterState {
    return new ClusterState(options);
  }

  /**
   * Sends an event of one's own, `<group>-<what>`; resolves when the broker has it.
   * @throws {OperationalError} the broker cannot be reached
   * @throws {EncodeError} a field has no form in `event_serializer`
   */
  async send(type: string, fields: EventFields = {}, options: SendEventOptions = {}): Promise<void> {
    await this.#host.ready();
    await this.publish(type, fields, options);
  }

  /** The same, of an app that is ready: the event is on its way when it returns. */
  async publish(type: string, fields: EventFields, options: SendEventOptions = {}): Promise<void> {
    const host = this.#host;
    const transport = host.transport();
    if (!transport.can.fanout) return;
    const exchange = eventExchange(host.settings, transport);
    const node = options.hostname ?? `gen${process.pid}@${hostname()}`;
    const message = buildEventMessage(makeEvent(host, node, type, fields), {
      hostname: node,
      serializer: host.settings.event_serializer,
    });
    await host.producer.publish(
      message,
      { declareExchange: exchange, exchange: exchange.name, routingKey: eventRoutingKey(type) },
      { signal: options.signal, ...(options.retry !== undefined && { retry: options.retry }) },
    );
  }
}
