import { parseUrl } from '../../core/url.ts';
import type { Capabilities, Connection, Transport } from '../transport.ts';
import { VirtualConnection } from '../virtual/connection.ts';
import { MemoryBroker } from './broker.ts';
import { MemoryStore } from './store.ts';

interface Shared {
  readonly broker: MemoryBroker;
  connections: number;
}

// All connections of this process to one name meet here. A broker stays while somebody is connected or something is in it.
const brokers = new Map<string, Shared>();

/**
 * The broker inside this process: `memory://` or, for several apart from each other, `memory://name`.
 *
 * Messages live as long as the process. Meant for tests: no other process can connect.
 */
export function memoryTransport(url: string): Transport {
  return new MemoryTransport(url);
}

class MemoryTransport implements Transport {
  readonly scheme = 'memory';
  readonly url: string;
  readonly can: Capabilities = {
    fanout: true,
    priority: true,
    expiration: true,
    shared: false,
    largestWindow: Infinity,
  };
  readonly #name: string;

  constructor(url: string) {
    const { host = '', path } = parseUrl(url);
    this.#name = `${host}/${path.replace(/^\/+|\/+$/g, '')}`;
    this.url = url;
  }

  connect(signal: AbortSignal): Promise<Connection> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      const name = this.#name;
      const shared = brokers.get(name) ?? { broker: new MemoryBroker(), connections: 0 };
      brokers.set(name, shared);
      shared.connections += 1;
      const store = new MemoryStore(shared.broker, () => {
        shared.connections -= 1;
        if (shared.connections === 0 && shared.broker.empty) brokers.delete(name);
      });
      resolve(new VirtualConnection(store));
    });
  }
}
