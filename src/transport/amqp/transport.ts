import type { Options, SocketOptions } from 'amqplib';
import { ImproperlyConfigured, OperationalError } from '../../core/errors.ts';
import { tlsOptions } from '../../core/tls.ts';
import { parseUrl } from '../../core/url.ts';
import type { TransportOptions } from '../connect.ts';
import type { Capabilities, Connection, Transport } from '../transport.ts';
import { connect, credentials } from './amqplib.ts';
import { AmqpConnection } from './connection.ts';
import { connectError } from './errors.ts';
import type { Management } from './management.ts';
import { readServer, serverUrl, type Server } from './server.ts';
import { LARGEST_WINDOW } from './window.ts';

/** RabbitMQ by `amqp://`, `pyamqp://` (the same) or `amqps://`. */
export function amqpTransport(url: string, options: TransportOptions): Transport {
  return new AmqpTransport(url, options);
}

class AmqpTransport implements Transport {
  readonly scheme: string;
  readonly url: string;
  readonly can: Capabilities = {
    fanout: true,
    priority: true,
    expiration: true,
    shared: true,
    largestWindow: LARGEST_WINDOW,
  };
  readonly #server: Server;
  readonly #options: TransportOptions;
  readonly #timeoutMs: number;

  constructor(url: string, options: TransportOptions) {
    this.scheme = parseUrl(url).scheme;
    this.#server = readServer(url, options);
    this.#options = options;
    const { connect_timeout: timeout } = options.transportOptions;
    this.#timeoutMs = (typeof timeout === 'number' ? timeout : options.connectionTimeoutS) * 1000;
    this.url = serverUrl(this.#server);
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    const socket = new AbortController();
    // What is wrong with the options is no matter of connecting: trying again would not help.
    const options = [this.#connectOptions(), this.#socketOptions(socket.signal)] as const;
    const cut = (): void => socket.abort();
    const late = new AbortController();
    late.signal.addEventListener('abort', cut);
    const timer = this.#timeoutMs > 0 ? setTimeout(() => late.abort(), this.#timeoutMs) : undefined;
    signal.addEventListener('abort', cut, { once: true });
    try {
      const model = await connect(...options);
      return new AmqpConnection(model, { socket, url: this.url, management: this.#management() });
    } catch (error) {
      cut();
      signal.throwIfAborted();
      throw late.signal.aborted ? this.#timedOut(error) : connectError(error, this.url, this.#server.vhost);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cut);
    }
  }

  #connectOptions(): Options.Connect {
    const { host, port, vhost, user, password, tls } = this.#server;
    const { frame_max: frameMax } = this.#options.transportOptions;
    return {
      protocol: tls ? 'amqps' : 'amqp',
      hostname: host,
      port,
      username: user,
      password,
      vhost: encodeURIComponent(vhost),
      heartbeat: this.#options.heartbeatS,
      ...(typeof frameMax === 'number' && { frameMax }),
    };
  }

  /** amqplib hands what it does not know on to `net.connect` and `tls.connect`, such as the signal. */
  #socketOptions(signal: AbortSignal): SocketOptions & { signal: AbortSignal } {
    const { user, password, tls } = this.#server;
    const { login_method: login, client_properties: properties } = this.#options.transportOptions;
    return {
      ...(tls && tlsOptions(this.#options.useSsl)),
      // Without it each small exchange waits for the peer's delayed acknowledgement.
      noDelay: true,
      keepAlive: true,
      signal,
      credentials: credentialsFor(login, user, password),
      clientProperties: {
        product: 'celery-ts',
        // Not those of amqplib.
        version: undefined,
        information: undefined,
        ...(typeof properties === 'object' && properties),
      },
    };
  }

  #management(): Management {
    const { host, user, password, vhost } = this.#server;
    const options = this.#options.transportOptions;
    const option = (name: string, normal: string): string => {
      const value = options[name];
      return typeof value === 'string' || typeof value === 'number' ? String(value) : normal;
    };
    const scheme = options.manager_ssl === true ? 'https' : 'http';
    return {
      url: `${scheme}://${option('manager_hostname', host)}:${option('manager_port', '15672')}`,
      user: option('manager_userid', user),
      password: option('manager_password', password),
      vhost,
    };
  }

  #timedOut(cause: unknown): OperationalError {
    const seconds = this.#timeoutMs / 1000;
    return new OperationalError(
      `Cannot connect to ${this.url}: timed out after ${seconds} seconds (setting broker_connection_timeout)`,
      { cause },
    );
  }
}

function credentialsFor(
  login: unknown,
  user: string,
  password: string,
): NonNullable<SocketOptions['credentials']> {
  switch (login ?? 'PLAIN') {
    case 'PLAIN':
      return credentials.plain(user, password);
    case 'AMQPLAIN':
      return credentials.amqplain(user, password);
    case 'EXTERNAL':
      return credentials.external();
    default:
      throw new ImproperlyConfigured(
        `broker_transport_options: login_method takes PLAIN, AMQPLAIN or EXTERNAL, not ${String(login)}`,
      );
  }
}
