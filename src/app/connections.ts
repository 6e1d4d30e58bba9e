import type { BackendOptions } from '../backend/connect.ts';
import { connectBackend } from '../backend/connect.ts';
import type { ResultBackend } from '../backend/backend.ts';
import { Releasers } from '../core/lifecycle.ts';
import type { ResolvedSettings } from '../settings/settings.ts';
import { connectTransport } from '../transport/connect.ts';
import type { Transport } from '../transport/transport.ts';
import { Producer } from './producer.ts';

/** As in Celery, a broker on this machine when none is configured. */
const DEFAULT_BROKER = 'amqp://guest@localhost//';

interface OpenProducer {
  /** It was looked up for. */
  readonly settings: ResolvedSettings;
  /** What it publishes to, as text. */
  readonly broker: string;
  readonly producer: Producer;
}

/** What an app keeps open: one producer and a result backend for each URL. Opened on first use, closed together. */
export class Connections {
  readonly #settings: () => ResolvedSettings;
  readonly #backends = new Map<string, ResultBackend>();
  #producer: OpenProducer | undefined;
  #releasers = new Releasers();

  /** @param settings gives the settings in force whenever something is opened */
  constructor(settings: () => ResolvedSettings) {
    this.#settings = settings;
  }

  /** The broker, not connected. */
  transport(): Transport {
    return brokerOf(this.#settings());
  }

  /** Publishes to the broker of the settings; another one when they have changed since. */
  get producer(): Producer {
    const settings = this.#settings();
    if (this.#producer?.settings !== settings) this.#producer = this.#producerFor(settings);
    return this.#producer.producer;
  }

  #producerFor(settings: ResolvedSettings): OpenProducer {
    const broker = JSON.stringify(settings.broker_url);
    if (this.#producer?.broker === broker) return { ...this.#producer, settings };
    const producer = new Producer(() => this.transport());
    this.#releasers.own(producer);
    return { settings, broker, producer };
  }

  /** @param url of a task's own backend; null: `result_backend` */
  backend(url: string | null): ResultBackend {
    const settings = this.#settings();
    const wanted = url ?? settings.result_backend ?? undefined;
    const key = wanted ?? 'disabled://';
    let backend = this.#backends.get(key);
    if (backend === undefined) {
      backend = connectBackend(wanted, this.#backendOptions(settings));
      this.#releasers.own(backend);
      this.#backends.set(key, backend);
    }
    return backend;
  }

  /** Closes what is open; what is used afterwards is opened again. */
  async close(): Promise<void> {
    const releasers = this.#releasers;
    this.#releasers = new Releasers();
    this.#producer = undefined;
    this.#backends.clear();
    await releasers.release();
  }

  #backendOptions(settings: ResolvedSettings): BackendOptions {
    return {
      resultExpiresS: settings.result_expires,
      serializer: settings.result_serializer,
      acceptContent: settings.result_accept_content ?? settings.accept_content,
      persistent: settings.result_persistent ?? false,
      transport: () => this.transport(),
      settings,
    };
  }
}

function brokerOf(settings: ResolvedSettings): Transport {
  const strategy = settings.broker_failover_strategy;
  return connectTransport(settings.broker_url ?? DEFAULT_BROKER, {
    heartbeatS: settings.broker_heartbeat ?? 0,
    connectionTimeoutS: settings.broker_connection_timeout ?? 0,
    failoverStrategy: strategy === 'shuffle' ? 'shuffle' : 'round-robin',
    transportOptions: settings.broker_transport_options,
    useSsl: settings.broker_use_ssl,
  });
}
